"""What a strategy predicts for a few validation images, after each stage the same ones: numbers do not show it."""

import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol

import numpy
import torch
from avalanche.core import SupervisedPlugin
from avalanche.training.templates import SupervisedTemplate
from torch import Tensor

from onehead_avl.evaluation.plugins import counted
from onehead_avl.model.layout import Layout
from onehead_avl.system.files import replacing

CANDIDATES = 24
"""Images of each experience whose predictions are kept until it is known of which ones most was lost."""


class Shown(Protocol):
    """An image that may be shown: a sample of a stream."""

    @property
    def image(self) -> Tensor:
        """The image ``(3, H, W)`` uint8."""


def candidates(images: int, seed: int) -> list[int]:
    """Choose up to :data:`CANDIDATES` of some images by a random seed: their positions, in the order of choice."""
    return random.Random(seed).sample(range(images), min(images, CANDIDATES))


class ShownPredictions(SupervisedPlugin):
    """Notes what is predicted for some images in each evaluation, and writes what stands at the end of a stage.

    It notes what the strategy itself emits, which may be more than its network says.

    Args:
        layout: The channels of the output.
        images: By the task label of their experience and by their position in it.
    """

    UNSAVED = frozenset(("_layout", "_images", "_seen", "predictions"))  # an interrupted evaluation is done again

    def __init__(self, layout: Layout, images: Mapping[int, Mapping[int, Shown]]) -> None:
        super().__init__()
        self._layout = layout
        self._images = images
        self._seen: dict[int, int] = {}
        self.predictions: dict[tuple[int, int], dict[str, Tensor]] = {}

    def before_eval(self, strategy: SupervisedTemplate, **kwargs) -> None:
        """Begin anew."""
        self._seen = {}
        self.predictions = {}

    def after_eval_iteration(self, strategy: SupervisedTemplate, **kwargs) -> None:
        """Note the predictions for the images of the minibatch that are to be shown."""
        output, target = strategy.mb_output, strategy.mb_y
        for row, task in enumerate(target.task.tolist()):
            position = self._seen.get(task, 0)
            self._seen[task] = position + 1
            if position in self._images.get(task, ()):
                part = self._layout.parts[task]
                own = slice(row, row + 1)
                with torch.no_grad():
                    (found,) = part.kind.decode(part.of(output[own]).float(), target.size[own])
                self.predictions[task, position] = {name: torch.as_tensor(value).cpu() for name, value in found.items()}

    def drawn(self, count: int) -> Iterator[tuple[str, Tensor]]:
        """Draw the last predictions on the first images of each experience.

        Args:
            count: How many of each.

        Returns:
            The name of the experience and an image ``(3, H, W)`` uint8, for each.
        """
        for task, images in self._images.items():
            part, name = self._layout.parts[task], self._layout.names[task]
            for position in list(images)[:count]:
                if (task, position) in self.predictions:
                    yield name, part.kind.draw(images[position].image, self.predictions[task, position], part.classes)

    def write(self, strategy: SupervisedTemplate, path: Path) -> None:
        """Write what the last evaluation predicted, and how good the primary metric finds it, image by image.

        Args:
            strategy: Its evaluator has counted the same evaluation.
            path: An npz file of ``<experience>/<position>/<part>``, and ``<experience>/<position>`` for the value,
                which is not a number where none is measured.

        Raises:
            OutputError: The file cannot be written.
        """
        metrics = counted(strategy.evaluator)
        arrays: dict[str, numpy.ndarray] = {}
        for (task, position), prediction in self.predictions.items():
            name = self._layout.names[task]
            if name in metrics:
                value = metrics[name].compute([position])[metrics[name].names[0]]
                arrays[f"{name}/{position}"] = numpy.asarray(numpy.nan if value is None else value)
                arrays |= {f"{name}/{position}/{part}": compact(value) for part, value in prediction.items()}
        path.parent.mkdir(exist_ok=True)
        write_arrays(path, arrays)


def compact(value: Tensor | int) -> numpy.ndarray:
    """Give a part as an array; whole numbers from 0, such as classes, in the smallest type that holds them."""
    array = torch.as_tensor(value).cpu().numpy()
    if array.dtype.kind == "i" and array.size and array.min() >= 0:
        return array.astype(numpy.min_scalar_type(array.max()))
    return array


def write_arrays(path: Path, arrays: Mapping[str, numpy.ndarray]) -> None:
    """Write arrays by name, compressed.

    Raises:
        OutputError: The file cannot be written.
    """
    with replacing(path) as temporary, temporary.open("wb") as file:
        numpy.savez_compressed(file, **arrays)  # type: ignore[arg-type]  # it has an option beside the arrays


def read_arrays(path: Path) -> dict[str, numpy.ndarray]:
    """Read what :func:`write_arrays` wrote; nothing in it can run code.

    Raises:
        OSError: The file cannot be read.
        ValueError: It holds something else.
    """
    with numpy.load(path, allow_pickle=False) as file:
        return dict(file)
