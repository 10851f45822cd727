"""Which runs a command line asks for, where each is written, and which of them are finished already."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from onehead_avl.baselines import canonical
from onehead_avl.config import Config
from onehead_avl.errors import OutputError, UsageError
from onehead_avl.files import write_json
from onehead_avl.report.comparison import Run
from strategies.named import BASELINES, options_of

RESULTS = "results.json"
FAILURE = "failure.json"
CHECKPOINTS = "checkpoints"

_WITHOUT_EFFECT = ("output", "workers", "checkpoint_every", "resume")
"""Options that change nothing about results."""

_BY_CONTENT = ("data", "backbone_weights")
"""Options that name files; a checkpoint knows these by their contents."""

_FREE = (*_WITHOUT_EFFECT, "strategy", "seeds", "set")
"""What may change from one command to the next that adds to the same comparison; hyper-parameters of new strategies."""


@dataclass(frozen=True)
class Planned:
    """A run to be done.

    Attributes:
        config: Resolved, with one strategy, one seed and one order.
        folder: Where to write it.
    """

    config: Config
    folder: Path

    @property
    def strategy(self) -> str:
        """The name of its strategy."""
        return self.config.strategy[0]

    @property
    def seed(self) -> int:
        """Its seed."""
        return self.config.seeds[0]

    def results(self) -> dict | None:
        """What it wrote at its end; ``None`` if it has not ended.

        Raises:
            OutputError: The file is there but cannot be read.
            UsageError: It was run with other hyper-parameters.
        """
        found = _read(self.folder / RESULTS)
        options, _ = options_of([*self.config.strategy, *self.config.plugin], self.config.set)
        if found is not None and found["options"] != options:
            raise UsageError(
                f"--output {self.folder.parent} holds {self.strategy} with hyper-parameters {found['options']}, but "
                f"{options} are asked for; choose another folder, or remove {self.folder.name} from it"
            )
        return found

    def begin(self) -> None:
        """Make its folder anew, unless an interrupted run is to be continued there.

        Raises:
            OutputError: The folder cannot be made.
        """
        try:
            if self.config.resume and (self.folder / CHECKPOINTS).exists():
                return
            if self.folder.exists():
                shutil.rmtree(self.folder)
            self.folder.mkdir(parents=True)
        except OSError as error:
            raise OutputError(f"{self.folder}: the folder cannot be made ({error.strerror}); check it") from error

    def fail(self, reason: str) -> None:
        """Note why it failed."""
        order = list(self.config.order)
        write_json(
            self.folder / FAILURE, {"strategy": self.strategy, "order": order, "seed": self.seed, "reason": reason}
        )


def plan(config: Config, folder: Path) -> list[Planned]:
    """Every run of a comparison: the single-task baseline of each seed, then what was asked for.

    Args:
        config: As the command line has it, checked.
        folder: Of the comparison.
    """
    each_order = [each.resolved() for each in config.in_each_order()]
    runs = [_planned(canonical(each_order[0]), "from-scratch", seed, folder) for seed in config.seeds]
    for strategy in config.strategy:
        # Their order means nothing to the baselines, so one stands for all.
        orders = [canonical(each_order[0])] if strategy in BASELINES else each_order
        runs += [_planned(each, strategy, seed, folder) for each in orders for seed in config.seeds]
    return list({run.folder: run for run in runs}.values())


def claim(folder: Path, config: Config) -> None:
    """Take a folder for a comparison: a new one, or one that a command of the same configuration began.

    Raises:
        UsageError: It holds something else, or was begun with another configuration.
        OutputError: It cannot be written.
    """
    if (folder / RESULTS).exists():
        raise UsageError(
            f"--output expects the folder of a comparison, but {folder} holds a single run; choose another"
        )
    before = _read(folder / "config.json")
    if before is None:
        write_json(folder / "config.json", config.as_dict())
    elif changed := _changed(config, before, _FREE):
        raise UsageError(
            f"--output {folder} holds a comparison that was begun with other values of {changed}; repeat these to add "
            "to it, or choose another folder"
        )


def require_same_run(folder: Path, config: Config) -> None:
    """Refuse to continue what another command began in a folder.

    Args:
        folder: Of a single run.
        config: Resolved.

    Raises:
        UsageError: It was begun with another configuration.
        OutputError: The configuration that is there cannot be read.
    """
    before = _read(folder / "config.json")
    if before is not None and (changed := _changed(config, before, (*_WITHOUT_EFFECT, *_BY_CONTENT))):
        raise UsageError(
            f"--resume expects the command that began {folder}, but it was begun with other values of {changed}; "
            "repeat these, or choose another folder"
        )


def _changed(config: Config, before: dict, free: Sequence[str]) -> str:
    """The options with other values than before; empty without any."""
    now = json.loads(json.dumps(config.as_dict()))
    return ", ".join(f"--{k.replace('_', '-')}" for k in sorted(now) if k not in free and now[k] != before.get(k))


def ended_run(folder: Path) -> Run | None:
    """What a run's folder says of its end: results or the reason of a failure; ``None`` if it has not ended.

    Raises:
        OutputError: A file is there but cannot be read.
    """
    results = _read(folder / RESULTS)
    ended = results or _read(folder / FAILURE)
    if ended is None:
        return None
    return Run(ended["strategy"], tuple(ended["order"]), ended["seed"], results, ended.get("reason"))


def _planned(config: Config, strategy: str, seed: int, folder: Path) -> Planned:
    order = "-".join(config.order)
    name = f"{strategy.replace(':', '.')}_{order}_seed{seed}"
    return Planned(replace(config, strategy=(strategy,), seeds=(seed,)), folder / name)


def _read(file: Path) -> dict | None:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        if not isinstance(found, dict):
            raise ValueError("it holds no JSON object")
        return found
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise OutputError(
            f"{file}: expected what an earlier run wrote, but it cannot be read ({error}); remove it"
        ) from error
