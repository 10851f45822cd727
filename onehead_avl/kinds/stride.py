"""The one resolution of the network's output."""

STRIDE = 8
"""Input pixels per cell of the output."""
