"""The keys that describe an experience, each read and checked. Importing it is cheap: no torch."""

import os
import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TypeVar

from yaml import MappingNode, Node, SequenceNode

from onehead_avl.kinds import KINDS
from scenarios.described import DRAWN, Described, Share
from scenarios.domains import DOMAIN_NAMES
from scenarios.read import FORMATS, Format
from scenarios.samples.source import Source
from scenarios.yaml_nodes import NodeReader, found, line_of, nearest, shortened

EXPERIENCE_KEYS = ("name", "kind", "path", "train", "val", "names", "ignore", "classes", "format", "head", "domain")
"""What a description may say of an experience."""

RESERVED = ("all",)
"""What commands understand where they are given the names of experiences."""

Keys = dict[str, Node]
"""The values of an experience by key."""

Value = TypeVar("Value", str, int)

_ON_DISK = ("path", "train", "val", "names", "ignore")
_LARGEST_CLASS, _LARGEST_VALUE = 254, 255

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_IMPORT_PATH = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")
_SHARE = re.compile(r"([0-9]{1,4})/([0-9]{1,4})")


def read_experience(node: Node, reader: NodeReader, folder: Path | None) -> tuple[Keys, Described | None]:
    """Read an experience.

    Args:
        node: What describes it.
        reader: Is told what is wrong.
        folder: Where relative paths start; ``None`` leaves them relative and does not look whether they exist.

    Returns:
        The values of its keys, and the experience; ``None`` in its place if something is wrong with it.
    """
    start = len(reader)
    keys = reader.fields(node, "experience", EXPERIENCE_KEYS)
    if not isinstance(node, MappingNode):
        return keys, None
    read = _ExperienceKeys(node, keys, reader)
    name, kind, layout = read.identifier("name"), read.kind(), read.layout()
    head, domain, classes = read.identifier("head"), read.domain(), read.classes()
    if layout == DRAWN:
        source = Source()
        read.nothing_on_disk()
    else:
        train, val = read.splits(kind, layout)
        names = read.names()
        read.named_by_data(kind, layout)
        source = Source(read.path(layout, folder), train, val, names, read.ignored(names or {}))
    if kind and layout:
        read.matches(kind, layout)
    if name is None or kind is None or len(reader) > start:
        return keys, None
    where = f"{reader.file}:{line_of(node)}"
    return keys, Described(name, kind, source, where, layout, classes, head or name, domain)


