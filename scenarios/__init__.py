"""What is learned: the stream, its three experiences, and the readers of their data sets."""
