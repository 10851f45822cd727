"""Baselines are computed once: the results of the same configuration are kept in the user's cache and found again."""

import hashlib
import json
import os
from dataclasses import replace
from pathlib import Path

from onehead_avl.errors import OutputError
from onehead_avl.evaluation.outcomes import Scores
from onehead_avl.evaluation.record import Record
from onehead_avl.runs.config import Resolved, options_that
from onehead_avl.runs.identity import digest_of, digest_of_code, digest_of_file
from onehead_avl.runs.options import Affects
from onehead_avl.system.device import choose_device, environment
from onehead_avl.system.files import write_json
from scenarios.experience import Stream
from strategies.named import SINGLE_TASK


class BaselineCache:
    """Results of finished baseline runs, found again by all that they depend on: data, configuration, code, versions.

    Args:
        stream: What is learned.
        folder: Where they are kept; by default ``onehead-avl`` in ``$XDG_CACHE_HOME`` or ``~/.cache``.
    """

    def __init__(self, stream: Stream, folder: Path | None = None) -> None:
        home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        self._own_kinds = any(":" in each.kind.path for each in stream.experiences)
        self._folder = folder or home / "onehead-avl" / "baselines"
        self._common = [digest_of(stream), digest_of_code()]
        self._name = stream.name

    def find(self, config: Resolved, strategy: str, seed: int) -> Record | None:
        """The results of a baseline that was run before, or ``None``: always with somebody's plugins or kinds."""
        if config.plugin or self._own_kinds:
            return None
        file = self._file(config, strategy, seed)
        try:
            record = Record.from_json(json.loads(file.read_text(encoding="utf-8")), file)
        except (OSError, ValueError, OutputError):  # never computed, or not readable: compute it
            return None
        # The same experiences may have been learned under another name of the stream.
        return replace(record, stream=self._name) if record.strategy == strategy else None

    def single_task(self, config: Resolved, seed: int) -> Scores:
        """The single-task values, as far as the cache knows them."""
        return single_task_of(self.find(config, SINGLE_TASK, seed))

    def keep(self, config: Resolved, strategy: str, seed: int, record: Record) -> None:
        """Keep the results of a baseline; a cache that cannot be written is done without.

        Results with somebody's plugins or kinds, whose code may change, are not kept; nor are those of another order of
        the experiences, whose random numbers differ.
        """
        if config.plugin or self._own_kinds or config != config.canonical():
            return
        file = self._file(config, strategy, seed)
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            write_json(file, record.as_json())
        except (OSError, OutputError):
            return

    def _file(self, config: Resolved, strategy: str, seed: int) -> Path:
        config = config.canonical()
        own = {name: getattr(config, name) for name in options_that(Affects.RESULTS, Affects.COURSE)}
        weights = digest_of_file(config.backbone_weights)
        where = environment(choose_device(config.device))
        key = json.dumps([self._common, where, own, weights, strategy, seed])
        return self._folder / f"{hashlib.sha256(key.encode()).hexdigest()}.json"


def single_task_of(record: Record | None) -> Scores:
    """The single-task values in the results of a run with a network for each experience; empty without any."""
    scores: dict[str, dict[str, float | None]] = {}
    for outcome in record.outcomes if record else ():
        scores.setdefault(outcome.measure.experience, {})[outcome.measure.metric] = outcome.just_learned
    return scores
