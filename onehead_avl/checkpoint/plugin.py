"""Saving a run while it goes on, and continuing it: bit for bit as if it had not been interrupted.

Two kinds of checkpoint are written. One at the end of each stage, from which the next one begins. And, within a stage,
one every so many iterations and at the start of each epoch, unless epochs are very short. To continue from one within a
stage, the end of the stage before is restored, the stage is begun as it was, its first epochs and minibatches are
passed over, and the state is restored.
"""

import math
import sys
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from avalanche.benchmarks import CLScenario
from avalanche.core import SupervisedPlugin
from avalanche.training.templates import SupervisedTemplate
from avalanche.training.templates.base import BaseTemplate

from onehead_avl.checkpoint.graph import Unsavable, encode, restore
from onehead_avl.checkpoint.logfiles import LogFiles, hold
from onehead_avl.checkpoint.store import LATEST, Damaged, Store
from onehead_avl.errors import Stopped, UsageError
from onehead_avl.evaluation.outcomes import Scores, Stage
from onehead_avl.system.collector import collector_paused
from onehead_avl.system.randomness import random_state, set_random_state
from onehead_avl.system.stopping import STOP

SHARE = 0.02
"""The most of the time that the checkpoints of epochs may take: those of very short epochs are left out."""


class Checkpoints(SupervisedPlugin):
    """Saves a run, and continues it. It must be the last plugin.

    Args:
        store: Where checkpoints are kept.
        identity: All that the results depend on; a checkpoint of another identity is refused.
        benchmark: What is learned.
        every: Iterations between checkpoints, beside those of epochs and stages.
    """

    UNSAVED = frozenset(
        (
            *("store", "identity", "benchmark", "every", "logs", "stages", "untrained"),
            *("_base", "_target", "_place", "_began", "_enabled", "_saved", "_cost"),
        )
    )

    def __init__(self, store: Store, identity: Mapping[str, Any], benchmark: CLScenario, every: int) -> None:
        super().__init__()
        self.store, self.identity, self.benchmark, self.every = store, identity, benchmark, every
        self.logs = LogFiles([])
        self.stages: list[Stage] = []
        self.untrained: Scores | None = None
        self._base: dict | None = None
        self._target: dict | None = None
        self._place: dict[str, Any] = {"stage": 0, "epoch": 0, "iteration": 0, "random": {}}
        self._began = 0.0
        self._enabled = True
        self._saved, self._cost = -math.inf, 0.0  # when the last checkpoint was written, and how long that took

    @property
    def seconds(self) -> float:
        """How long the present stage has been trained, in this process and those before it."""
        return time.perf_counter() - self._began

    def find(self, folder: Path) -> bool:
        """Look for the checkpoint that is farthest, and say which are damaged.

        Args:
            folder: Of the log files.

        Returns:
            Whether there is one to continue from.

        Raises:
            UsageError: It was made by another command, with other data, or by other versions.
        """
        found = [each for name in self.store.names() if (each := self._read(name, folder)) is not None]
        ends = {each["stage"]: each for each in found if each["ended"]}
        for each in sorted(found, key=_progress, reverse=True):
            before = each["stage"] - 1
            if each["ended"] or before < 0 or before in ends:
                self._base = each if each["ended"] else ends.get(before)
                self._target = None if each["ended"] else each
                return True
        return False

    def start(self, strategy: BaseTemplate, logs: LogFiles) -> None:
        """Begin, or restore the end of the stage before the one to continue.

        Args:
            strategy: As it was built.
            logs: The run's log files.
        """
        self.logs = logs
        if self._base is not None:
            self._restore(strategy, self._base)
        if self._base is not None and self._target is None:
            self.logs.cut(self._base["logs"])

    def learned(self, stage: int) -> bool:
        """Whether a stage was trained to its end before, in the process that this one continues."""
        self._place["stage"] = stage
        return self._base is not None and self._base["stage"] >= stage

    def stage_ended(self, strategy: BaseTemplate) -> None:
        """Save the end of a stage."""
        self._save(strategy, f"stage{self._place['stage']}", ended=True)

    def before_training(self, strategy: SupervisedTemplate, **kwargs) -> None:
        """Begin to count the time."""
        self._began = time.perf_counter()

    def before_training_exp(self, strategy: SupervisedTemplate, **kwargs) -> None:
        """Pass over the epochs that were learned before the interruption."""
        self._place["epoch"] = 0
        if self._target is not None:
            self._place["epoch"] = self._target["epoch"]
            strategy.train_epochs -= self._target["epoch"]  # the checkpoint restores it

    def before_training_epoch(self, strategy: SupervisedTemplate, **kwargs) -> None:
        """Save the start of an epoch, or go to where the interrupted one was."""
        self._place["iteration"] = 0
        if self._target is None:
            self._place["random"] = random_state()
            if STOP.agreed() or time.perf_counter() - self._saved >= self._cost / SHARE:
                self._save(strategy)
            self._stop()
        elif self._target["iteration"] == 0:
            self._reach(strategy, self._target)
        else:
            set_random_state(self._target["random_of_epoch"])
            self._place["iteration"] = self._target["iteration"]
            strategy.dataloader = _Rest(strategy.dataloader, self._target["iteration"])

    def before_training_iteration(self, strategy: SupervisedTemplate, **kwargs) -> None:
        """Save the state every so many iterations and when the run is to stop, or restore it.

        Not before the first iteration of an epoch: its minibatch was drawn already, but what was drawn is only known to
        be passed over once it was learned.
        """
        if self._target is not None:
            self._reach(strategy, self._target)
        elif not self._place["iteration"]:
            return
        elif STOP.agreed() or self._place["iteration"] % self.every == 0:
            self._save(strategy)
        self._stop()

    def after_training_iteration(self, strategy: SupervisedTemplate, **kwargs) -> None:
        """Count."""
        self._place["iteration"] += 1

    def after_training_epoch(self, strategy: SupervisedTemplate, **kwargs) -> None:
        """Count."""
        self._place["epoch"] += 1

    def before_eval_iteration(self, strategy: SupervisedTemplate, **kwargs) -> None:
        """Stop if that is asked for: an evaluation is done again from its start."""
        STOP.agreed()
        self._stop()

    def _stop(self) -> None:
        if STOP.requested:
            how = "the same command with --resume continues" if self._enabled else "it cannot be continued"
            raise Stopped(f"stopped by {STOP.requested}; {how}", STOP.status)

    def _reach(self, strategy: SupervisedTemplate, target: dict) -> None:
        self._target = None
        if isinstance(strategy.dataloader, _Rest):
            strategy.dataloader = strategy.dataloader.whole
        if target["iteration"] and not torch.equal(_picture_sums(strategy), target["pictures"]):
            raise Unsavable(
                "this run cannot be resumed: its strategy loads other pictures the second time; begin it anew"
            )
        self._restore(strategy, target)
        self.logs.cut(target["logs"])  # not before: it removes what was written on the way here
        self._place |= {"random": target["random_of_epoch"]}

    def _restore(self, strategy: BaseTemplate, found: dict) -> None:
        restore(found["table"], self._graph(strategy), strategy.model)
        set_random_state(found["random"])
        self.untrained = found["untrained"]
        self.stages[:] = [Stage(tuple(names), *rest) for names, *rest in found["stages"]]
        self._began = time.perf_counter() - found["seconds"]

    def _save(self, strategy: BaseTemplate, name: str = LATEST, *, ended: bool = False) -> None:
        if not self._enabled:
            return
        start = time.perf_counter()
        try:
            with collector_paused():  # a table of thousands of rows, for which it would look at everything there is
                self._write(strategy, name, ended=ended)
        except Unsavable as error:
            print(f"note: this run cannot be resumed if it is interrupted: {error}", file=sys.stderr)
            self._enabled = False
            return
        self._saved = time.perf_counter()
        self._cost = self._saved - start

    def _write(self, strategy: BaseTemplate, name: str, *, ended: bool) -> None:
        table = encode(self._graph(strategy))
        place = self._place
        self.store.write(
            name,
            {
                "identity": {**self.identity},
                "stage": place["stage"],
                "ended": ended,
                "epoch": place["epoch"],
                "iteration": place["iteration"],
                "pictures": _picture_sums(strategy) if place["iteration"] and not ended else None,
                "random_of_epoch": place["random"],
                "random": random_state(),
                "untrained": self.untrained,
                "stages": [(list(stage.experiences), *_rest_of(stage)) for stage in self.stages],
                "seconds": self.seconds,
                "logs": self.logs.sizes(),
                "table": table,
            },
        )

    def _graph(self, strategy: BaseTemplate) -> dict[str, Any]:
        """What is saved; the data sets and the model come first, for all else refers to them."""
        streams = (self.benchmark.train_stream, self.benchmark.test_stream)
        return {
            "data": [experience.dataset for stream in streams for experience in stream],
            "model": strategy.model,
            "strategy": strategy,
        }

    def _read(self, name: str, folder: Path) -> dict | None:
        try:
            found = self.store.read(name)
        except Damaged as error:
            print(f"note: the checkpoint {name} is passed over: {error}", file=sys.stderr)
            return None
        require_same(folder, found["identity"], self.identity)
        if not hold(folder, found["logs"]):
            print(f"note: the checkpoint {name} is passed over: log files lost lines since", file=sys.stderr)
            return None
        return found


