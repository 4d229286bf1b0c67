"""Atlases: many pictures with the features that a network makes of them, and maps on which alike is near."""

from lab.atlas.atlas import Atlas, find_atlas, keep_atlas, stored_atlas

__all__ = ["Atlas", "find_atlas", "keep_atlas", "stored_atlas"]
