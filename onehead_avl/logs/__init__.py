"""Avalanche loggers that carry the metrics of all three tasks."""
