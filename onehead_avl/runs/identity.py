"""What the numbers of a run depend on, its configuration included, as values that a file can hold."""

import hashlib
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import onehead_avl
from onehead_avl.kinds import KINDS
from onehead_avl.runs.config import Config, Resolved, options_that
from onehead_avl.runs.options import Affects
from onehead_avl.system.device import choose_device, environment
from onehead_avl.system.sources import PROJECT, code_of
from scenarios.experience import Stream
from strategies.hyperparameters import options_of
from strategies.named import is_baseline

OPTIONS = "the strategy's options"
"""The entry of hyper-parameters."""

_CONTENTS = ("the data", "the program", OPTIONS, "the backbone's weights", "the weights to begin with")
_OWN_CODE = "the code of "


class Identities:
    """What each run of a command depends on; what they have in common is digested once, when the command begins.

    Args:
        stream: What is learned.
    """

    def __init__(self, stream: Stream) -> None:
        self._common = {"the data": digest_of(stream), "the program": digest_of_code()}
        self._code_of = cache(code_of)
        self._weights = cache(digest_of_file)

    def of(self, config: Resolved) -> dict[str, Any]:
        """All that the results of a run depend on, by what messages call it.

        Options are those that have a bearing on the results; what they name counts by its content. The code of what is
        imported by its path is that of the moment when it was first asked for.

        Args:
            config: With one strategy and one seed.
        """
        (strategy,) = config.strategy
        names = options_that(Affects.RESULTS, Affects.COURSE)
        names += [] if is_baseline(strategy) else options_that(Affects.METHODS)
        values = json.loads(json.dumps(config.as_dict()))
        modules = dict.fromkeys(path.partition(":")[0] for path in import_paths(config))
        codes = {module: self._code_of(module) for module in modules}
        return {
            **{f"--{name.replace('_', '-')}": values[name] for name in ("strategy", "seeds", *names)},
            **{f"the {name}": version for code in codes.values() for name, version in code.needs.items()},
            **{f"{_OWN_CODE}{module}": code.digest for module, code in codes.items() if code.digest},
            **self._common,
            **{f"the {name}": value for name, value in environment(choose_device(config.device)).items()},
            OPTIONS: json.dumps(options_of([strategy, *config.imported], config.set)[0]),
            "the backbone's weights": self._weights(config.backbone_weights),
            "the weights to begin with": self._weights(str(config.start_from)),
        }


def continued(config: Resolved, depends_on: Mapping[str, Any]) -> dict[str, Any]:
    """What a run must have in common with the one that it continues: what results depend on, and how it is logged.

    Loggers, and plugins that evaluate or write meanwhile, hold a state of their own, which a checkpoint restores.

    Args:
        config: Of the run.
        depends_on: Of :meth:`Identities.of`.
    """
    values = json.loads(json.dumps(config.as_dict()))
    return {**depends_on, **{f"--{name.replace('_', '-')}": values[name] for name in options_that(Affects.LOGS)}}


def import_paths(config: Config) -> list[str]:
    """All that a configuration names by ``module:attribute`` and that results depend on.

    The stream's kinds and readers are among it, loggers are not: they change no result.
    """
    described = config.described.experiences
    kinds = [KINDS.get(each.kind, each.kind) for each in described]
    readers = [each.format for each in described if each.format]
    named = [path for path in [*config.imported, *kinds, *readers] if ":" in path]
    return list(dict.fromkeys(path for path in named if path not in config.logger))


def other_results(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """What changed of all that makes results those of something else: its value of before and of now, by its name."""
    return {name: pair for name, pair in _changed(before, now).items() if _decides(name)}


def other_place(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """What changed of versions, device and threads, which move numbers but make them no results of something else."""
    return {name.removeprefix("the "): pair for name, pair in _changed(before, now).items() if not _decides(name)}


def _changed(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    names = dict.fromkeys([*now, *before])
    pairs = {name: (before.get(name), now.get(name)) for name in names}
    return {name: (old, new) for name, (old, new) in pairs.items() if old != new}


def _decides(name: str) -> bool:
    return name in _CONTENTS or name.startswith(("--", _OWN_CODE))


def digest_of(stream: Stream) -> str:
    """A checksum of the experiences with their images and annotations, wherever they lie."""
    digest = hashlib.blake2b()
    for each in stream.experiences:
        about = (each.name, each.kind.path, each.head, each.classes, len(each.train), len(each.val))
        digest.update(repr(about).encode())
        for sample in [*each.train, *each.val]:
            digest.update(sample.checksum().encode())
    return digest.hexdigest()


def digest_of_file(path: str) -> str:
    """A checksum of a file's bytes; what names no file stands for itself."""
    file = Path(path)
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else path


def digest_of_code() -> str:
    """A checksum of this project's sources: another version may give other numbers."""
    digest = hashlib.blake2b()
    root = Path(onehead_avl.__file__).parents[1]
    for package in PROJECT:
        for file in sorted((root / package).rglob("*.py")):
            digest.update(file.read_bytes())
    return digest.hexdigest()
