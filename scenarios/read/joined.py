"""Files that belong together because they have the same name but for the suffix."""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable
from pathlib import Path
from typing import TypeVar

from scenarios.samples.findings import LEFT_OUT, Finding

Key = TypeVar("Key", bound=Hashable)


def by_stem(paths: Iterable[Path], findings: list[Finding], *, pictures: bool) -> dict[str, Path]:
    """Return files by their names without suffix, as :func:`by_key` does."""
    return by_key(paths, lambda path: path.stem, findings, pictures=pictures)


def by_key(
    paths: Iterable[Path], key: Callable[[Path], Key], findings: list[Finding], *, pictures: bool
) -> dict[Key, Path]:
    """Return files by what others know them by.

    Args:
        paths: The files.
        key: Gives what a file is known by.
        findings: Is added to: several files have one key, and nothing tells which of them is meant.
        pictures: Whether they count as pictures.

    Returns:
        The files that are alone with their key.
    """
    named: dict[Key, list[Path]] = defaultdict(list)
    for path in paths:
        named[key(path)].append(path)
    for same in named.values():
        for path in same if len(same) > 1 else ():
            other = same[0] if path is not same[0] else same[1]
            problem = f"expected one file of this name, found {other.name} too; remove one"
            findings.append(Finding(path, problem, repair=LEFT_OUT, pictures=int(pictures)))
    return {name: same[0] for name, same in named.items() if len(same) == 1}


def name_below(folder: Path, path: Path) -> str:
    """The name of a file without suffix, and with the folders between it and ``folder``."""
    return path.relative_to(folder).with_suffix("").as_posix()
