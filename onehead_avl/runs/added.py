"""Finished runs that were made by hand or on another machine, as runs of a comparison."""

import filecmp
import shutil
from collections.abc import Sequence
from pathlib import Path

from onehead_avl.errors import OutputError, UsageError
from onehead_avl.evaluation.record import Record
from onehead_avl.runs.config import Config
from onehead_avl.runs.identity import Identities
from onehead_avl.runs.plan import RESULTS, Planned, plan, record_in


def add_runs(runs: Sequence[Path], config: Config, folder: Path, identities: Identities) -> None:
    """Copy runs to where a comparison would have written them; all of them, or none if one does not belong there.

    Args:
        runs: Their folders.
        config: Of the comparison, checked.
        folder: Of the comparison.
        identities: What its runs depend on.

    Raises:
        UsageError: A folder holds no run that ended, or one of another comparison, or there is another in its place.
        OutputError: One cannot be read, or copied.
    """
    places: dict[Path, Path] = {}
    for source in runs:
        record = record_in(source)
        if record is None:
            raise UsageError(f"--add expects folders of runs that ended, found no {RESULTS} in {source}; leave it out")
        place = _place(source, record, config, folder, identities)
        if place in places:
            raise UsageError(f"--add expects a run once, but {places[place]} and {source} are the same; leave one out")
        if not place.exists():
            places[place] = source
        elif not _same(source, place):
            raise UsageError(
                f"--add {source} would be {place}, where there is something else already; remove it, or leave this out"
            )
    for place, source in places.items():
        _copy(source, place)
        print(f"{place.name}: added from {source}")


def _place(source: Path, record: Record, config: Config, folder: Path, identities: Identities) -> Path:
    """Where a comparison would write a run, if it is one of its runs."""
    asked = record.strategy in config.strategy  # otherwise --set says nothing of it
    reasons = []
    for planned in _candidates(record, config, folder):
        other = planned.other_than(record, identities.of(planned.config), any_options=not asked)
        if not other:
            return planned.folder
        reasons.append(other)
    said = reasons[-1] if reasons else f"of a stream of {', '.join(each.name for each in record.experiences)}"
    raise UsageError(f"--add {source}: expected a run of this comparison, found one {said}; leave it out")


def _candidates(record: Record, config: Config, folder: Path) -> list[Planned]:
    """The runs of a comparison that have the strategy and the seed of a record, those of the same order last."""
    if [each.name for each in record.experiences] != list(config.described.names):
        return []
    runs = plan(config.but(strategy=(record.strategy,), seeds=(record.seed,)), folder)
    own = [planned for planned in runs if planned.strategy == record.strategy]
    return sorted(own, key=lambda planned: planned.config.order == record.order)


def _same(source: Path, place: Path) -> bool:
    return (place / RESULTS).exists() and filecmp.cmp(source / RESULTS, place / RESULTS, shallow=False)


def _copy(source: Path, place: Path) -> None:
    """Copy a folder, whole or not at all."""
    part = place.with_name(f".{place.name}.part")
    try:
        shutil.rmtree(part, ignore_errors=True)
        shutil.copytree(source, part)
        part.rename(place)
    except (OSError, shutil.Error) as error:
        shutil.rmtree(part, ignore_errors=True)
        raise OutputError(f"{source} could not be copied to {place} ({error}); check both, and the disk") from None
