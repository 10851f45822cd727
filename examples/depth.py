"""A fourth kind of task in one file: which thing lies how near, a dense regression; and drawn images to learn it from.

Name both in a description of a stream, as ``examples/depth.yaml`` does:

* ``python -m onehead_avl.benchmark --stream examples/depth.yaml --strategy naive replay-all``
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import interpolate
from torchvision import tv_tensors
from torchvision.transforms import v2

from onehead_avl.kinds.augmentation import colours, cropped_and_flipped
from onehead_avl.kinds.kind import SHARE, Annotation, Kind, Metric, MetricName, Values
from onehead_avl.target import Target
from scenarios.drawn.embedded import COUNTS, Picture, Recipe, picture
from scenarios.samples.findings import Finding
from scenarios.samples.sample import Sample
from scenarios.samples.source import Source

RECIPE = Recipe(number=3, objects=3, side=(0.30, 0.70), centre=(0.15, 0.85))
"""What the drawn images hold; the number keeps them apart from those of other kinds."""


class DepthError(Metric):
    """The absolute relative error, ``AbsRel``, and the share of pixels wrong by a factor below 1.25, ``Delta1``.

    Both are means over images (Eigen et al., NeurIPS 2014); the lower the error, the better.
    """

    values = (MetricName("AbsRel", higher_is_better=False, limits=(0.0, torch.inf)), MetricName("Delta1", limits=SHARE))

    def count(self, logits: Tensor, target: Target) -> None:
        """Keep the error of each image, at the resolution of its annotation."""
        predicted = Depth().decode(logits, target.size)
        maps = target.parts["depth"]
        for prediction, truth, (rows, columns) in zip(predicted, maps, target.size.tolist(), strict=True):
            truth = truth[:rows, :columns]
            known = truth.isfinite()
            found, wanted = prediction["depth"][known].double(), truth[known].double()
            factor = torch.maximum(found / wanted, wanted / found)
            error = ((found - wanted).abs() / wanted).mean().item()
            self._errors.append((error, (factor < 1.25).double().mean().item()))

    def clear(self) -> None:
        """Drop the errors."""
        self._errors: list[tuple[float, float]] = []

    def __len__(self) -> int:
        return len(self._errors)

    def compute(self, images: Sequence[int]) -> Values:
        """Compute the means over some images."""
        columns = zip(*(self._errors[image] for image in images), strict=True)
        return {name: sum(column) / len(column) for name, column in zip(self.names, columns, strict=True)}


class Depth(Kind):
    """Depth in units of the ground's, measured by the absolute relative error.

    An annotation holds ``depth``: ``(H, W)`` float32, not a number where it is not known. So does a prediction.
    """

    name = "depth"
    measured_by = (DepthError,)
    parts = ("depth",)

    def channels(self, classes: Sequence[str]) -> int:
        """Count one: the logarithm of the depth."""
        return 1

    def loss(self, logits: Tensor, target: Target) -> Tensor:
        """Compute the mean absolute error of the logarithm over each image's known pixels."""
        maps, sizes = target.parts["depth"], target.size.tolist()
        sides = logits.shape[-2:]
        truth = torch.cat(
            [
                interpolate(maps[i][None, None, :rows, :columns], size=sides, mode="nearest-exact")
                for i, (rows, columns) in enumerate(sizes)
            ]
        )
        known = truth.isfinite()
        error = (logits - torch.where(known, truth, 1.0).log()).abs() * known
        return error.sum(dim=(1, 2, 3)) / known.sum(dim=(1, 2, 3)).clamp(min=1)

    def decode(self, logits: Tensor, size: Tensor) -> list[dict[str, Tensor]]:
        """Give each pixel of the original image its depth."""
        return [
            {"depth": interpolate(each[None], size=tuple(sides), mode="bilinear", align_corners=False)[0, 0].exp()}
            for each, sides in zip(logits, size.tolist(), strict=True)
        ]

    def distillation(self, logits: Tensor, teacher: Tensor) -> Tensor:
        """Keep the logarithm of each cell."""
        return (logits - teacher).abs().mean()

    def augmentation(self, size: int) -> v2.Transform:
        """Crop, flip, and change colours."""
        return cropped_and_flipped(size, 0.4, colours())

    def wrap(self, annotation: Annotation, size: Sequence[int]) -> dict[str, Any]:
        """Make the map move as a mask does: depths of two things are never mixed."""
        return {"depth": tv_tensors.Mask(annotation["depth"])}

    def draw(self, image: Tensor, shown: Annotation, classes: Sequence[str]) -> Tensor:
        """Paint the near bright and the far dark, over the image."""
        near = (1 - shown["depth"].nan_to_num(1.0)).clamp(0, 1) * 255
        return (0.3 * image + 0.7 * near).to(torch.uint8)


def scenes(
    source: Source, split: str, findings: list[Finding], classes: Sequence[str] | None
) -> tuple[list[Sample], tuple[str, ...]]:
    """Draw the images of one split; there are no classes."""
    samples = []
    for index in range(COUNTS[split]):
        drawn = picture(RECIPE, split, index, source.size)
        samples.append(Sample(f"drawn/depth/{split}/{index}", drawn.image, {"depth": depth_of(drawn)}))
    return samples, ()


def depth_of(drawn: Picture) -> Tensor:
    """The depth of each pixel: 1 on the ground, and a quarter less for each step towards the front, at most three."""
    nearness = torch.from_numpy(drawn.scene.top + 1).clamp(max=3)
    return (1 - nearness / 4).float()
