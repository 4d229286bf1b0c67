"""The names of the wings."""

WINGS = {
    "representation": "Representation learning", "semi": "Semi-supervised", "metric": "Metric learning",
    "multilabel": "Multi-label", "fewshot": "Few-shot",
}  # fmt: skip


def wing_name(wing: str) -> str:
    """A wing's name as one would say it."""
    return WINGS.get(wing, wing.capitalize())
