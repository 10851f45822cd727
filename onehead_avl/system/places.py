"""Where this program keeps what it can do without."""

import os
from pathlib import Path


def cache_folder() -> Path:
    """The user's cache of this program: ``onehead-avl`` in ``$XDG_CACHE_HOME`` or ``~/.cache``; it may not exist."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "onehead-avl"
