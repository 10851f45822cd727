"""PASCAL VOC 2012, segmentation: two lists of names, pictures and palette masks."""

from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from onehead_avl.errors import DataError
from onehead_avl.ignored import VOID
from onehead_avl.prepare.archives import Tree
from onehead_avl.prepare.official import NewFile, OfficialSet
from onehead_avl.prepare.pictures import decode_mask, decode_picture
from onehead_avl.prepare.progress import bar
from onehead_avl.prepare.selection import Candidate
from scenarios.challenge import FOLDERS
from scenarios.samples.classes import VOC_CLASSES
from scenarios.samples.facts import Facts
from scenarios.samples.rules import values_without_class


class Voc(OfficialSet):
    """The segmentation data.

    Args:
        tree: The folder ``VOC2012``.

    Raises:
        DataError: A list or a mask is missing or cannot be read, or a name is in both lists.
    """

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        splits = {split: tree.read(f"ImageSets/Segmentation/{split}.txt").decode().split() for split in self.pools}
        both = sorted(set(splits["train"]) & set(splits["val"]))
        if both:
            raise DataError(f"{tree.where}: expected every picture in train.txt or val.txt, found {both[0]} in both")
        self.candidates = []
        with bar("reading VOC masks", sum(map(len, splits.values())), "mask") as progress:
            for split, stems in splits.items():
                for stem in stems:
                    name = f"JPEGImages/{stem}.jpg"
                    values = self._mask(name).values
                    classes = frozenset(VOC_CLASSES[value] for value in values if value not in (0, VOID))
                    self.candidates.append(Candidate(name, split, classes))
                    progress.update()

    def decode(self, candidate: Candidate) -> Facts:
        """Decode a picture; its mask must have the same size."""
        where = f"{self._tree.where}: {candidate.name}"
        picture = decode_picture(self._tree.read(candidate.name), where)
        if picture.size != self._mask(candidate.name).size:
            raise DataError(f"{where} has another size than its mask; fetch or extract it again")
        return picture

    def files(self, split: str, chosen: Sequence[Candidate]) -> Iterator[NewFile]:
        """Pictures and masks under their own names, side by side."""
        for candidate in chosen:
            for name in (candidate.name, _mask_of(candidate.name)):
                path = f"{FOLDERS['seg']}/{split}/{PurePosixPath(name).name}"
                yield NewFile(path, self._tree.read(name), split, f"VOC2012/{name}", candidate.split)

    def _mask(self, name: str) -> Facts:
        mask = _mask_of(name)
        return require_classes(decode_mask(self._tree.read(mask), f"{self._tree.where}: {mask}"), mask)


def require_classes(mask: Facts, where: str) -> Facts:
    """Return a mask whose values are all classes or void.

    Raises:
        DataError: Some are not.
    """
    unknown = values_without_class(mask.values)
    if unknown:
        raise DataError(
            f"{where}: expected mask values 0 to {len(VOC_CLASSES) - 1} and {VOID}, found "
            f"{', '.join(map(str, unknown))}; store class indices, not colours"
        )
    return mask


def _mask_of(picture: str) -> str:
    return f"SegmentationClass/{PurePosixPath(picture).stem}.png"
