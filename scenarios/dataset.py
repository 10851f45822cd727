"""Data sets of samples as the network sees them: ``(image, target)`` comes out."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.utils.data import Dataset
from torchvision.transforms.v2.functional import resize

from onehead_avl.kinds.kind import Kind
from onehead_avl.kinds.picture import Picture
from onehead_avl.model.input import network_input
from onehead_avl.system.views import VIEWS
from onehead_avl.target import Target
from scenarios.samples.sample import Sample

View = tuple[Tensor, Target]
"""An image ``(3, size, size)`` float and its target, a batch of one."""


class TrainingSet(Dataset):
    """Decoded samples to learn, of each of which there are two views: an augmented one and the plain one.

    An item is the set itself with an index, from which the transforms of
    :class:`~scenarios.view_groups.ViewGroups` make the view that Avalanche asks for.

    Args:
        samples: Decoded once, by whoever read them.
        kind: The kind of task they are annotated for.
        task: Their task label.
        tasks: How many task labels there are: no two samples of a stream have the same random view.
        size: Side of the square the network is fed, in pixels.
    """

    def __init__(self, samples: Sequence[Sample], kind: Kind, task: int, tasks: int, size: int) -> None:
        self.samples = samples
        self.kind = kind
        self.task = task
        self._tasks = tasks
        self._size = size
        self._augment = kind.augmentation(size)
        self._views = VIEWS

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> tuple["TrainingSet", int]:
        """What a view is made of."""
        return self, index

    def augmented(self, index: int) -> View:
        """Draw a view as :class:`~onehead_avl.system.views.Views` says: anew in every epoch."""
        sample = self.samples[index]
        picture, annotation = Picture(sample.image), sample.annotation
        with self._views.of(index * self._tasks + self.task):
            view = self._augment({"image": picture, **self.kind.wrap(annotation, sample.size)})
        image = _tensor(view.pop("image"))
        return network_input(image), Target.single(self.task, image.shape[-2:], _tensors(view))

    def plain(self, index: int) -> View:
        """Stretch an image as an :class:`EvaluationSet` does."""
        return _plain(self.samples[index], self.task, self._size)


class EvaluationSet(Dataset):
    """Samples stretched to the network's square; annotations stay at the original resolution.

    Args:
        samples: Decoded samples.
        task: Their task label.
        size: Side of the square the network is fed, in pixels.
    """

    def __init__(self, samples: Sequence[Sample], task: int, size: int) -> None:
        self.samples = samples
        self.task = task
        self._size = size

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> View:
        """An image and its target."""
        return _plain(self.samples[index], self.task, self._size)


def _plain(sample: Sample, task: int, size: int) -> View:
    stretched = resize(sample.image, [size, size], antialias=True)
    return network_input(stretched), Target.single(task, sample.size, sample.annotation)


def _tensor(part: Tensor) -> Tensor:
    return part.as_subclass(torch.Tensor)


def _tensors(view: dict) -> dict:
    return {name: _tensor(part) if isinstance(part, Tensor) else part for name, part in view.items()}
