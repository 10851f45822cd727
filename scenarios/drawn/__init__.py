"""The embedded data set: images drawn from a seed, without a download. Importing the package is cheap: no torch."""
