"""Trained models: opening them."""

from lab.checkpoints.open import Opened, open_model

__all__ = ["Opened", "open_model"]
