"""From the official archives, or from somebody's folder, to the three mini sets. Importing it is cheap: no torch."""
