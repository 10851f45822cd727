"""Which pictures of an official data set make up the mini sets. Pure: the same pictures and seed, the same answer."""

import hashlib
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

SPLITS_BY_CARE = ("val", "train")
"""Validation chooses first: it has fewer pictures to see every class in."""


class Candidate(NamedTuple):
    """A picture that may be drawn.

    Attributes:
        name: Its path in the official data.
        split: The official split that it belongs to.
        classes: The classes annotated in it.
    """

    name: str
    split: str
    classes: frozenset[str]


class Distinct:
    """Remembers pictures, so that none is taken twice.

    Attributes:
        repeated: How many were asked about that had been taken.
    """

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self.repeated = 0

    def take(self, digest: str) -> bool:
        """Whether a picture is new; it is not the next time."""
        new = digest not in self._taken
        self._taken.add(digest)
        self.repeated += not new
        return new


def draw(
    candidates: Iterable[Candidate],
    pools: Mapping[str, str],
    sizes: Mapping[str, int],
    seed: int,
    usable: Callable[[Candidate], bool],
) -> dict[str, list[Candidate]]:
    """Draw the splits so that every class that can be is in both, and that all classes are about equally frequent.

    Every class first gets one picture in each split, rare classes before frequent ones; then the split that is least
    complete takes a picture of the class that it has least often. Among the pictures of a class a hash of seed and
    name decides, so neither the order of the candidates nor the sizes of the splits reorder them.

    Args:
        candidates: The pictures, in any order.
        pools: For each split the official split to draw it from; both may have the same.
        sizes: How many pictures each split should have.
        seed: Decides which.
        usable: Asked once about a picture that is about to be taken; one that is not usable is passed over.

    Returns:
        The pictures of each split, sorted by name; fewer than asked for if there are not enough.
    """
    ordered = sorted(candidates, key=lambda each: (_rank(each.name, seed), each.name))
    waiting: dict[tuple[str, str], deque[Candidate]] = defaultdict(deque)
    for candidate in ordered:
        for name in candidate.classes:
            waiting[candidate.split, name].append(candidate)
    chosen: dict[str, list[Candidate]] = {split: [] for split in SPLITS_BY_CARE}
    counts: dict[str, Counter] = {split: Counter() for split in SPLITS_BY_CARE}
    decided: set[Candidate] = set()

    def take(split: str, name: str) -> bool:
        """Take the next picture of a class into a split, if there is one and there is room for it."""
        queue = waiting[pools[split], name]
        while queue and len(chosen[split]) < sizes[split]:
            candidate = queue.popleft()
            if candidate in decided:
                continue
            decided.add(candidate)
            if usable(candidate):
                chosen[split].append(candidate)
                counts[split].update(candidate.classes)
                return True
        return False

    frequency = Counter(name for each in ordered for name in each.classes)
    for name in sorted(frequency, key=lambda name: (frequency[name], name)):
        for split in SPLITS_BY_CARE:
            if not counts[split][name]:
                take(split, name)

    growing = set(SPLITS_BY_CARE)
    while growing:
        split = min(SPLITS_BY_CARE, key=lambda each: (each not in growing, len(chosen[each]) / sizes[each]))
        by_count = sorted(frequency, key=lambda name: (counts[split][name], name))
        if not any(take(split, name) for name in by_count):
            growing.discard(split)
    return {split: sorted(pictures) for split, pictures in chosen.items()}


def take_all(
    candidates: Iterable[Candidate], pools: Mapping[str, str], usable: Callable[[Candidate], bool]
) -> dict[str, list[Candidate]]:
    """Take every usable picture of the official splits.

    Args:
        candidates: The pictures, in any order.
        pools: For each split the official split it is.
        usable: Asked once about every picture, those of validation first.

    Returns:
        The pictures of each split, sorted by name.
    """
    ordered = sorted(candidates)
    return {split: [c for c in ordered if c.split == pools[split] and usable(c)] for split in SPLITS_BY_CARE}


def _rank(name: str, seed: int) -> bytes:
    return hashlib.sha256(f"{seed} {name}".encode()).digest()
