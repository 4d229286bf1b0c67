"""Measurements: classification, calibration, uncertainty, frozen-feature readers, collapse, detection, segmentation."""
