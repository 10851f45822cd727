"""YAML whose every value knows its line. What is wrong with a file is collected, and refused all at once.

Importing it is cheap: no torch.
"""

import difflib
import re
from collections.abc import Collection
from operator import itemgetter
from pathlib import Path

import yaml
from yaml import MappingNode, Node, ScalarNode, SequenceNode

from onehead_avl.errors import UsageError
from scenarios.samples.findings import SHOWN, Finding

MOST_BYTES = 500_000
"""The largest file that is read: PyYAML takes seconds for it."""

MOST_NESTED = 20
"""How deep lists and mappings may lie within each other."""

_TAG = "tag:yaml.org,2002:"
_READ_AS = {"bool": "a truth value", "int": "a number", "float": "a number", "null": "nothing", "timestamp": "a date"}
_LONGEST = 80  # characters of a value in a message: a broken file may hold values of any length


class NodeReader:
    """Reads YAML nodes as what is wanted of them, and keeps a list of what is wrong.

    Its methods answer ``None``, or leave out what they cannot use, after they have added a problem to the list.

    Args:
        file: The file as messages name it.
    """

    def __init__(self, file: str) -> None:
        self.file = file
        self._problems: list[tuple[int, str]] = []

    def __len__(self) -> int:
        """How many problems there are."""
        return len(self._problems)

    def add(self, line: int, problem: str) -> None:
        """Add a problem: a line, from 1, and what was expected, what was found and what to do."""
        self._problems.append((line, problem))

    def refuse(self) -> None:
        """Raise all problems at once.

        Raises:
            UsageError: There is one: its sentence; or there are more: their number, and a line for each.
        """
        shown = sorted(self._problems, key=itemgetter(0))[:SHOWN]
        lines = [str(Finding(Path(f"{self.file}:{line}"), problem)) for line, problem in shown]
        if len(self) == 1:
            raise UsageError(lines[0])
        if lines:
            head = f"{len(self)} problems in {self.file}: the stream cannot be used until each of them is mended"
            more = [f"... and {len(self) - SHOWN} more"] if len(self) > SHOWN else []
            raise UsageError("\n  ".join([head, *lines, *more]))

    def compose(self, data: bytes) -> Node | None:
        """Read the one document of a file; ``None`` also if it is empty, which is no problem by itself."""
        if len(data) > MOST_BYTES:
            self.add(1, f"expected a description of at most {MOST_BYTES} bytes, found a larger file; shorten it")
            return None
        try:
            return _Loader(data.decode("utf-8-sig")).get_single_node()
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            self.add(line, "expected text in UTF-8, found other bytes; save the file as UTF-8")
        except _RefusedError as error:
            self.add(error.line, str(error))
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            why = ": ".join(part for part in (error.context, error.problem) if part)
            self.add(mark.line + 1 if mark else 1, _no_yaml(why))
        except yaml.reader.ReaderError as error:
            line = data.decode("utf-8-sig").count("\n", 0, error.position) + 1
            self.add(line, _no_yaml(f"the character {chr(error.character)!r} is not allowed"))
        except (ValueError, OverflowError) as error:  # PyYAML lets these of an impossible escape through
            self.add(1, _no_yaml(str(error)))
        return None

    def pairs(self, node: Node, key: str) -> list[tuple[Node, Node]]:
        """The keys and values of a mapping, each key once."""
        if not isinstance(node, MappingNode):
            self.add(line_of(node), f"{key}: expected a mapping (keys and values), found {found(node)}; write one")
            return []
        first: dict[tuple[str, str], Node] = {}
        once = []
        for each, value in node.value:
            same = (each.tag, each.value) if isinstance(each, ScalarNode) else None
            if same in first:
                problem = f"expected a key once, found it in line {line_of(first[same])} too; remove one"
                self.add(line_of(each), f"{shortened(each.value)}: {problem}")
                continue
            if same:
                first[same] = each
            once.append((each, value))
        return once

    def fields(self, node: Node, key: str, known: Collection[str] = ()) -> dict[str, Node]:
        """The values of a mapping whose keys are text, by key.

        Args:
            node: The mapping.
            key: What messages call it.
            known: The keys that there may be; empty allows any.
        """
        fields = {}
        for each, value in self.pairs(node, key):
            if not isinstance(each, ScalarNode) or not _is_text(each):
                self.add(line_of(each), f"{key}: expected a key that is text, found {found(each)}; {_mend(each)}")
            elif known and each.value not in known:
                # A file of nothing but unknown keys is not searched for words like each of them.
                near = nearest(each.value, known) if len(self) < SHOWN else ""
                problem = f"expected one of {', '.join(known)}; found an unknown key{near}; rename or remove it"
                self.add(line_of(each), f"{shortened(each.value)}: {problem}")
            else:
                fields[each.value] = value
        return fields

    def items(self, node: Node, key: str) -> list[Node] | None:
        """The values of a list."""
        if not isinstance(node, SequenceNode):
            self.add(
                line_of(node), f"{key}: expected a list, found {found(node)}; write [...] or a line with - for each"
            )
            return None
        return node.value

    def text(self, node: Node, key: str) -> str | None:
        """A text that is not empty."""
        if not isinstance(node, ScalarNode) or not _is_text(node) or not node.value:
            self.add(line_of(node), f"{key}: expected text, found {found(node)}; {_mend(node)}")
            return None
        return node.value

    def name(self, node: Node, key: str) -> str | None:
        """A text that can be printed in one line of a table."""
        text = self.text(node, key)
        if text is not None and not (text.isprintable() and text.strip()):
            self.add(line_of(node), f"{key}: expected a name that can be printed, found {found(node)}; rename it")
            return None
        return text

    def whole(self, node: Node, key: str, largest: int) -> int | None:
        """A whole number from 0 to ``largest``, which has three digits at most."""
        number = node.tag == f"{_TAG}int"
        if number and re.fullmatch(r"0|[1-9][0-9]{0,2}", node.value) and int(node.value) <= largest:
            return int(node.value)
        shown = shortened(node.value) if number and isinstance(node, ScalarNode) else found(node)
        self.add(line_of(node), f"{key}: expected a whole number from 0 to {largest}, found {shown}; correct it")
        return None


