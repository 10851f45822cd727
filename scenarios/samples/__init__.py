"""What all readers share: a sample, where it is, how its files are decoded, and what may be wrong with them."""
