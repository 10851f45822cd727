"""Imagenette at 160 pixels: one folder of pictures a class in each split."""

from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from onehead_avl.errors import DataError
from onehead_avl.prepare.archives import Tree
from onehead_avl.prepare.official import NewFile, OfficialSet
from onehead_avl.prepare.pictures import decode_picture
from onehead_avl.prepare.selection import Candidate
from scenarios.challenge import FOLDERS
from scenarios.samples.facts import Facts

SUFFIXES = (".jpg", ".jpeg", ".png")


class Imagenette(OfficialSet):
    """The classification data.

    Args:
        tree: The folder ``imagenette2-160``.

    Raises:
        DataError: There are no pictures in it.
    """

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self.candidates = []
        for name in tree.names:
            path = PurePosixPath(name)
            if len(path.parts) == 3 and path.suffix.lower() in SUFFIXES and not path.name.startswith("."):
                split, label, _ = path.parts
                self.candidates.append(Candidate(name, split, frozenset([label])))
        if not self.candidates:
            raise DataError(f"{tree.where}: expected pictures in train/<class> and val/<class>, found none")

    def decode(self, candidate: Candidate) -> Facts:
        """Decode a picture."""
        return decode_picture(self._tree.read(candidate.name), f"{self._tree.where}: {candidate.name}")

    def files(self, split: str, chosen: Sequence[Candidate]) -> Iterator[NewFile]:
        """Pictures under their own names in the folder of their class."""
        for candidate in chosen:
            _, label, file_name = PurePosixPath(candidate.name).parts
            path = f"{FOLDERS['cls']}/{split}/{label}/{file_name}"
            source = f"imagenette2-160/{candidate.name}"
            yield NewFile(path, self._tree.read(candidate.name), split, source, candidate.split)
