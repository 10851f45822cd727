"""How much memory is free. Importing it is cheap: no torch."""

from contextlib import suppress
from pathlib import Path

import psutil

_GROUPS = Path("/sys/fs/cgroup")


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
