"""The views of a training set as Avalanche's transform groups, between which ``train()`` and ``eval()`` switch."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from avalanche.benchmarks.utils import TransformGroups
from avalanche.benchmarks.utils.transforms import MultiParamTransformCallable

from onehead_avl.system.savable import savable
from scenarios.dataset import TrainingSet, View


@savable
def augmented_view(samples: TrainingSet, index: int) -> View:
    """The transform of a training set that gives a random view."""
    return samples.augmented(index)


@savable
def plain_view(samples: TrainingSet, index: int) -> View:
    """The transform of a training set that gives the view of an evaluation."""
    return samples.plain(index)


@savable
class ViewGroups(TransformGroups):
    """The transform groups of a :class:`~scenarios.dataset.TrainingSet`: ``train`` augments, ``eval`` does not.

    Where the transform of a group is removed, the plain view is left, and one that replaces it is given that view.
    """

    def __init__(self) -> None:
        views = {"train": augmented_view, "eval": plain_view}
        super().__init__({group: MultiParamTransformCallable(view) for group, view in views.items()})

    def __setitem__(self, group: str, transform: Any) -> None:
        super().__setitem__(group, transform)  # in the form that it has in a group
        then = self.transform_groups[group]
        view = plain_view if then is None else _PlainThen(then)
        self.transform_groups[group] = MultiParamTransformCallable(view)


@savable
@dataclass(frozen=True)
class _PlainThen:
    """The plain view, and a transform of it."""

    then: Callable[..., Sequence]

    def __call__(self, samples: TrainingSet, index: int) -> Sequence:
        return self.then(*samples.plain(index))
