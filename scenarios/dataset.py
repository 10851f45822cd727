"""Data sets of samples as the network sees them: ``(image, target, task label)`` comes out."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.utils.data import Dataset
from torchvision import tv_tensors
from torchvision.transforms.v2.functional import resize

from onehead_avl.target import Target
from onehead_avl.tasks import Task
from scenarios.augmentation import network_input, training_augmentation
from scenarios.sample import Sample
from scenarios.views import VIEWS


class TrainingSet(Dataset):
    """Decoded samples, augmented as :class:`~scenarios.views.Views` says: anew in every epoch.

    Args:
        samples: Decoded once, by whoever read them.
        task: The task they are annotated for.
        size: Side of the square the network is fed, in pixels.
    """

    def __init__(self, samples: Sequence[Sample], task: Task, size: int) -> None:
        self.samples = samples
        self.task = task
        self._augment: Callable[[dict], dict] = training_augmentation(task, size)
        self._views = VIEWS

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> tuple[Tensor, Target]:
        """An augmented image ``(3, size, size)`` float and its target, a batch of one."""
        sample = self.samples[index]
        with self._views.of(index * len(Task) + self.task):
            parts = self._augment(_tv(sample))
        image = parts.pop("image")
        target = Target.single(
            self.task,
            image.shape[-2:],
            label=sample.label,
            **{name: part.as_subclass(torch.Tensor) for name, part in parts.items()},
        )
        return network_input(image.as_subclass(torch.Tensor)), target


class EvaluationSet(Dataset):
    """Samples stretched to the network's square once; annotations stay at the original resolution.

    Args:
        samples: Decoded samples.
        task: The task they are annotated for.
        size: Side of the square the network is fed, in pixels.
    """

    def __init__(self, samples: Sequence[Sample], task: Task, size: int) -> None:
        self.images = [resize(sample.image, [size, size], antialias=True) for sample in samples]
        self.targets = [
            Target.single(
                task,
                sample.image.shape[-2:],
                mask=sample.mask,
                boxes=sample.boxes,
                labels=sample.labels,
                crowd=sample.crowd,
                label=sample.label,
            )
            for sample in samples
        ]

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, Target]:
        """An image ``(3, size, size)`` float and its target, a batch of one."""
        return network_input(self.images[index]), self.targets[index]


def _tv(sample: Sample) -> dict:
    """A sample as torchvision's transforms want it, with only the parts it has."""
    parts: dict = {"image": tv_tensors.Image(sample.image)}
    if sample.mask is not None:
        parts["mask"] = tv_tensors.Mask(sample.mask)
    if sample.boxes is not None:
        parts["boxes"] = tv_tensors.BoundingBoxes(
            sample.boxes, format="XYXY", canvas_size=tuple(sample.image.shape[-2:])
        )
        parts["labels"], parts["crowd"] = sample.labels, sample.crowd
    return parts
