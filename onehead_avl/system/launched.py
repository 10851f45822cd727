"""Which of the processes that learn one network together this is, as ``torchrun`` says it.

Importing it is cheap: no torch.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory

from onehead_avl.errors import OneHeadError, Stopped

_PATIENCE = 5.0
"""Seconds in which ``torchrun`` ends this process if the first one has failed, too, and has said why."""

_ENDED = 143  # which nobody sees but torchrun, as the status of a process that it ended


def processes() -> int:
    """How many processes learn together: one, unless ``torchrun`` started several."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def position() -> int:
    """The number of this process among those on this machine, from 0."""
    return int(os.environ.get("LOCAL_RANK", "0"))


def is_first() -> bool:
    """Whether this is the process that speaks and writes."""
    return os.environ.get("RANK", "0") == "0"


@contextmanager
def silent() -> Iterator[Path]:
    """Have a process that is not the first say nothing, and write into a folder that is gone afterwards.

    What fails in it alone is said in the end.
    """
    with TemporaryDirectory(prefix="onehead-avl-") as folder, Path(os.devnull).open("w") as nowhere:
        try:
            with redirect_stdout(nowhere), redirect_stderr(nowhere):
                yield Path(folder)
        except Stopped as stopped:
            raise SystemExit(stopped.exit_status) from None  # the first process has stopped, too
        except KeyboardInterrupt:
            raise SystemExit(_ENDED) from None
        except OneHeadError:
            _wait_to_be_ended()
            raise


def _wait_to_be_ended() -> None:
    try:
        time.sleep(_PATIENCE)
    except KeyboardInterrupt:
        raise SystemExit(_ENDED) from None
