"""Reports as one HTML file each, which needs no network, no script and nothing beside it."""
