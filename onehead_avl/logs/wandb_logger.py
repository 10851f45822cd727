"""Every value that any metric emits, for Weights & Biases."""

import sys
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

from avalanche.logging import BaseLogger

from onehead_avl.errors import OneHeadError, OutputError, UsageError
from onehead_avl.logs.wandb_files import files_in, records_in

PROJECT = "onehead-avl"
"""The project that runs are shown in, unless W&B's own settings (``WANDB_PROJECT``) name another."""

STEP = "iteration"
"""The horizontal axis: the number of training iterations."""

UPLOAD = 120.0
"""Seconds that the end of a run waits for what is still to be uploaded."""

WRITE = 10.0
"""Seconds that it waits for what is still to be written to the disk."""


class WandBLogger(BaseLogger):
    """Sends values to W&B, or with ``WANDB_MODE=offline`` only writes them for ``wandb sync``, into ``wandb/``.

    Account, server and project are W&B's own settings. Nothing is asked and nothing printed. Avalanche's own logger
    does not work with today's wandb, whose functions it calls were removed.

    A continued run repeats what came after its checkpoint, value by value. What was handed over before the interruption
    cannot be taken back, so values are counted, and those that W&B has are not sent again. Each process writes a folder
    ``wandb/run-*`` or ``wandb/offline-run-*`` of its own, all with the id of the same run: ``wandb sync`` joins those
    that it is given. A process that is killed outright leaves W&B without what it was just passing on.

    Args:
        folder: An existing folder; what W&B wrote into it before is of the same run.
        run: The name of the run.
        config: Its configuration.

    Raises:
        UsageError: The package is not installed, W&B is disabled, or there is no login.
        OutputError: W&B cannot be reached or does not begin the run.
    """

    UNSAVED = frozenset(("_ends", "_folder", "_run", "_stored"))

    def __init__(self, folder: Path, run: str, config: Mapping[str, Any]) -> None:
        super().__init__()
        wandb = _package()
        self._folder = folder
        held = _records_in(folder)
        self._stored, self._ends = held["history"], held["exit"]
        self._given = 0  # values, to this process and those that it continues, but for lost ones
        before = files_in(folder)
        identity = before[0].stem.removeprefix("run-") if before else uuid4().hex[:8]
        self._run = _begin(wandb, dir=str(folder), id=identity, name=run, config=dict(config))

    def log_single_metric(self, name: str, value: object, x_plot: int) -> None:
        """Send a value; what is no number (a picture, say) is left out, as it is in ``metrics.csv``.

        Raises:
            OutputError: W&B does not take it.
        """
        if not isinstance(value, int | float):
            return
        self._given += 1
        if self._given <= self._stored:
            return
        if lost := self._given - self._stored - 1:
            print(f"note: {lost} values were lost on their way to W&B; metrics.csv has them", file=sys.stderr)
            self._given -= lost
        try:
            self._run.log({STEP: x_plot, name: value})
        except Exception as error:  # W&B's own, of many kinds
            log = self._folder / "wandb" / "debug.log"
            raise OutputError(f"W&B takes no more values ({_line(error)}); mend what {log} says") from error
        self._stored += 1

    def close(self) -> None:
        """End the run, as a failed one if an exception is under way, and say so if W&B lacks values.

        That is no error: training is over, and ``metrics.csv`` holds them all.
        """
        try:
            self._run.finish(exit_code=0 if sys.exc_info()[0] is None else 1)
        except Exception as error:  # W&B's own, of many kinds
            print(f"note: W&B may lack values ({_line(error)}); wandb sync sends what is on the disk", file=sys.stderr)
            return
        until = time.monotonic() + WRITE  # offline, W&B goes on writing
        while (held := _records_in(self._folder))["exit"] == self._ends and time.monotonic() < until:
            time.sleep(0.02)
        if (written := held["history"]) < self._stored:
            log = self._folder / "wandb" / "debug-internal.log"
            print(f"note: W&B wrote only {written} of {self._stored} values; {log} may say why", file=sys.stderr)


def _package() -> Any:
    """Import W&B, which is slow."""
    try:
        import wandb
    except ImportError as error:
        raise UsageError(f"W&B needs the package wandb, which is not there ({error}); pip install wandb") from None
    return wandb


def _begin(wandb: Any, **run: Any) -> Any:
    """Begin or continue a run, if W&B is set up for that."""
    try:
        usual = wandb.setup(settings=wandb.Settings(silent=True)).settings
        if usual.mode == "disabled":
            raise UsageError("W&B is disabled and would log nothing; set WANDB_MODE to online or offline")
        if usual.mode not in ("offline", "dryrun") and not wandb.login(prompt=False, verify=True):
            raise UsageError("W&B expects a login, found none; run wandb login once, or set WANDB_MODE=offline")
        begun = wandb.init(
            **run,
            project=usual.project or PROJECT,
            resume="allow",
            reinit="create_new",  # whoever calls may have a run of their own
            allow_val_change=True,  # a continued run has --resume in its configuration
            settings=wandb.Settings(silent=True, console="off", finish_timeout=UPLOAD, finish_timeout_raises=True),
        )
        # Several values come at one iteration, and W&B's own steps would have each at another.
        begun.define_metric(STEP, hidden=True)
        begun.define_metric("*", step_metric=STEP)
    except OneHeadError:
        raise
    except Exception as error:  # W&B's own, of many kinds
        raise OutputError(f"W&B cannot be used ({_line(error)}); mend that, or set WANDB_MODE=offline") from error
    return begun


def _records_in(folder: Path) -> Counter[str]:
    """How many records of each type the files of W&B in a folder hold: ``history`` is a value, ``exit`` an end."""
    from wandb.proto import wandb_internal_pb2

    record: Any = wandb_internal_pb2.Record  # type: ignore[attr-defined]  # made when it is imported
    written = (each for file in files_in(folder) for each in records_in(file))
    return Counter(record.FromString(each).WhichOneof("record_type") for each in written)


def _line(error: Exception) -> str:
    """What an error says, in one line."""
    return " ".join(str(error).split()) or type(error).__name__
