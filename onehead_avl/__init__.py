"""One network with one head that learns segmentation, detection and classification, one after the other."""

__version__ = "0.1.0"
