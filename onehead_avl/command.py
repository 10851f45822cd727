"""What the commands have in common: quiet third parties, and errors as one sentence with an exit status."""

import argparse
import gc
import io
import os
import signal
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from onehead_avl.errors import OneHeadError
from onehead_avl.system.collector import collector_paused


def run_command(command: Callable[[], None], stopped: str = "stopped: what was written so far is kept") -> int:
    """Run a command and turn what a user can mend into one sentence on standard error.

    Args:
        command: The command.
        stopped: What to say after Ctrl-C or SIGTERM.

    Returns:
        The exit status, 0 or else 1 for a failure, 2 for a wrong command line, 130 after Ctrl-C, 143 after SIGTERM.
    """
    _print_anything()
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        command()
    except OneHeadError as error:
        print(f"error: {error}", file=sys.stderr)
        if error.shown is not None:
            traceback.print_exception(error.shown)
        return error.exit_status
    except OSError as error:
        what = f"{error.filename}: " if error.filename else ""
        print(f"error: {what}{error.strerror or error}; check the path, its permissions and the disk", file=sys.stderr)
        return 1
    except KeyboardInterrupt as interruption:
        print(f"\n{stopped}", file=sys.stderr)
        return 143 if isinstance(interruption, _Terminated) else 130
    finally:
        signal.signal(signal.SIGTERM, before)
    return 0


def _print_anything() -> None:
    """Have what the terminal cannot show, such as a file name that is no Unicode, escaped instead of refused."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


class _Terminated(KeyboardInterrupt):
    """SIGTERM, which ends a command as Ctrl-C does."""


def _terminate(number: int, frame: FrameType | None) -> None:
    raise _Terminated


def add_weights(parser: argparse.ArgumentParser) -> None:
    """Have a command ask for saved weights, and for what builds their network if that is none of this package's."""
    parser.add_argument("--weights", type=Path, required=True, metavar="FILE", help="model.safetensors of a run")
    parser.add_argument(
        "--model",
        metavar="MODULE:CLASS",
        help="what builds the network from the layout, for weights of one that is none of this package's",
    )


def add_kinds(parser: argparse.ArgumentParser) -> None:
    """Have a command ask for kinds that weights need and no stream names."""
    parser.add_argument(
        "--kind",
        nargs="+",
        default=[],
        metavar="MODULE:CLASS",
        help="kinds that are none of this package's, for weights that were learned with them",
    )


_NOISE = ("no QP solver found", "higher not found", "Avalanche is transitioning to strategy constructors")
"""How warnings begin that strategies say themselves, or that Avalanche gives of its own code."""


@contextmanager
def importing(what: str) -> Iterator[None]:
    """Import what takes seconds: say so, keep third parties quiet, and have no garbage looked for, as there is none.

    Args:
        what: What is imported, for the line that says so.
    """
    print(f"loading {what}", file=sys.stderr)
    quiet_third_parties()
    first = "torch" not in sys.modules
    with collector_paused():
        yield
    if first:  # all of it stays, and need not be looked at again; in a process that has done more, there is garbage
        gc.freeze()


def quiet_third_parties() -> None:
    """Keep warnings that a user can do nothing about away; call it before Avalanche is imported.

    Processes that this one starts keep them away, too: those that load images import Avalanche anew where processes do
    not fork, which is on most systems.
    """
    for beginning in _NOISE:
        warnings.filterwarnings("ignore", message=beginning)
    ours = [f"ignore:{beginning}" for beginning in _NOISE]
    others = [each for each in os.environ.get("PYTHONWARNINGS", "").split(",") if each and each not in ours]
    os.environ["PYTHONWARNINGS"] = ",".join(others + ours)  # the last ones have precedence
