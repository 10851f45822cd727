"""The ready-made streams: one YAML file each, whose paths lie in a data folder of the challenge's layout."""
