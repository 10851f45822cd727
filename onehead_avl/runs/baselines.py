"""Baselines are computed once: the results of the same configuration are kept in the user's cache and found again."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from onehead_avl.errors import OutputError
from onehead_avl.evaluation.outcomes import Scores
from onehead_avl.evaluation.record import Record
from onehead_avl.prepare.manifest import manifest_digest
from onehead_avl.report.comparison import Run
from onehead_avl.runs.config import Resolved
from onehead_avl.runs.identity import Identities
from onehead_avl.system.files import write_json
from onehead_avl.system.places import cache_folder
from strategies.hyperparameters import OPTIMISATION
from strategies.named import SINGLE_TASK


class BaselineCache:
    """Results of finished baseline runs, found again by all that they depend on: data, configuration, code, versions.

    Args:
        name: Of the stream.
        identities: What runs depend on.
        folder: Where they are kept; by default ``onehead-avl`` in ``$XDG_CACHE_HOME`` or ``~/.cache``.
    """

    def __init__(self, name: str, identities: Identities, folder: Path | None = None) -> None:
        self._folder = folder or cache_folder() / "baselines"
        self._name = name
        self._identities = identities

    def find(self, config: Resolved, strategy: str, seed: int) -> Record | None:
        """The results of a baseline that was run before, or ``None``: always with somebody's plugins."""
        if config.plugin:
            return None
        depends_on = self._depends_on(config, strategy, seed)
        file = self._file(depends_on)
        try:
            record = Record.from_json(json.loads(file.read_text(encoding="utf-8")), file)
        except (OSError, ValueError, OutputError):  # never computed, or not readable: compute it
            return None
        if (record.strategy, record.seed, record.depends_on) != (strategy, seed, depends_on):
            return None
        # The same experiences may have been learned under another name of the stream, and from another folder.
        return replace(record, stream=self._name, manifest_sha256=manifest_digest(config.data))

    def single_task(self, config: Resolved, seed: int) -> Scores:
        """The single-task values, as far as the cache knows them."""
        return single_task_of(self.find(config, SINGLE_TASK, seed))

    def keep(self, config: Resolved, strategy: str, seed: int, record: Record) -> None:
        """Keep the results of a baseline; a cache that cannot be written is done without.

        Results with somebody's plugins, which may do anything, are not kept; nor are those of another order of the
        experiences, whose random numbers differ.
        """
        if config.plugin or config != config.canonical():
            return
        file = self._file(self._depends_on(config, strategy, seed))
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            write_json(file, record.as_json())
        except (OSError, OutputError):
            return

    def _depends_on(self, config: Resolved, strategy: str, seed: int) -> dict[str, Any]:
        return self._identities.of(config.canonical().but(strategy=(strategy,), seeds=(seed,)))

    def _file(self, depends_on: dict[str, Any]) -> Path:
        key = json.dumps(depends_on, sort_keys=True)
        return self._folder / f"{hashlib.sha256(key.encode()).hexdigest()}.json"


def single_task_of(record: Record | None) -> Scores:
    """The single-task values in the results of a run with a network for each experience; empty without any."""
    scores: dict[str, dict[str, float | None]] = {}
    for outcome in record.outcomes if record else ():
        scores.setdefault(outcome.measure.experience, {})[outcome.measure.metric] = outcome.just_learned
    return scores


def with_baselines(runs: Sequence[Run]) -> list[Run]:
    """Give each run the single-task values of its seed, of the baseline that was optimised as it was.

    Where none was, those of the only baseline of the seed; a run keeps its own where there is no telling.
    """
    known: dict[int, list[Record]] = {}
    for run in runs:
        if run.record is not None and run.record.separate:
            known.setdefault(run.seed, []).append(run.record)
    return [
        run
        if run.record is None
        else replace(run, record=run.record.with_single_task(_single_task(run.record, known.get(run.seed, []))))
        for run in runs
    ]


def _single_task(record: Record, baselines: Sequence[Record]) -> Scores | None:
    alike = [each for each in baselines if each.options.get(OPTIMISATION) == record.options.get(OPTIMISATION)]
    found = alike if alike else baselines
    return single_task_of(found[0]) if len(found) == 1 else None
