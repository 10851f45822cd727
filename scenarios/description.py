"""A stream as YAML, and back. Importing it is cheap: no torch."""

import os
from collections import Counter
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

import yaml
from yaml import Node, ScalarNode

from onehead_avl.errors import UsageError
from onehead_avl.kinds import KINDS
from scenarios.described import Described, Description, Share
from scenarios.experience_keys import Keys, read_experience
from scenarios.samples.findings import SHOWN
from scenarios.samples.source import Source
from scenarios.yaml_nodes import MOST_BYTES, NodeReader, found, line_of, nearest, shortened

STREAMS = resources.files("scenarios.streams")
"""The folder of the ready-made streams."""

READY_MADE = tuple(sorted(file.name[:-5] for file in STREAMS.iterdir() if file.name.endswith(".yaml")))
"""The names of the ready-made streams."""

_SUFFIXES = (".yaml", ".yml")


def read_description(name_or_file: str) -> Description:
    """Read a ready-made stream by its name, or a file that describes one.

    Args:
        name_or_file: One of :data:`READY_MADE`, or a path that ends in ``.yaml`` or ``.yml``.

    Raises:
        UsageError: There is no such stream or file, or what it says is wrong: all problems, each with its line and key.

    Example:
        >>> read_description("split6").names
        ('seg-1', 'det-1', 'cls-1', 'seg-2', 'det-2', 'cls-2')
    """
    if name_or_file in READY_MADE:
        data = STREAMS.joinpath(f"{name_or_file}.yaml").read_bytes()
        return Description(name_or_file, described_in(data, f"scenarios/streams/{name_or_file}.yaml", folder=None))
    file = Path(name_or_file)
    if file.suffix not in _SUFFIXES:
        raise UsageError(
            f"unknown stream {shortened(name_or_file)!r}: expected one of {', '.join(READY_MADE)}, "
            f"or a file that ends in {' or '.join(_SUFFIXES)}{nearest(name_or_file, READY_MADE)}"
        )
    if not os.path.isfile(file):  # unlike Path.is_file, it answers for names that no file can have
        raise UsageError(f"{file}: expected a file that describes a stream, found none; correct the path")
    try:
        with file.open("rb") as opened:
            data = opened.read(MOST_BYTES + 1)
    except OSError as error:
        raise UsageError(
            f"{file}: expected a file that can be read, found {error.strerror}; make it readable"
        ) from error
    return Description(file.stem, described_in(data, str(file), file.parent.absolute()), file)


def described_in(data: bytes, shown: str, folder: Path | None) -> tuple[Described, ...]:
    """Read the experiences that a file describes.

    Args:
        data: What the file holds.
        shown: The file as messages name it.
        folder: Where relative paths start; ``None`` leaves them relative and does not look whether they exist.

    Raises:
        UsageError: Something of it is wrong: all problems, each with its line and key.
    """
    reader = NodeReader(shown)
    root = reader.compose(data)
    experiences = [] if len(reader) else [read_experience(node, reader, folder) for node in _listed(root, reader)]
    _compare_names([keys for keys, _ in experiences], reader)
    _compare_heads([(keys, each) for keys, each in experiences if each], reader)
    reader.refuse()
    return tuple(each for _, each in experiences if each)


def as_yaml(description: Description) -> str:
    """Write a stream as YAML, from which :func:`read_description` reads the same experiences.

    Paths are written as they are. Those of a ready-made stream are relative to a data folder: place it by
    :meth:`~scenarios.described.Description.on`, with an absolute one, to read it again from wherever it is written.
    """
    experiences = [_as_mapping(each) for each in description.experiences]
    return yaml.safe_dump({"experiences": experiences}, sort_keys=False, allow_unicode=True, width=120)


def _as_mapping(each: Described) -> dict[str, object]:
    source, classes = each.source, each.classes
    values = {
        "name": each.name,
        "kind": each.kind,
        "path": None if source.path is None else str(source.path),
        "train": dict(source.train) or None,
        "val": dict(source.val) or None,
        "names": None if source.names is None else dict(source.names),
        "ignore": None if source.ignore == Source().ignore else list(source.ignore),
        "classes": f"{classes.number}/{classes.of}" if isinstance(classes, Share) else classes and list(classes),
        "format": each.format,
        "head": None if each.head in ("", each.name) else each.head,
        "domain": each.domain,
    }
    return {key: value for key, value in values.items() if value is not None}


def _listed(root: Node | None, reader: NodeReader) -> Sequence[Node]:
    """The experiences in the document of a file."""
    if root is None:
        reader.add(1, "experiences: expected a list of experiences, found an empty file; write one")
        return ()
    start = len(reader)
    keys = reader.fields(root, "description", ("experiences",))
    if "experiences" not in keys:
        if len(reader) == start:
            reader.add(line_of(root), "experiences: expected a list of experiences, found no such key; add it")
        return ()
    nodes = reader.items(keys["experiences"], "experiences")
    if nodes == []:
        reader.add(line_of(root), "experiences: expected at least one experience, found an empty list; add one")
    return nodes or ()


def _compare_names(experiences: Sequence[Keys], reader: NodeReader) -> None:
    """Find names that are there twice, or are one name to file systems that do not tell A from a."""
    first: dict[str, Node] = {}
    for node in (keys["name"] for keys in experiences if isinstance(keys.get("name"), ScalarNode)):
        other = first.setdefault(node.value.lower(), node)
        if other is not node:
            line = line_of(other)
            as_file = f"and {found(other)} in line {line}, which may be one file"
            there = f"in line {line} too" if other.value == node.value else as_file
            reader.add(line_of(node), f"name: expected a name of its own, found {found(node)} {there}; rename one")


def _compare_heads(experiences: Sequence[tuple[Keys, Described]], reader: NodeReader) -> None:
    """Find experiences that share a head though they differ, and heads that nothing shares."""
    first: dict[str, Described] = {}
    for keys, each in experiences:
        other = first.setdefault(each.head, each)
        here = line_of(keys.get("head", keys["name"]))
        shared = f"because both have the head {each.head}; name another head"
        if KINDS.get(each.kind, each.kind) != KINDS.get(other.kind, other.kind):
            reader.add(here, f"head: expected the kind of {other.name}, {other.kind}, found {each.kind}, {shared}")
        elif each.classes != other.classes:
            reader.add(here, f"head: expected the classes: of {other.name}, found other ones, {shared}")
    if len(reader):  # what shares the head may be what is wrong
        return
    heads = Counter(each.head for _, each in experiences)
    lone = {each.head for _, each in experiences if heads[each.head] == 1 and each.head != each.name}
    others = [head for head in heads if head not in lone]
    known = f" ({shortened(', '.join(others))})" if others else ""
    for keys, each in experiences:
        if each.head in lone:
            near = nearest(each.head, others) if len(reader) < SHOWN else ""
            problem = f"expected the head of another experience{known}, found {each.head}, which no other has{near}"
            reader.add(line_of(keys["head"]), f"head: {problem}; correct it or leave it out")
