"""Progress bars with speed and time left, on standard error."""

import sys

from tqdm import tqdm

_DELAY = 1.0
"""Seconds that something must take before it is worth a bar."""

_PLAIN_INTERVAL = 15.0
"""Seconds between lines where standard error is a file."""


def bar(title: str, total: int, unit: str, done: int = 0) -> tqdm:
    """Begin a bar.

    Args:
        title: What is going on.
        total: How many units there are.
        unit: ``B`` for bytes, which are shown in kB, MB and GB, or the name of the thing counted.
        done: How many were done before.
    """
    return tqdm(
        desc=title,
        total=total,
        initial=done,
        unit=unit,
        unit_scale=unit == "B",
        leave=False,
        delay=_DELAY,
        mininterval=0.5 if sys.stderr.isatty() else _PLAIN_INTERVAL,
    )


def in_gigabytes(size: int) -> str:
    """A number of bytes for people: ``1.23 GB``."""
    return f"{size / 1e9:.2f} GB"
