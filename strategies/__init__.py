"""How the stream is learned: the multi-task strategy, the segmentation memory, and the named strategies."""
