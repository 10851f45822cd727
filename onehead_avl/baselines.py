"""Baselines are computed once: the results of the same configuration are kept in the user's cache and found again."""

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path

from onehead_avl.config import Config
from onehead_avl.device import choose_device, environment
from onehead_avl.errors import OutputError
from onehead_avl.files import write_json
from onehead_avl.tasks import Task
from scenarios.sample import Sample, TaskData

_SOURCES = ("onehead_avl", "scenarios", "strategies")
_APART = ("data", "backbone_weights", "order", "epochs", "strategy", "seeds")
"""Options that the key of a baseline holds in a form of its own."""

_IRRELEVANT = ("output", "replay_size", "replay_batch", "set", "plugin", "workers", "checkpoint_every", "resume")
"""Options that change nothing about a baseline's results."""


def canonical(config: Config) -> Config:
    """A resolved configuration with its tasks in the order of :class:`~onehead_avl.tasks.Task`."""
    pairs = sorted(zip(config.order, config.epochs, strict=True), key=lambda pair: Task.from_key(pair[0]))
    return replace(config, order=tuple(key for key, _ in pairs), epochs=tuple(epochs for _, epochs in pairs))


class BaselineCache:
    """Results of finished baseline runs, found again by all that they depend on: data, configuration, code, versions.

    Args:
        data: The pictures of the three tasks.
        folder: Where they are kept; by default ``onehead-avl`` in ``$XDG_CACHE_HOME`` or ``~/.cache``.
    """

    def __init__(self, data: Sequence[TaskData], folder: Path | None = None) -> None:
        home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        self._folder = folder or home / "onehead-avl" / "baselines"
        self._common = [digest_of(data), digest_of_code()]

    def find(self, config: Config, strategy: str, seed: int) -> dict | None:
        """The results of a baseline that was run before, or ``None``; with somebody's plugins, it always is."""
        if config.plugin:
            return None
        try:
            results = json.loads(self._file(config, strategy, seed).read_text(encoding="utf-8"))
        except (OSError, ValueError):  # never computed, or not readable: compute it
            return None
        return results if isinstance(results, dict) and results.get("strategy") == strategy else None

    def single_task(self, config: Config, seed: int) -> dict[str, float | None]:
        """The single-task value of each metric, as far as the cache knows them."""
        return single_task_of(self.find(config, "from-scratch", seed))

    def keep(self, config: Config, strategy: str, seed: int, results: dict) -> None:
        """Keep the results of a baseline; a cache that cannot be written is done without.

        Results with somebody's plugins, whose code may change, are not kept; nor are those of another order of the
        tasks, whose random numbers differ.
        """
        if config.plugin or config != canonical(config):
            return
        file = self._file(config, strategy, seed)
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            write_json(file, results)
        except (OSError, OutputError):
            return

    def _file(self, config: Config, strategy: str, seed: int) -> Path:
        names = [each.name for each in fields(config) if each.name not in (*_APART, *_IRRELEVANT)]
        own = {name: getattr(config, name) for name in names}
        weights = digest_of_file(config.backbone_weights)
        config = canonical(config)
        where = environment(choose_device(config.device))
        key = json.dumps([self._common, where, own, weights, config.order, config.epochs, strategy, seed])
        return self._folder / f"{hashlib.sha256(key.encode()).hexdigest()}.json"


def single_task_of(results: dict | None) -> dict[str, float | None]:
    """The single-task values in the results of a ``from-scratch`` run; empty without any."""
    if results is None:
        return {}
    outcomes = results["metrics"]["outcomes"]
    return {metric: outcome["just_learned"] for metric, outcome in outcomes.items()}


def digest_of(data: Sequence[TaskData]) -> str:
    """A checksum of pictures and annotations, wherever they lie."""
    digest = hashlib.blake2b()
    for part in sorted(data, key=lambda part: part.task):
        digest.update(repr((int(part.task), part.classes, len(part.train), len(part.val))).encode())
        for sample in [*part.train, *part.val]:
            _add(digest, sample)
    return digest.hexdigest()


def _add(digest, sample: Sample) -> None:
    for value in (sample.image, sample.mask, sample.boxes, sample.labels, sample.crowd):
        if value is not None:
            digest.update(repr(tuple(value.shape)).encode())
            digest.update(value.contiguous().numpy())
    digest.update(repr(sample.label).encode())


def digest_of_file(path: str) -> str:
    """A checksum of a file's bytes; what names no file stands for itself."""
    file = Path(path)
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else path


def digest_of_code() -> str:
    """A checksum of this project's sources: another version may give other numbers."""
    digest = hashlib.blake2b()
    root = Path(__file__).parents[1]
    for package in _SOURCES:
        for file in sorted((root / package).rglob("*.py")):
            digest.update(file.read_bytes())
    return digest.hexdigest()
