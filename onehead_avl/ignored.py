"""Values that stand for what is not annotated. Importing it is cheap: no torch."""

VOID = 255
"""Mask value of pixels that are neither learned nor scored."""

ABSENT = -1
"""Integer value of what is not there: a padded box, an image without a class."""
