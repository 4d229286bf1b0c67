"""Representation learning: what can be learned from pictures without a single label."""
