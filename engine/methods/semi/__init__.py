"""Semi-supervised learning: few labels, many pictures."""
