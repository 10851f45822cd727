"""What the benchmark has to know of a kind of task; everything it knows of one stands in one subclass."""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import v2

from onehead_avl.errors import UsageError
from onehead_avl.kinds import KINDS
from onehead_avl.system.importing import import_attribute
from onehead_avl.target import Target

Annotation = Mapping[str, Any]
"""The parts of one image's annotation by name: tensors without a batch dimension, or an integer."""

Values = dict[str, float | None]
"""Values by name; ``None`` where nothing could be measured."""


@dataclass(frozen=True)
class MetricName:
    """A value that a kind is measured by.

    Attributes:
        name: As the field calls it; without ``_`` and ``/``, by which Avalanche's loggers take names apart.
        higher_is_better: Its direction; forgetting is positive when a value gets worse.
        limits: The lowest and the highest value that there can be.
    """

    name: str
    higher_is_better: bool = True
    limits: tuple[float, float] = (-math.inf, math.inf)


SHARE = (0.0, 1.0)
"""The limits of a value that is a share."""


class Metric(ABC):
    """A metric over the images of one experience, in the manner of Avalanche's ``Metric``.

    It answers ``None`` as long as it has measured nothing: never 0.

    Args:
        classes: Class names in index order.

    Attributes:
        values: What it measures, the most important value first.
    """

    values: tuple[MetricName, ...]

    def __init__(self, classes: Sequence[str]) -> None:
        self.classes = tuple(classes)
        self._result: Values | None = None
        self.clear()

    @property
    def names(self) -> tuple[str, ...]:
        """The names of what it measures."""
        return tuple(value.name for value in self.values)

    @torch.no_grad()
    def update(self, logits: Tensor, target: Target) -> None:
        """Count a batch: ``logits`` is the part's ``(B, C, H/8, W/8)``, ``target`` holds the same B images."""
        self._result = None
        self.count(logits, target)

    def result(self) -> Values:
        """Compute the values over all images counted."""
        if self._result is None:
            self._result = self.compute(range(len(self))) if len(self) else dict.fromkeys(self.names)
        return self._result

    def reset(self) -> None:
        """Forget everything counted."""
        self._result = None
        self.clear()

    @abstractmethod
    def count(self, logits: Tensor, target: Target) -> None:
        """Keep what the values are computed from of a batch, as in :meth:`update`."""

    @abstractmethod
    def compute(self, images: Sequence[int]) -> Values:
        """Compute the values over some of the images counted, one at least: by position, as often as it is named."""

    @abstractmethod
    def clear(self) -> None:
        """Drop what was kept, or begin to keep."""

    @abstractmethod
    def __len__(self) -> int:
        """How many images were counted."""

    def per_class(self) -> dict[str, Values]:
        """Compute values of single classes, by the name of the value and by class; empty if the kind has none."""
        return {}

    def mistakes(self) -> Mapping[str, float]:
        """Compute by how much the first value would rise if all mistakes of a type were mended, by type.

        Empty for a kind that tells no types apart, and if nothing can be measured.
        """
        return {}

    def precision_recall(self) -> Mapping[str, Sequence[float]]:
        """Compute the precision at recalls from 0 to 1, evenly spaced, of each class of a kind that finds things.

        Empty for other kinds, and if nothing can be measured.
        """
        return {}

    def confusion(self) -> list[list[int]]:
        """Count what each class, a row each, was taken for, a column each; empty for a kind that tells none."""
        return []


class Together(Metric):
    """Several metrics of one kind as one.

    Args:
        metrics: No two of them measure a value of the same name.
    """

    def __init__(self, metrics: Sequence[Metric]) -> None:
        self.metrics = tuple(metrics)
        self.values = tuple(value for metric in self.metrics for value in metric.values)
        super().__init__(self.metrics[0].classes)

    def count(self, logits: Tensor, target: Target) -> None:
        """Have each count a batch."""
        for metric in self.metrics:
            metric.update(logits, target)

    def compute(self, images: Sequence[int]) -> Values:
        """Compute the values of each."""
        return {name: value for metric in self.metrics for name, value in metric.compute(images).items()}

    def clear(self) -> None:
        """Have each drop what it kept."""
        for metric in self.metrics:
            metric.reset()

    def __len__(self) -> int:
        return len(self.metrics[0])

    def per_class(self) -> dict[str, Values]:
        """Compute the values of single classes of each."""
        return {name: values for metric in self.metrics for name, values in metric.per_class().items()}

    def mistakes(self) -> Mapping[str, float]:
        """Compute what the mistakes cost the first value of all."""
        return self.metrics[0].mistakes()

    def precision_recall(self) -> Mapping[str, Sequence[float]]:
        """Compute the curves of the first metric."""
        return self.metrics[0].precision_recall()

    def confusion(self) -> list[list[int]]:
        """Count by the first metric."""
        return self.metrics[0].confusion()


