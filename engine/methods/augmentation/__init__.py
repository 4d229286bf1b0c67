"""Augmentation: teaching a network what does not change the answer."""
