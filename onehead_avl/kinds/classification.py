"""Image classification: one class for the whole image."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from torchvision.transforms import v2

from onehead_avl.ignored import ABSENT
from onehead_avl.kinds.augmentation import cropped_and_flipped
from onehead_avl.kinds.caption import captioned
from onehead_avl.kinds.colours import colour_of
from onehead_avl.kinds.distillation import divergence
from onehead_avl.kinds.kind import SHARE, Annotation, Kind, Metric, MetricName, Values
from onehead_avl.target import Target


class TopAccuracy(Metric):
    """The share of images whose class is the best guess, ``Top1``, or among the best five, ``Top5``.

    Args:
        classes: Class names in index order.
    """

    values = (MetricName("Top1", limits=SHARE), MetricName("Top5", limits=SHARE))

    def count(self, logits: Tensor, target: Target) -> None:
        """Keep of each image whether the best guess is right, and whether one of the best five is."""
        label = target.parts["label"]
        guesses = probabilities(logits).topk(min(5, len(self.classes)), dim=1).indices
        hits = guesses == label[:, None]
        self._first += hits[:, 0].tolist()
        self._guesses += guesses[:, 0].tolist()
        self._five += hits.any(dim=1).tolist()
        self._labels += label.tolist()

    def clear(self) -> None:
        """Drop the guesses."""
        self._first: list[bool] = []
        self._five: list[bool] = []
        self._guesses: list[int] = []
        self._labels: list[int] = []

    def __len__(self) -> int:
        return len(self._labels)

    def compute(self, images: Sequence[int]) -> Values:
        """Compute the shares over some images."""
        shares = (sum(hits[image] for image in images) / len(images) for hits in (self._first, self._five))
        return dict(zip(self.names, shares, strict=True))

    def confusion(self) -> list[list[int]]:
        """Count the images of each class by the class that was guessed."""
        counts = Counter(zip(self._labels, self._guesses, strict=True))
        classes = range(len(self.classes))
        return [[counts[truth, guess] for guess in classes] for truth in classes]

    def per_class(self) -> dict[str, Values]:
        """Compute Top-1 over the images of each class: its recall; ``None`` for a class without images."""
        images = Counter(self._labels)
        right = Counter(label for label, hit in zip(self._labels, self._first, strict=True) if hit)
        recall = {name: right[i] / images[i] if images[i] else None for i, name in enumerate(self.classes)}
        return {"Top1": recall}


class Classification(Kind):
    """Image classification, measured by Top-1 and Top-5.

    An annotation holds ``label``, a class index. A prediction holds ``label`` and ``probabilities`` ``(C,)``.
    """

    name = "classification"
    measured_by = (TopAccuracy,)
    parts = ("label",)
    # Few images distort features that ImageNet taught to tell classes apart (Kumar et al., "Fine-Tuning can Distort
    # Pretrained Features and Underperform Out-of-Distribution", ICLR 2022).
    freezes_backbone = True

    def channels(self, classes: Sequence[str]) -> int:
        """Count one for each class."""
        return len(classes)

    def loss(self, logits: Tensor, target: Target) -> Tensor:
        """Compute the cross-entropy of each image's class; zero where the class is absent."""
        label = target.parts["label"]
        return cross_entropy(image_logits(logits), label, ignore_index=ABSENT, reduction="none", label_smoothing=0.1)

    def decode(self, logits: Tensor, size: Tensor) -> list[dict[str, Tensor]]:
        """Give each image its likeliest class, and the probability of all."""
        return [{"label": each.argmax(), "probabilities": each} for each in probabilities(logits)]

    def outputs(self, logits: Tensor) -> dict[str, Tensor]:
        """Give each image the ``probabilities`` ``(B, C)`` of its class."""
        return {"probabilities": probabilities(logits)}

    def distillation(self, logits: Tensor, teacher: Tensor) -> Tensor:
        """Keep the class distribution of each image: the mean over images of the divergence."""
        return divergence(image_logits(logits), image_logits(teacher))

    def augmentation(self, size: int) -> v2.Transform:
        """Crop, flip, and apply one random operation of TrivialAugment (Müller and Hutter, ICCV 2021).

        The label stands whatever is sheared or inverted.
        """
        return cropped_and_flipped(size, 0.3, v2.TrivialAugmentWide())

    def draw(self, image: Tensor, shown: Annotation, classes: Sequence[str]) -> Tensor:
        """Write the class, and its probability if it has one, over the image."""
        label = int(shown["label"])
        sure = f" {float(shown['probabilities'][label]):.0%}" if "probabilities" in shown else ""
        return captioned(image, f"{classes[label]}{sure}", colour_of(label + 1))

    def as_json(self, prediction: Annotation, classes: Sequence[str], image_id: int) -> dict[str, Any]:
        """Tell the likeliest class, and the probability of each."""
        values = prediction["probabilities"].tolist()
        return {"class": classes[int(prediction["label"])], "probabilities": dict(zip(classes, values, strict=True))}

    def classes_in(self, annotation: Annotation, classes: Sequence[str]) -> set[int]:
        """The class of the image."""
        return {int(annotation["label"])}

    def select(self, annotation: Annotation, new: Mapping[int, int]) -> dict[str, Any] | None:
        """Leave out images of all other classes."""
        label = int(annotation["label"])
        return {"label": new[label]} if label in new else None


def image_logits(logits: Tensor) -> Tensor:
    """The logits ``(B, C)`` of whole images: the mean of the evidence ``(B, C, H/8, W/8)`` over all cells."""
    return logits.mean(dim=(2, 3))


def probabilities(logits: Tensor) -> Tensor:
    """The class probabilities ``(B, C)`` of whole images."""
    return torch.softmax(image_logits(logits), dim=1)