class Kind(ABC):
    """A kind of vision task.

    A subclass that is named by its import path is used as those of this package are. It is built without arguments
    and holds no state.

    Attributes:
        name: What the kind is called.
        measured_by: Its metrics; by the first value of the first one it is judged.
        parts: The names of the parts of an annotation that it reads.
        freezes_backbone: Whether it takes the features of a pretrained backbone as they are.
    """

    name: ClassVar[str]
    measured_by: ClassVar[tuple[type[Metric], ...]]
    parts: ClassVar[tuple[str, ...]]
    freezes_backbone: ClassVar[bool] = False

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other)

    def __hash__(self) -> int:
        return hash(type(self))

    @property
    def path(self) -> str:
        """What names the kind in a description: its name, or the import path of one that is not in the table."""
        own = f"{type(self).__module__}:{type(self).__qualname__}"
        return self.name if KINDS.get(self.name) == own else own

    @property
    def metrics(self) -> tuple[MetricName, ...]:
        """The values that it is measured by, the primary one first."""
        return tuple(value for metric in self.measured_by for value in metric.values)

    def metric(self, classes: Sequence[str]) -> Metric:
        """Make a new metric of all values named in :attr:`metrics`."""
        metrics = [made(classes) for made in self.measured_by]
        return metrics[0] if len(metrics) == 1 else Together(metrics)

    @abstractmethod
    def channels(self, classes: Sequence[str]) -> int:
        """Count the output channels that some classes need."""

    def start(self, classes: Sequence[str]) -> Tensor:
        """The biases ``(C,)`` of the output channels in an untrained network."""
        return torch.zeros(self.channels(classes))

    @abstractmethod
    def loss(self, logits: Tensor, target: Target) -> Tensor:
        """Compute the loss ``(B,)`` of each image; zero for one without annotation.

        Args:
            logits: ``(B, C, H/8, W/8)``: the kind's own channels of the network's output.
            target: The annotation of the same B images.
        """

    @abstractmethod
    def decode(self, logits: Tensor, size: Tensor) -> list[dict[str, Tensor]]:
        """Turn an output into B predictions, each in the form of an annotation.

        Args:
            logits: ``(B, C, H/8, W/8)`` of its own channels.
            size: ``(B, 2)`` height and width of the original images.
        """

    def outputs(self, logits: Tensor) -> dict[str, Tensor]:
        """Turn an output into what an exported network emits, by name: what can be read without this package.

        Only operations that ONNX knows, for any batch and size.

        Args:
            logits: ``(B, C, H/8, W/8)`` of its own channels.
        """
        return {"logits": logits}

    @abstractmethod
    def distillation(self, logits: Tensor, teacher: Tensor) -> Tensor:
        """Compute a scalar loss that keeps its channels ``(B, C, H/8, W/8)`` as a teacher's are."""

    @abstractmethod
    def augmentation(self, size: int) -> v2.Transform:
        """Make the transform of a training image and its annotation, the dictionary of :meth:`wrap` and ``image``.

        Args:
            size: Side in pixels of the square images that come out.
        """

    @abstractmethod
    def draw(self, image: Tensor, shown: Annotation, classes: Sequence[str]) -> Tensor:
        """Draw an annotation or a prediction on an image ``(3, H, W)`` uint8; a new image of the same form."""

    def as_json(self, prediction: Annotation, classes: Sequence[str], image_id: int) -> dict[str, Any]:
        """Tell a prediction in numbers and names that JSON knows; empty for one that only a picture can hold.

        Args:
            prediction: Of one image.
            classes: Class names in index order.
            image_id: The number of the image, for what names it.
        """
        return {}

    def as_picture(self, prediction: Annotation) -> Image.Image | None:
        """Hold a prediction in a picture without loss, such as a mask; ``None`` for one that is no picture."""
        return None

    def wrap(self, annotation: Annotation, size: Sequence[int]) -> dict[str, Any]:
        """Give the parts of an annotation the types by which torchvision's transforms move them with the image.

        Args:
            annotation: Of one image.
            size: Height and width of the image.
        """
        return dict(annotation)

    def classes_in(self, annotation: Annotation, classes: Sequence[str]) -> set[int]:
        """The indices of the classes that an annotation holds, a background not among them; empty without classes."""
        return set()

    def selected_classes(self, classes: Sequence[str], chosen: Sequence[str]) -> tuple[str, ...]:
        """The class list of an experience that learns some of a set's classes: those chosen, in their order."""
        return tuple(chosen)

    def always_there(self, classes: Sequence[str]) -> tuple[str, ...]:
        """Those of some classes that are there whatever is chosen: a background; empty without one."""
        return self.selected_classes(classes, ())

    def select(self, annotation: Annotation, new: Mapping[int, int]) -> dict[str, Any] | None:
        """Keep some classes of an annotation.

        Args:
            annotation: Of one image.
            new: The new index of each class that is kept, by its old one.

        Returns:
            The annotation with new indices, or ``None`` if the image has no place without its class.

        Raises:
            UsageError: The kind has no classes to choose from.
        """
        raise UsageError(f"expected no classes to choose for the kind {self.name}, which has none to choose from")


def kind_of(path: str) -> Kind:
    """Build a kind from its name in :data:`~onehead_avl.kinds.KINDS` or its import path ``module:Class``.

    Raises:
        UsageError: There is no such kind, or what the path names is none or not complete.

    Example:
        >>> kind = kind_of("detection")
        >>> [value.name for value in kind.metrics]
        ['AP50', 'AP']
        >>> kind.parts
        ('boxes', 'labels', 'crowd')
        >>> kind == kind_of("onehead_avl.kinds.detection:Detection")
        True
    """
    if ":" not in path and path not in KINDS:
        raise UsageError(f"unknown kind {path!r}: expected one of {', '.join(KINDS)}, or module:Class")
    made = import_attribute(KINDS.get(path, path))
    if not (isinstance(made, type) and issubclass(made, Kind)):
        raise UsageError(f"{path}: expected a subclass of onehead_avl.kinds.kind.Kind, found {made!r}")
    missing = [name for name in ("name", "measured_by", "parts") if not getattr(made, name, None)]
    if missing:
        raise UsageError(f"{path}: expected a kind to say its {', '.join(missing)}, found nothing; complete it")
    try:
        return made()
    except TypeError as error:
        raise UsageError(f"{path}: expected a kind that is built without arguments ({error}); complete it") from error