class _ExperienceKeys:
    """The keys of one experience; what is absent or wrong is answered by ``None`` or by the default."""

    def __init__(self, node: Node, keys: Keys, reader: NodeReader) -> None:
        self.node = node
        self.keys = keys
        self.reader = reader

    def wrong(self, key: str, problem: str, node: Node | None = None) -> None:
        """Note what is wrong with a key, in its line or in that of another node."""
        self.reader.add(line_of(node or self.keys.get(key, self.node)), f"{key}: {problem}")

    def text(self, key: str, required: str = "") -> str | None:
        """The text of a key; ``required`` says what it names, where it must not be left out."""
        if key in self.keys:
            return self.reader.text(self.keys[key], key)
        if required:
            self.wrong(key, f"expected {required}, found no such key; add it")
        return None

    def identifier(self, key: str) -> str | None:
        """A name that is good for files, columns and commands."""
        text = self.text(key, required="a name for every experience" if key == "name" else "")
        if text is not None and not _NAME.fullmatch(text):
            wanted = "at most 64 of the letters a to z, digits, _, - and ., the first a letter or digit"
            self.wrong(key, f"expected {wanted}; found {found(self.keys[key])}; rename it")
            return None
        if text in RESERVED:
            self.wrong(key, f"expected another name than {text}, which commands read as every experience; rename it")
        return text

    def choice(self, key: str, known: Collection[str], required: str = "") -> str | None:
        """One of the names known, or an import path, of which only the form is looked at."""
        text = self.text(key, required)
        if text is None or text in known or _IMPORT_PATH.fullmatch(text):
            return text
        wanted = f"one of {', '.join(known)}, or module:name"
        self.wrong(key, f"expected {wanted}; found {found(self.keys[key])}{nearest(text, known)}; correct it")
        return None

    def kind(self) -> str | None:
        """The kind of task."""
        return self.choice("kind", KINDS, required="a kind of task for every experience")

    def layout(self) -> str | None:
        """The layout on disk."""
        return self.choice("format", [*(each.name for each in FORMATS), DRAWN])

    def domain(self) -> str | None:
        """The change of appearance."""
        text = self.text("domain")
        if text is not None and text not in DOMAIN_NAMES:
            near = nearest(text, DOMAIN_NAMES)
            wanted = f"one of {', '.join(DOMAIN_NAMES)}"
            self.wrong("domain", f"expected {wanted}; found {found(self.keys['domain'])}{near}; correct it")
        return text

    def matches(self, kind: str, layout: str) -> None:
        """Look whether a layout holds annotations of a kind; who brings a kind of their own knows what it reads."""
        fit = [each.name for each in FORMATS if each.kind == kind]
        if kind in KINDS and any(each.name == layout for each in FORMATS) and layout not in fit:
            wanted = f"a format of the kind {kind} ({', '.join(fit)})"
            self.wrong("format", f"expected {wanted}, found {layout}; name another one or leave it out")

    def classes(self) -> tuple[str, ...] | Share | None:
        """Some of the classes, or a share of them."""
        if "classes" not in self.keys:
            return None
        node = self.keys["classes"]
        if not isinstance(node, SequenceNode):
            return self.share(node)
        if not node.value:
            self.wrong("classes", "expected at least one class, found an empty list; add one or leave the key out")
        names = [self.reader.name(each, "classes") for each in node.value]
        return tuple(self.each_once("classes", names, node.value))

    def share(self, node: Node) -> Share | None:
        """A share of the classes, such as ``1/2``."""
        match = _SHARE.fullmatch(node.value) if isinstance(node.value, str) else None
        if not match:
            self.wrong("classes", f"expected a list of names, or a share such as 1/2; found {found(node)}; correct it")
            return None
        number, of = map(int, match.groups())
        if not 1 <= number <= of:
            self.wrong("classes", f"expected a share such as 1/2 or 2/2, found {node.value}; correct it")
        return Share(number, of)

    def path(self, layout: str | None, folder: Path | None) -> Path | None:
        """The folder or file of the images; a reader that somebody brings may need none."""
        optional = layout is not None and ":" in layout
        text = self.text("path", required="" if optional else "the folder or file that holds the images")
        if text is None:
            return None
        path = Path(text)
        if not path.is_absolute() and ".." in path.parts:
            wanted = "a path within the folder of this file"
            self.wrong("path", f"expected {wanted}, found {shortened(text)}; data elsewhere has an absolute path")
        elif folder is not None:
            path = folder / path
            if not os.path.exists(path):  # unlike Path.exists, it answers for names that no file can have
                self.wrong("path", f"expected a folder or file {path}, found none; correct the path")
        return path

    def splits(self, kind: str | None, layout: str | None) -> tuple[dict[str, str], dict[str, str]]:
        """Where the parts of the two splits are."""
        for key, other in (("train", "val"), ("val", "train")):
            if key in self.keys and other not in self.keys:
                self.wrong(key, f"expected {other}: beside it, found {key}: alone; say where both splits are")
        return self.split("train", kind, layout), self.split("val", kind, layout)

    def split(self, key: str, kind: str | None, layout: str | None) -> dict[str, str]:
        """Where the parts of a split are within the path."""
        if key not in self.keys:
            return {}
        formats = _formats(kind, layout)
        known = tuple(dict.fromkeys(inner for each in formats for inner in each.keys))
        if formats and not known:
            self.wrong(key, f"expected no such key, because {_called(formats)} has splits of its own; remove it")
            return {}
        start = len(self.reader)
        fields = self.reader.fields(self.keys[key], key, known)
        if not fields and len(self.reader) == start:
            self.wrong(key, "expected at least one key in it, found none; add one or leave it out")
        places = {inner: (node, self.reader.text(node, f"{key}.{inner}")) for inner, node in fields.items()}
        for inner, (node, text) in places.items():
            if text is not None and (Path(text).is_absolute() or ".." in Path(text).parts):
                problem = (
                    f"expected a path within path:, found {shortened(text)}; move it there or choose a path: above"
                )
                self.wrong(f"{key}.{inner}", problem, node)
        return {inner: text for inner, (_, text) in places.items() if text is not None}

    def names(self) -> dict[int, str] | None:
        """Class names by the values that stand for them."""
        if "names" not in self.keys:
            return None
        start = len(self.reader)
        pairs = self.reader.pairs(self.keys["names"], "names")
        if not pairs and len(self.reader) == start:
            self.wrong("names", "expected at least one class, found none; add one or leave the key out")
        values = [self.reader.whole(node, "names", _LARGEST_CLASS) for node, _ in pairs]
        names = [self.reader.name(node, "names") for _, node in pairs]
        self.each_once("names", names, [node for _, node in pairs])
        both = zip(values, names, strict=True)
        return {value: name for value, name in both if value is not None and name is not None}

    def ignored(self, names: Collection[int]) -> tuple[int, ...]:
        """The mask values that are neither learned nor scored."""
        if "ignore" not in self.keys:
            return Source().ignore
        nodes = self.reader.items(self.keys["ignore"], "ignore") or []
        values = [self.reader.whole(node, "ignore", _LARGEST_VALUE) for node in nodes]
        for node, value in zip(nodes, values, strict=True):
            if value is not None and value in names:
                problem = f"expected values that are no class, found {value}, which names: has; remove one of them"
                self.wrong("ignore", problem, node)
        return tuple(self.each_once("ignore", values, nodes))

    def named_by_data(self, kind: str | None, layout: str | None) -> None:
        """Look that nothing is named anew where a layout has names of its own."""
        formats = _formats(kind, layout)
        for key in ("names", "ignore"):
            if key in self.keys and formats and not any(each.named for each in formats):
                self.wrong(key, f"expected no such key, because {_called(formats)} names its classes; remove it")

    def nothing_on_disk(self) -> None:
        """Look that drawn images are not said to be anywhere."""
        for key in _ON_DISK:
            if key in self.keys:
                self.wrong(key, f"expected no such key, because images of the format {DRAWN} are on no disk; remove it")

    def each_once(self, key: str, values: Sequence[Value | None], nodes: Sequence[Node]) -> list[Value]:
        """The values that are there, of which each may be there once."""
        first: dict[Value, Node] = {}
        for value, node in zip(values, nodes, strict=True):
            if value is not None and first.setdefault(value, node) is not node:
                there = f"{shortened(str(value))} in line {line_of(first[value])} too"
                self.wrong(key, f"expected each once, found {there}; remove one", node)
        return list(first)


def _formats(kind: str | None, layout: str | None) -> list[Format]:
    """The layouts that an experience may be of; none where only somebody's own code knows."""
    if layout is not None:
        return [each for each in FORMATS if each.name == layout]
    return [each for each in FORMATS if each.kind == kind]


def _called(formats: Sequence[Format]) -> str:
    """Name layouts in a sentence."""
    return f"the format {' or '.join(each.name for each in formats)}"
