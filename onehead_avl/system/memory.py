"""How much memory is free, and what becomes of memory that is freed. Importing it is cheap: no torch."""

import ctypes
import os
from contextlib import suppress
from pathlib import Path

import psutil

_GROUPS = Path("/sys/fs/cgroup")

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Numbers of glibc's settings, from its ``malloc.h``."""

_THRESHOLDS = {"MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_"}
"""What users set them by."""


def free_bytes() -> int:
    """The memory that this process can still take: of the machine, or of the control group it is confined to."""
    free = [psutil.virtual_memory().available]
    with suppress(OSError, ValueError, KeyError):  # no control groups of version 2, or no limit ("max")
        most = int((_GROUPS / "memory.max").read_text())
        lines = (_GROUPS / "memory.stat").read_text().splitlines()
        counts = {name: int(value) for name, value in (line.split() for line in lines)}
        taken = int((_GROUPS / "memory.current").read_text())
        free.append(most - taken + counts["inactive_file"])  # which is given back when it is asked for
    return max(min(free), 0)


def keep_freed_memory() -> bool:
    """Have glibc keep what is freed for what is asked for next, in place of giving it back to the system.

    Each step of a training frees what the one before asked for. Where glibc gives that back, most of which depends on
    where in memory it lies, a step fetches it anew page by page: half of the time of two runs on two cores.

    Returns:
        Whether it was told so. It is not if the C library is another one, or if the user has set it by the environment.
    """
    if _THRESHOLDS & os.environ.keys() or "malloc" in os.environ.get("GLIBC_TUNABLES", ""):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    if mallopt is None:
        return False
    return bool(mallopt(_MMAP_THRESHOLD, 32 * 2**20) and mallopt(_TRIM_THRESHOLD, 2**31 - 1))  # the most it takes
