"""Checking files on all cores, and remembering what was found. Importing it is cheap: no torch."""

import hashlib
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import PIL
from tqdm import tqdm

from onehead_avl.errors import OutputError
from onehead_avl.system.files import write_text
from onehead_avl.system.places import cache_folder
from scenarios.samples.facts import Facts, Stamp, stamp_of

VERSION = 1
"""Of what is remembered: raised when looking at the same file would tell something else."""

_SETTLED = 2.0
"""Seconds after which a file that changes again has another time: some file systems count no finer."""

_MOST = 100
"""Folders of files that are remembered: of more, those that were not checked for longest are forgotten."""


def check(files: Sequence[Path], look: Callable[[Path], Facts], title: str) -> list[Facts]:
    """Tell what is known of files: remembered of those that have the size and the time they had, and looked at anew.

    Files are decoded by as many threads as there are cores: decoding and checksums do not hold Python's lock.

    Args:
        files: What to check.
        look: Decodes a file: :func:`~scenarios.samples.facts.picture_facts` or ``mask_facts``.
        title: What is checked, such as ``segmentation train``; with a progress bar if it takes long.

    Returns:
        The facts of each file, in the order given.
    """
    memory = _Memory(files, look)
    stamps = [stamp_of(file) for file in files]
    found = [memory.recall(file, stamp) for file, stamp in zip(files, stamps, strict=True)]
    unknown = [position for position, facts in enumerate(found) if facts is None]
    threads = ThreadPoolExecutor(os.cpu_count())
    try:
        looked = threads.map(look, [files[position] for position in unknown])
        # `with` clears the bar before an error is printed.
        with tqdm(total=len(unknown), desc=f"checking {title}", unit="file", leave=False, disable=None, delay=1) as bar:
            for position, facts in zip(unknown, looked, strict=True):
                found[position] = replace(facts, stamp=stamps[position])
                bar.update()
    finally:  # what was found before Ctrl-C is remembered too
        threads.shutdown(cancel_futures=True)
        if any(found[position] is not None for position in unknown):
            memory.keep({file: facts for file, facts in zip(files, found, strict=True) if facts is not None})
    return [facts for facts in found if facts is not None]


class _Memory:
    """What was found in earlier checks of a folder's files, in a file of the user's cache.

    Args:
        files: Some files, by the folders of which it is found again.
        look: Of which the facts are.
    """

    def __init__(self, files: Sequence[Path], look: Callable[[Path], Facts]) -> None:
        self._folder = os.path.commonpath({file.absolute().parent for file in files}) if files else ""
        key = os.fsencode(f"{VERSION} {PIL.__version__} {look.__name__} {self._folder}")
        name = hashlib.blake2b(key, digest_size=16).hexdigest()
        self._file = cache_folder() / "checked" / f"{name}.json"
        try:
            self._known = json.loads(self._file.read_text(encoding="utf-8"))
            os.utime(self._file)  # the time of its last use
        except (OSError, ValueError, RecursionError):  # never written, or broken: look again
            self._known = {}
        if not isinstance(self._known, dict):
            self._known = {}

    def recall(self, file: Path, stamp: Stamp | None) -> Facts | None:
        """The facts of a file that has not changed since; ``None`` for others."""
        entry = self._known.get(self._name(file))
        try:
            size, time_ns, (height, width), digest, orientation, frames, values, misplaced = entry
            if (size, time_ns) != stamp:
                return None
            return Facts((height, width), digest, orientation, frames, tuple(values), tuple(misplaced), stamp=stamp)
        except (TypeError, ValueError):
            return None

    def keep(self, found: Mapping[Path, Facts]) -> None:
        """Remember facts beside those of other files; a cache that cannot be written is done without.

        Problems are not remembered: that of a file which might not be read, say, goes without a change of the file.
        """
        settled = time.time_ns() - int(_SETTLED * 1e9)
        for file, facts in found.items():
            if facts.stamp is None or facts.stamp[1] >= settled or facts.problem:
                self._known.pop(self._name(file), None)
            else:
                self._known[self._name(file)] = [
                    *(*facts.stamp, facts.size, facts.digest, facts.orientation, facts.frames),
                    *(facts.values, facts.misplaced),
                ]
        with suppress(OSError, OutputError):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            write_text(self._file, json.dumps(self._known))
            for least_used in sorted(self._file.parent.glob("*.json"), key=os.path.getmtime)[:-_MOST]:
                least_used.unlink()

    def _name(self, file: Path) -> str:
        return os.fspath(file.absolute())[len(self._folder) :]
