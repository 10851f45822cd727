"""Files that belong together because they have the same name but for the suffix."""

from collections.abc import Iterable
from pathlib import Path

from scenarios.samples.findings import Finding


def by_stem(paths: Iterable[Path], findings: list[Finding]) -> dict[str, Path]:
    """Return files by their names without suffix; of two with one name the first, and the second is a finding."""
    named: dict[str, Path] = {}
    for path in paths:
        if path.stem in named:
            findings.append(Finding(path, f"expected one file of this name, found {named[path.stem]} too; remove one"))
        named.setdefault(path.stem, path)
    return named
