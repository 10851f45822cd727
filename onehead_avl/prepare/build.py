"""Building a data folder from the official archives."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from onehead_avl.errors import DataError, OutputError
from onehead_avl.prepare import sources
from onehead_avl.prepare.archives import Tree, open_tree
from onehead_avl.prepare.arrange import publish, require_new, stage
from onehead_avl.prepare.coco import Coco
from onehead_avl.prepare.download import fetch, is_official
from onehead_avl.prepare.imagenette import Imagenette
from onehead_avl.prepare.lock import exclusive
from onehead_avl.prepare.manifest import MANIFEST, VERSION, read_manifest, require_same
from onehead_avl.prepare.official import NewFile, OfficialSet
from onehead_avl.prepare.options import Options
from onehead_avl.prepare.progress import bar, in_gigabytes
from onehead_avl.prepare.selection import Candidate, Distinct, draw, take_all
from onehead_avl.prepare.sources import locate, needed_archives
from onehead_avl.prepare.space import missing_bytes, picture_bytes, require_space
from onehead_avl.prepare.voc import Voc
from scenarios.challenge import KINDS
from scenarios.samples.source import SPLITS

Say = Callable[[str], None]


def build(root: Path, options: Options, given: Sequence[str], keep_raw: bool, say: Say) -> dict[str, Any]:
    """Fetch what is needed, draw the sets and write them; continue what was interrupted, repeat nothing that is done.

    Args:
        root: The data folder; made if there is none.
        options: What to build.
        given: Folders and addresses to take the archives from; without any the official ones.
        keep_raw: Keep what was fetched, in ``root/raw``.
        say: Is told what is going on.

    Returns:
        The manifest.

    Raises:
        OutputError: Another process is at work in ``root``, it holds other data, or the disk is too full.
        DownloadError: An archive cannot be had.
        DataError: An archive is not the official one, holds too few pictures, or ``root`` was changed since.
        OSError: ``root`` cannot be written.
    """
    raw = root / "raw"
    with exclusive(root) as work:
        staged = work / "tree"
        publish(staged, root)
        if (root / MANIFEST).exists():
            _require_same_options(root, options)
            say(f"{root} is already prepared")
        else:
            require_new(root)
            keys = needed_archives(options.tasks, full=options.sizes is None)
            places = {key: locate(sources.ARCHIVES[key], given) for key in keys}
            _write(staged, raw, places, options, say)
            publish(staged, root)
        manifest = read_manifest(root)
        require_same(root, manifest)
        if not keep_raw and raw.resolve() not in [Path(source).resolve() for source in given]:
            _remove(raw)
    return manifest


def _require_same_options(root: Path, options: Options) -> None:
    found = read_manifest(root)["options"]
    if found != options.as_dict():
        raise OutputError(
            f"{root} already holds data prepared with other options ({found} instead of {options.as_dict()}); choose "
            "another --root"
        )


def _write(staged: Path, raw: Path, places: Mapping[str, Path | list[str]], options: Options, say: Say) -> None:
    """Fetch, draw and write."""
    downloads = [sources.ARCHIVES[key] for key, place in places.items() if not isinstance(place, Path)]
    require_space(raw.parent, missing_bytes(downloads, raw), picture_bytes(options))
    trees = {key: _open(key, place, raw, say) for key, place in places.items()}
    sets, seen = {}, Distinct()
    for task in options.tasks:
        official = _official(task, trees, options)
        sets[task] = (official, _choose(task, official, options, seen))
    head = {
        "version": VERSION,
        "options": options.as_dict(),
        "sets": {
            task: {split: official.summary(chosen[split]) for split in SPLITS}
            for task, (official, chosen) in sets.items()
        },
        "left_out": {"same_picture": seen.repeated},
    }
    stage(staged, _files(sets), head)


def _open(key: str, place: Path | list[str], raw: Path, say: Say) -> Tree:
    archive = sources.ARCHIVES[key]
    if isinstance(place, Path):
        say(f"{archive.name}: using {place}")
        if place.is_file() and not is_official(place, archive):
            raise DataError(
                f"{place}: expected the official archive, found other bytes (wrong checksum); fetch it again"
            )
    else:
        say(f"{archive.name}: {in_gigabytes(archive.size)} from {place[0]}")
        raw.mkdir(exist_ok=True)
        place = fetch(archive, place, raw)
    return open_tree(place, archive.folder)


def _official(task: str, trees: Mapping[str, Tree], options: Options) -> OfficialSet:
    if task == "seg":
        return Voc(trees["voc"])
    if task == "cls":
        return Imagenette(trees["imagenette"])
    pictures = {"val": trees["coco_val"]} | ({"train": trees["coco_train"]} if "coco_train" in trees else {})
    return Coco(trees["coco_annotations"], pictures, options.categories)


def _choose(task: str, official: OfficialSet, options: Options, seen: Distinct) -> dict[str, list[Candidate]]:
    total = len(official.candidates) if options.sizes is None else sum(options.sizes.values())
    with bar(f"choosing {KINDS[task]}", total, "picture") as progress:

        def usable(candidate: Candidate) -> bool:
            progress.update()
            return seen.take(official.decode(candidate).digest)

        if options.sizes is None:
            return take_all(official.candidates, official.pools, usable)
        chosen = draw(official.candidates, official.pools, options.sizes, options.seed, usable)
    for split, pictures in chosen.items():
        if len(pictures) < options.sizes[split]:
            raise DataError(
                f"{KINDS[task]}: expected {options.sizes[split]} pictures for {split}, found {len(pictures)} in the "
                f"official {official.pools[split]} split; ask for fewer with --{split}"
            )
    return chosen


def _files(sets: Mapping[str, tuple[OfficialSet, Mapping[str, Sequence[Candidate]]]]) -> Iterator[NewFile]:
    total = sum(len(pictures) for _, chosen in sets.values() for pictures in chosen.values())
    with bar("writing", total, "file") as progress:
        for official, chosen in sets.values():
            for split in SPLITS:
                for file in official.files(split, chosen[split]):
                    yield file
                    progress.update()


def _remove(raw: Path) -> None:
    """Remove what was fetched, now or by an interrupted call."""
    for archive in sources.ARCHIVES.values():
        (raw / archive.name).unlink(missing_ok=True)
        (raw / f"{archive.name}.part").unlink(missing_ok=True)
    with suppress(OSError):  # absent, or something of the user's is in it
        raw.rmdir()
