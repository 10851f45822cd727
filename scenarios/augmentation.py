"""What happens to a training picture before the network sees it; mask and boxes move with it."""

import torch
from torch import Tensor
from torchvision.transforms import v2
from torchvision.transforms.v2.functional import normalize, to_dtype

from onehead_avl.tasks import Task

IMAGENET_MEAN = [0.485, 0.456, 0.406]
IMAGENET_STD = [0.229, 0.224, 0.225]

MIN_BOX_SIDE = 2.0
"""Boxes cut narrower than this many pixels are dropped: too little is left of the object."""

_KEPT_AREA = {Task.SEG: (0.4, 1.0), Task.DET: (0.4, 1.0), Task.CLS: (0.3, 1.0)}
"""The share of the picture that a random crop keeps."""


def network_input(image: Tensor) -> Tensor:
    """Turn a uint8 image ``(3, H, W)`` into the float tensor that ImageNet backbones expect."""
    return normalize(to_dtype(image, torch.float32, scale=True), IMAGENET_MEAN, IMAGENET_STD)


def training_augmentation(task: Task, size: int) -> v2.Transform:
    """Random crop to ``size x size``, flip and colours, for a dictionary of ``tv_tensors``.

    A picture to classify is changed further, by one random operation of TrivialAugment (Müller and Hutter, ICCV 2021):
    its label stands whatever is sheared or inverted.

    The dictionary holds ``image`` and, as the task has them, ``mask``, ``boxes``, ``labels`` and ``crowd``; boxes
    that the crop leaves empty go, together with their labels and crowd flags. Draws from torch's global random state.
    """
    steps = [
        v2.RandomResizedCrop((size, size), scale=_KEPT_AREA[task], ratio=(3 / 4, 4 / 3), antialias=True),
        v2.RandomHorizontalFlip(),
        v2.TrivialAugmentWide() if task is Task.CLS else v2.ColorJitter(brightness=0.3, contrast=0.3, saturation=0.3),
    ]
    if task is Task.DET:
        steps.append(v2.SanitizeBoundingBoxes(min_size=MIN_BOX_SIDE, labels_getter=_per_box))
    return v2.Compose(steps)


def _per_box(sample: dict) -> tuple[Tensor, Tensor]:
    return sample["labels"], sample["crowd"]
