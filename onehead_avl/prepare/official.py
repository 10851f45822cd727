"""What the readers of the three official data sets have in common."""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from onehead_avl.prepare.selection import Candidate
from scenarios.samples.facts import Facts


class NewFile(NamedTuple):
    """A file for a data folder.

    Attributes:
        path: Where it goes, relative to the data folder, with ``/``.
        content: Its bytes.
        split: The split it belongs to.
        source: Where it comes from: official data set and path in it, the same for an archive and its extracted folder.
        official_split: The official split it belongs to; ``None`` if unknown.
    """

    path: str
    content: bytes
    split: str
    source: str
    official_split: str | None


class OfficialSet(ABC):
    """An official data set, as one reader of it sees it.

    Attributes:
        pools: For each split of the data folder the official split to draw it from.
        candidates: The pictures that may be drawn.
    """

    pools: dict[str, str] = {"train": "train", "val": "val"}  # noqa: RUF012
    candidates: list[Candidate]

    @abstractmethod
    def decode(self, candidate: Candidate) -> Facts:
        """Decode a picture and check that it fits its annotation.

        Raises:
            DataError: It cannot be read, or does not fit.
        """

    @abstractmethod
    def files(self, split: str, chosen: Sequence[Candidate]) -> Iterator[NewFile]:
        """The files of one split of the data folder.

        Raises:
            DataError: One cannot be read.
        """

    def summary(self, chosen: Sequence[Candidate]) -> dict[str, Any]:
        """What the manifest says about a split: how many pictures there are, and in how many each class occurs."""
        counts = Counter(name for candidate in chosen for name in candidate.classes)
        return {"pictures": len(chosen), "classes": dict(sorted(counts.items()))}
