"""Knowing what one does not know."""
