"""Checkpoints of a run, from which it continues as if it had never been interrupted."""
