"""Which runs a command line asks for, where each is written, and which of them are finished already."""

import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from onehead_avl.errors import OutputError, UsageError
from onehead_avl.evaluation.record import Record
from onehead_avl.report.comparison import Run
from onehead_avl.runs.config import Config, Resolved, changed_options
from onehead_avl.runs.options import Affects
from onehead_avl.system.files import write_json
from strategies.hyperparameters import options_of
from strategies.named import SINGLE_TASK, is_baseline

RESULTS = "results.json"
FAILURE = "failure.json"
CHECKPOINTS = "checkpoints"

LONGEST_ORDER = 120
"""Characters of an order in the name of a run's folder; of a longer one the rest is told apart by a checksum."""


@dataclass(frozen=True)
class Planned:
    """A run to be done.

    Attributes:
        config: With one strategy, one seed and one order.
        folder: Where to write it.
    """

    config: Resolved
    folder: Path

    @property
    def strategy(self) -> str:
        """The name of its strategy."""
        return self.config.strategy[0]

    @property
    def seed(self) -> int:
        """Its seed."""
        return self.config.seeds[0]

    def results(self) -> Record | None:
        """What it wrote at its end; ``None`` if it has not ended.

        Raises:
            OutputError: The file is there but cannot be read.
            UsageError: It was run with other hyper-parameters.
        """
        found = record_in(self.folder)
        options, _ = options_of([*self.config.strategy, *self.config.imported], self.config.set)
        if found is not None and found.options != options:
            raise UsageError(
                f"--output {self.folder.parent} holds {self.strategy} with hyper-parameters {found.options}, but "
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
    as_defined = each_order[0].canonical()
    runs = [_planned(as_defined, SINGLE_TASK, seed, folder) for seed in config.seeds]
    for strategy in config.strategy:
        # Their order means nothing to the baselines, so one stands for all.
        orders = [as_defined] if is_baseline(strategy) else each_order
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
    elif changed := changed_options(config, before, (Affects.NOTHING, Affects.ENTRIES)):
        raise UsageError(
            f"--output {folder} holds a comparison that was begun with other values of {changed}; repeat these to add "
            "to it, or choose another folder"
        )


def require_same_run(folder: Path, config: Resolved) -> None:
    """Refuse to continue what another command began in a folder.

    Args:
        folder: Of a single run.
        config: Of this command.

    Raises:
        UsageError: It was begun with another configuration.
        OutputError: The configuration that is there cannot be read.
    """
    before = _read(folder / "config.json")
    if before is not None and (changed := changed_options(config, before, (Affects.NOTHING, Affects.CONTENT))):
        raise UsageError(
            f"--resume expects the command that began {folder}, but it was begun with other values of {changed}; "
            "repeat these, or choose another folder"
        )


def ended_run(folder: Path) -> Run | None:
    """What a run's folder says of its end: results or the reason of a failure; ``None`` if it has not ended.

    Raises:
        OutputError: A file is there but cannot be read.
    """
    record = record_in(folder)
    if record is not None:
        return Run(record.strategy, record.order, record.seed, record)
    failure = _read(folder / FAILURE)
    if failure is None:
        return None
    return Run(failure["strategy"], tuple(failure["order"]), failure["seed"], None, failure["reason"])


def _planned(config: Resolved, strategy: str, seed: int, folder: Path) -> Planned:
    hyphenated = any("-" in name for name in config.order)
    order = ("," if hyphenated else "-").join(config.order)  # so that no two orders have one name
    if len(order) > LONGEST_ORDER:  # no system has file names of any length
        order = f"{order[: LONGEST_ORDER - 9]}-{hashlib.sha256(order.encode()).hexdigest()[:8]}"
    name = f"{strategy.replace(':', '.')}_{order}_seed{seed}"
    return Planned(config.but(strategy=(strategy,), seeds=(seed,)), folder / name)


def record_in(folder: Path) -> Record | None:
    """What a run wrote into its folder at its end; ``None`` if it has not ended.

    Raises:
        OutputError: The file is there but cannot be read, or is of another version.
    """
    found = _read(folder / RESULTS)
    return None if found is None else Record.from_json(found, folder / RESULTS)


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
