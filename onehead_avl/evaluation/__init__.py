"""What is measured: the metrics of the three tasks, and their adapters for Avalanche."""
