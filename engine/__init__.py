"""Visionarium's engine: training and inference of published computer-vision methods, in torch only."""
