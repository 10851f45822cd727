"""Which runs a command line asks for, where each is written, and which of them are finished already."""

import hashlib
import json
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from onehead_avl.errors import OutputError, UsageError
from onehead_avl.evaluation.record import Record
from onehead_avl.report.comparison import Run
from onehead_avl.runs.config import Config, Resolved, changed_options
from onehead_avl.runs.identity import OPTIONS, other_results
from onehead_avl.runs.options import Affects
from onehead_avl.system.files import write_json
from strategies.hyperparameters import choices, options_of
from strategies.named import SINGLE_TASK, Option, is_baseline

RESULTS = "results.json"
FAILURE = "failure.json"
CHECKPOINTS = "checkpoints"

LONGEST_ORDER = 120
"""Characters of an order in the name of a run's folder; of a longer one the rest is told apart by a checksum."""


@dataclass(frozen=True)
class Planned:
    """A run to be done.

    Attributes:
        config: With one strategy, one seed, one order and one value of every hyper-parameter.
        folder: Where to write it.
        varied: Its hyper-parameters that have other values in other runs, as ``--set`` takes them.
    """

    config: Resolved
    folder: Path
    varied: tuple[str, ...] = ()

    @property
    def strategy(self) -> str:
        """The name of its strategy."""
        return self.config.strategy[0]

    @property
    def options(self) -> dict[str, dict[str, Option]]:
        """Its hyper-parameters, by method."""
        return options_of([self.strategy, *self.config.imported], self.config.set)[0]

    @property
    def title(self) -> str:
        """What a line about it is called."""
        return " ".join([self.strategy, *self.varied])

    @property
    def seed(self) -> int:
        """Its seed."""
        return self.config.seeds[0]

    def results(self, depends_on: Mapping[str, Any], *, any_options: bool = False) -> Record | None:
        """What it wrote at its end; ``None`` if it has not ended. The folder's name says nothing: its contents do.

        Args:
            depends_on: All that its results would depend on now.
            any_options: Whether hyper-parameters may be others.

        Raises:
            OutputError: The file is there but cannot be read.
            UsageError: The results are of another run, or something that they depend on changed since.
        """
        found = record_in(self.folder)
        if found is None:
            return None
        if other := self.other_than(found, depends_on, any_options=any_options):
            raise UsageError(
                f"--output {self.folder.parent} holds results in {self.folder.name} of a run {other}; choose another "
                f"folder, or remove {self.folder.name} from it"
            )
        return found

    def other_than(self, found: Record, depends_on: Mapping[str, Any], *, any_options: bool = False) -> str:
        """What makes results those of another run; nothing if they are this one's.

        Args:
            found: The results.
            depends_on: All that results would depend on now.
            any_options: Whether hyper-parameters may be others.
        """
        before = {
            **found.depends_on,
            "--strategy": [found.strategy],
            "--seeds": [found.seed],
            "--order": [*found.order],
            OPTIONS: json.dumps(found.options),
        }
        changed = other_results(before, depends_on)
        if changed.pop(OPTIONS, None) and not any_options and not changed:
            return f"with hyper-parameters {found.options}, not {self.options}"
        return " and ".join(
            f"with {name} {_shown(old)}, not {_shown(new)}" if name.startswith("--") else f"before {name} changed"
            for name, (old, new) in changed.items()
        )

    def begin(self) -> None:
        """Make its folder anew, unless an interrupted run is to be continued there.

        Raises:
            OutputError: The folder cannot be made.
        """
        try:
            if self.config.resume and (self.folder / CHECKPOINTS).exists():
                (self.folder / FAILURE).unlink(missing_ok=True)
                return
            if self.folder.exists():
                shutil.rmtree(self.folder)
            self.folder.mkdir(parents=True)
        except OSError as error:
            raise OutputError(f"{self.folder}: the folder cannot be made ({error.strerror}); check it") from error

    def fail(self, reason: str) -> None:
        """Note why it failed."""
        known = {
            "strategy": self.strategy,
            "options": self.options,
            "order": list(self.config.order),
            "seed": self.seed,
        }
        write_json(self.folder / FAILURE, {**known, "reason": reason})


def plan(config: Config, folder: Path) -> list[Planned]:
    """Every run of a comparison: the single-task baseline of each seed, then what was asked for.

    Args:
        config: As the command line has it, checked.
        folder: Of the comparison.
    """
    each_order = [each.resolved() for each in config.in_each_order()]
    as_defined = each_order[0].canonical()
    runs = [run for seed in config.seeds for run in _planned(as_defined, SINGLE_TASK, seed, folder)]
    for strategy in config.strategy:
        # Their order means nothing to the baselines, so one stands for all.
        orders = [as_defined] if is_baseline(strategy) else each_order
        runs += [run for each in orders for seed in config.seeds for run in _planned(each, strategy, seed, folder)]
    return list({run.folder: run for run in runs}.values())


