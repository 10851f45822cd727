"""What is learned: the stream, its experiences, and the readers of their data sets."""