def _rest_of(stage: Stage) -> list:
    """All of a stage but its experiences, in the order in which it takes them."""
    return [getattr(stage, each.name) for each in fields(stage)[1:]]


def require_same(folder: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Refuse to continue what depends on something else.

    Args:
        folder: Of the run.
        before: What its checkpoint depends on.
        now: What it would depend on.

    Raises:
        UsageError: A value changed.
    """
    changed = sorted(key for key in before.keys() | now.keys() if before.get(key) != now.get(key))
    if changed:
        raise UsageError(
            f"--resume expects what the run in {folder} was begun with, but {' and '.join(changed)} changed since; "
            "repeat the same command with the same data and versions, or begin anew in another folder"
        )


def _progress(found: dict) -> tuple[int, int, int]:
    """How far a checkpoint is."""
    return (found["stage"] + 1, 0, 0) if found["ended"] else (found["stage"], found["epoch"], found["iteration"])


class _Rest:
    """What is left of an epoch's minibatches after the first ones."""

    def __init__(self, whole: Collection, passed: int) -> None:
        self.whole = whole
        self._passed = passed

    def __len__(self) -> int:
        return len(self.whole)

    def __iter__(self) -> Iterator:
        minibatches = iter(self.whole)
        for _ in range(self._passed):
            next(minibatches)
        yield from minibatches


def _picture_sums(strategy: SupervisedTemplate) -> torch.Tensor:
    """What tells the pictures of a minibatch from others."""
    return strategy.mb_x.cpu().double().sum(dim=(1, 2, 3))  # the GPUs of Macs have no double precision