class _RefusedError(Exception):
    """YAML that is not read."""

    def __init__(self, line: int, problem: str) -> None:
        self.line = line
        super().__init__(problem)


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader, of which only the composing of nodes is used.

    It refuses what lets a small file stand for a huge one, or for one deeper than Python's stack: aliases and nesting.
    """

    nested = 0

    def compose_node(self, parent: Node | None, index: int) -> Node | None:
        event = self.peek_event()
        line = event.start_mark.line + 1
        if isinstance(event, yaml.AliasEvent):
            raise _RefusedError(
                line, f"expected values written out, found the alias *{shortened(str(event.anchor))}; copy it"
            )
        if self.nested == MOST_NESTED:
            raise _RefusedError(
                line, f"expected a stream's description, found {MOST_NESTED} levels of lists; remove some"
            )
        self.nested += 1
        node = super().compose_node(parent, index)
        self.nested -= 1
        return node


def line_of(node: Node) -> int:
    """The line of a node, from 1."""
    return node.start_mark.line + 1


def found(node: Node) -> str:
    """Say what a node is, as YAML understands it."""
    if not isinstance(node, ScalarNode):
        return "a list" if isinstance(node, SequenceNode) else "a mapping"
    if node.value == "":
        return "nothing"
    if _is_text(node):
        return shortened(repr(node.value))
    meaning = _READ_AS.get(node.tag.removeprefix(_TAG), f"something else ({shortened(node.tag)})")
    return f"{shortened(node.value)}, which YAML reads as {meaning}"


def nearest(word: str, known: Collection[str]) -> str:
    """The part of a sentence that names the known word most like a wrong one; empty if none is."""
    near = difflib.get_close_matches(word, known, n=1)
    return f" (did you mean {near[0]}?)" if near else ""


def shortened(text: str) -> str:
    """A text, cut where it is too long for a message."""
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _is_text(node: ScalarNode) -> bool:
    return node.tag == f"{_TAG}str"


def _mend(node: Node) -> str:
    """What to do about a node that is no text."""
    meant = isinstance(node, ScalarNode) and node.value and not _is_text(node)
    return f'put it in quotes: "{shortened(node.value)}"' if meant else "write one"


def _no_yaml(why: str) -> str:
    return f"expected YAML, found what is none ({why}); correct it"
