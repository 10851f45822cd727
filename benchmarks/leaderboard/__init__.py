"""One table of all strategies that anybody can repeat."""
