"""What to build: the options that decide the files of a data folder."""

from dataclasses import dataclass
from typing import Any

from onehead_avl.errors import UsageError
from scenarios.challenge import FOLDERS
from scenarios.samples.classes import COCO_IDS

MINI = {"train": 240, "val": 60}
"""How many pictures a task the challenge allows."""

CATEGORIES = ("person", "car", "bird", "cat", "dog", "bottle", "cup", "chair", "dining table", "book")
"""The challenge's detection classes."""


@dataclass(frozen=True)
class Options:
    """The options that decide which files a data folder holds.

    Attributes:
        tasks: The tasks to build.
        sizes: Pictures a task of each split; ``None`` takes all that the official splits hold.
        categories: The detection classes, names of COCO's categories.
        seed: Decides which pictures are drawn.
    """

    tasks: tuple[str, ...] = tuple(FOLDERS)
    sizes: dict[str, int] | None = None
    categories: tuple[str, ...] = CATEGORIES
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be built, all findings at once.

        Raises:
            UsageError: A number is too small, or a category unknown or named twice.
        """
        wrong = [f"--{split} expects at least 1, got {n}" for split, n in (self.sizes or {}).items() if n < 1]
        unknown = [name for name in self.categories if name not in COCO_IDS]
        if unknown:
            wrong.append(
                f"--categories expects names of COCO's 80 categories, got {', '.join(map(repr, unknown))}; "
                f"they are {', '.join(COCO_IDS)}"
            )
        if len(set(self.categories)) < len(self.categories):
            wrong.append(f"--categories expects every name once, got {', '.join(self.categories)}")
        if wrong:
            raise UsageError("; ".join(wrong))

    def as_dict(self) -> dict[str, Any]:
        """The options as a manifest holds them; categories in the order of their ids, however they were given."""
        return {
            "tasks": list(self.tasks),
            "sizes": self.sizes or "full",
            "categories": sorted(self.categories, key=COCO_IDS.__getitem__) if "det" in self.tasks else [],
            "seed": self.seed,
        }