def runs_beside(runs: Sequence[Planned], config: Config, folder: Path) -> list[Planned]:
    """The runs in a comparison's folder that ended and are not asked for now: an earlier command added them.

    Args:
        runs: Those that are asked for.
        config: As the command line has it, checked.
        folder: Of the comparison.

    Raises:
        OutputError: What one wrote cannot be read.
        UsageError: A folder there is that of no run of this comparison, such as one that was renamed or copied.
    """
    others = sorted({child for child in folder.iterdir() if child.is_dir()} - {run.folder for run in runs})
    return [found for child in others if (found := _beside(child, config)) is not None]


def _beside(folder: Path, config: Config) -> Planned | None:
    ended = ended_run(folder)
    if ended is None:
        return None
    for run in plan(config.but(strategy=(ended.strategy,), seeds=(ended.seed,)), folder.parent):
        begins, ends = _begins(run.strategy), _ends(run.config.order, run.seed)
        between = folder.name[len(begins) : -len(ends)]  # hyper-parameters that this command need not vary
        if (
            (run.strategy, run.config.order) == (ended.strategy, ended.order)
            and folder.name == begins + between + ends
            and between[:1] in ("", ",")
        ):
            return replace(run, folder=folder)
    raise UsageError(
        f"--output {folder.parent} expects the runs of this comparison, each in a folder of its own, but "
        f"{folder.name} holds {ended.strategy} with seed {ended.seed} and the order {' '.join(ended.order)}; remove it "
        "from there, or choose another folder"
    )


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
    before = read_written(folder / "config.json")
    if before is None:
        write_json(folder / "config.json", config.as_dict())
    elif changed := changed_options(config, before, (Affects.NOTHING, Affects.LOGS, Affects.ENTRIES)):
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
    before = read_written(folder / "config.json")
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
        return Run(record.strategy, record.order, record.seed, record, options=record.options)
    failure = read_written(folder / FAILURE)
    if failure is None:
        return None
    try:
        strategy, order, seed = failure["strategy"], tuple(failure["order"]), failure["seed"]
        if not all(isinstance(each, str) for each in (strategy, *order)) or not isinstance(seed, int):
            raise TypeError("what it names is no run")
        return Run(strategy, order, seed, None, failure["reason"], failure.get("options", {}))
    except (KeyError, TypeError) as error:
        raise OutputError(
            f"{folder / FAILURE}: expected why a run failed, found other content ({error}); remove it"
        ) from None


def _shown(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def _planned(config: Resolved, strategy: str, seed: int, folder: Path) -> list[Planned]:
    """The runs of a strategy with a seed: one for each combination of hyper-parameters."""
    own = config.but(strategy=(strategy,), seeds=(seed,), add=())
    return [
        Planned(
            own.but(set=tuple(settings)),
            folder / f"{_begins(strategy)}{_between(strategy, varied)}{_ends(config.order, seed)}",
            tuple(setting.removeprefix(f"{strategy}.") for setting in varied),
        )
        for settings, varied in choices([strategy, *own.imported], config.set)
    ]


def _begins(strategy: str) -> str:
    """How the folder of a strategy's run is called at the beginning."""
    return strategy.replace(":", ".")


def _between(strategy: str, varied: Sequence[str]) -> str:
    """How its hyper-parameters are told apart there; what no file name can hold has a checksum in its place."""
    text = "".join(f",{setting.removeprefix(f'{strategy}.')}" for setting in varied)
    plain = re.sub(r"[^\w.,=+-]", "_", text)
    return plain if plain == text else f"{plain}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def _ends(names: Sequence[str], seed: int) -> str:
    """How its order and seed are told apart there."""
    hyphenated = any("-" in name for name in names)
    order = ("," if hyphenated else "-").join(names)  # so that no two orders have one name
    if len(order) > LONGEST_ORDER:  # no system has file names of any length
        order = f"{order[: LONGEST_ORDER - 9]}-{hashlib.sha256(order.encode()).hexdigest()[:8]}"
    return f"_{order}_seed{seed}"


def record_in(folder: Path) -> Record | None:
    """What a run wrote into its folder at its end; ``None`` if it has not ended.

    Raises:
        OutputError: The file is there but cannot be read, or is of another version.
    """
    found = read_written(folder / RESULTS)
    return None if found is None else Record.from_json(found, folder / RESULTS)


def read_written(file: Path) -> dict | None:
    """The JSON object that an earlier run wrote into a file; ``None`` if there is no such file.

    Raises:
        OutputError: The file cannot be read.
    """
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
