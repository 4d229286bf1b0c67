"""Finding objects: boxes, classes, scores."""
