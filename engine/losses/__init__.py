"""Losses as pure functions: focal, contrastive, soft-target cross-entropy."""
