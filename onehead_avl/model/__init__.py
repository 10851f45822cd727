"""The network and the meaning of its output: layout, targets, losses, decoding."""
