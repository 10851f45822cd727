"""Semantic segmentation: a class for every pixel."""

from array import array
from collections.abc import Mapping, Sequence
from typing import Any

import numpy
import torch
from PIL import Image
from scipy.ndimage import distance_transform_edt
from torch import Tensor
from torch.nn.functional import cross_entropy, interpolate
from torchmetrics.functional.classification import multiclass_confusion_matrix
from torchvision import tv_tensors
from torchvision.transforms import v2
from torchvision.utils import draw_segmentation_masks

from onehead_avl.ignored import VOID
from onehead_avl.kinds.augmentation import colours, cropped_and_flipped
from onehead_avl.kinds.caption import LEAST_LETTERS, captioned
from onehead_avl.kinds.colours import colour_of
from onehead_avl.kinds.distillation import divergence
from onehead_avl.kinds.kind import SHARE, Annotation, Kind, Metric, MetricName, Values
from onehead_avl.kinds.stride import STRIDE
from onehead_avl.target import Target

BACKGROUND = "background"
"""The name of the first class where a set has pixels of none of its objects."""

_LOSS_STRIDE = 4
"""Masks are learned at stride 4: finer costs more time than the backbone, coarser loses thin objects."""

_LOOKUP = 256  # values that a uint8 mask may hold


class MeanIoU(Metric):
    """Mean intersection over union, as PASCAL VOC defines it: ``mIoU``.

    One confusion matrix over all pixels of the data set, at the masks' own resolution, void left out; the mean is over
    the classes (background included) that occur in the ground truth or in the predictions.

    Args:
        classes: Class names in index order.
    """

    values = (MetricName("mIoU", limits=SHARE),)

    def count(self, logits: Tensor, target: Target) -> None:
        """Keep of the confusion matrix of each image what is not zero, since an image holds few of many classes."""
        predicted = Segmentation().decode(logits, target.size)
        masks = target.parts["mask"]
        for prediction, mask, (rows, columns) in zip(predicted, masks, target.size.tolist(), strict=True):
            truth = mask[:rows, :columns].long()
            confusion = multiclass_confusion_matrix(
                prediction["mask"], truth, len(self.classes), ignore_index=VOID, validate_args=False
            )
            pixels = confusion.flatten().cpu()
            cells = pixels.nonzero().flatten()
            self._cells.extend(cells.tolist())
            self._pixels.extend(pixels[cells].tolist())
            self._lengths.append(len(cells))

    def clear(self) -> None:
        """Drop the matrices."""
        self._cells = array("q")
        self._pixels = array("q")
        self._lengths = array("q")

    def __len__(self) -> int:
        return len(self._lengths)

    def compute(self, images: Sequence[int]) -> Values:
        """Compute mIoU from the sum of the images' matrices."""
        return {"mIoU": mean_iou(self._confusion(images))}

    def per_class(self) -> dict[str, Values]:
        """Compute the IoU of each class; ``None`` for one that neither occurs nor is predicted."""
        if not len(self):
            return {"IoU": dict.fromkeys(self.classes)}
        values = class_iou(self._confusion(range(len(self)))).tolist()
        return {"IoU": {name: None if v != v else v for name, v in zip(self.classes, values, strict=True)}}

    def confusion(self) -> list[list[int]]:
        """Count the pixels of each class by the class that they were given."""
        return self._confusion(range(len(self))).tolist()

    def _confusion(self, images: Sequence[int]) -> Tensor:
        """The sum of the images' matrices: ``(C, C)`` int64."""
        times = numpy.bincount(images, minlength=len(self)).repeat(self._lengths)
        n = len(self.classes)
        sums = numpy.bincount(self._cells, times * numpy.asarray(self._pixels), n * n)  # exact up to 2 ** 53
        return torch.from_numpy(sums).long().view(n, n)


class Segmentation(Kind):
    """Semantic segmentation, measured by mIoU.

    An annotation holds ``mask``: ``(H, W)`` uint8 class indices, 255 = void. So does a prediction, in int64.
    """

    name = "segmentation"
    measured_by = (MeanIoU,)
    parts = ("mask",)

    def channels(self, classes: Sequence[str]) -> int:
        """Count one for each class."""
        return len(classes)

    def loss(self, logits: Tensor, target: Target) -> Tensor:
        """Compute the cross-entropy of each image's pixels, void ignored; an image that is all void has zero."""
        height, width = (side * STRIDE // _LOSS_STRIDE for side in logits.shape[-2:])
        logits = interpolate(logits, size=(height, width), mode="bilinear", align_corners=False)
        masks, sizes = target.parts["mask"], target.size.tolist()
        mask = torch.cat([_resized(masks[i], sizes[i], height, width) for i in range(len(target))]).long()
        loss = cross_entropy(logits, mask, ignore_index=VOID, reduction="none")
        return loss.sum(dim=(1, 2)) / (mask != VOID).sum(dim=(1, 2)).clamp(min=1)

    def decode(self, logits: Tensor, size: Tensor) -> list[dict[str, Tensor]]:
        """Give each pixel of the original image its likeliest class: ``mask`` ``(height, width)`` int64."""
        # With the classes of a pixel side by side in memory, and by their maximum: five times as fast as argmax.
        logits = logits.contiguous(memory_format=torch.channels_last)
        return [
            {"mask": interpolate(each[None], size=tuple(sides), mode="bilinear", align_corners=False)[0].max(0).indices}
            for each, sides in zip(logits, size.tolist(), strict=True)
        ]

    def outputs(self, logits: Tensor) -> dict[str, Tensor]:
        """Give each pixel of the network's input a score of each class, the highest that of its class.

        Returns:
            ``scores`` ``(B, C, H, W)``
        """
        return {"scores": interpolate(logits, scale_factor=STRIDE, mode="bilinear", align_corners=False)}

    def distillation(self, logits: Tensor, teacher: Tensor) -> Tensor:
        """Keep the class distribution of each cell: the mean over cells of the divergence."""
        return divergence(logits, teacher)

    def augmentation(self, size: int) -> v2.Transform:
        """Crop, flip, and change colours."""
        return cropped_and_flipped(size, 0.4, colours())

    def wrap(self, annotation: Annotation, size: Sequence[int]) -> dict[str, Any]:
        """Make the mask one of torchvision's."""
        return {"mask": tv_tensors.Mask(annotation["mask"])}

    def draw(self, image: Tensor, shown: Annotation, classes: Sequence[str]) -> Tensor:
        """Lay the colour and the name of each class over its pixels; background and void stay as they are."""
        mask = torch.as_tensor(shown["mask"])
        present = [index for index in range(len(classes)) if classes[index] != BACKGROUND and (mask == index).any()]
        if not present:
            return image.clone()
        layers = torch.stack([mask == index for index in present])
        first = 0 if classes[0] == BACKGROUND else 1  # the palette's first colour, black, is that of a background
        colours = [colour_of(first + index) for index in present]
        drawn = draw_segmentation_masks(image, layers, alpha=0.6, colors=colours)
        for index, layer, colour in zip(present, layers, colours, strict=True):
            if (corner := _place_of_name(layer)) is not None:
                drawn = captioned(drawn, classes[index], colour, corner, lines=28)
        return drawn

    def as_json(self, prediction: Annotation, classes: Sequence[str], image_id: int) -> dict[str, Any]:
        """Tell the share of the image's pixels that each class has, of the classes that have some."""
        mask = prediction["mask"]
        pixels = torch.bincount(mask.flatten(), minlength=len(classes)).tolist()
        return {"share": {name: pixels[i] / mask.numel() for i, name in enumerate(classes) if pixels[i]}}

    def as_picture(self, prediction: Annotation) -> Image.Image:
        """Make a mask of the classes' indices, with the colours of PASCAL VOC as its palette."""
        picture = Image.fromarray(prediction["mask"].to(torch.uint8).numpy())
        picture.putpalette([value for index in range(_LOOKUP) for value in colour_of(index)])
        return picture

    def classes_in(self, annotation: Annotation, classes: Sequence[str]) -> set[int]:
        """The classes of its pixels, without background and void."""
        values = set(torch.bincount(annotation["mask"].flatten(), minlength=_LOOKUP).nonzero().flatten().tolist())
        return {value for value in values if value < len(classes) and classes[value] != BACKGROUND}

    def selected_classes(self, classes: Sequence[str], chosen: Sequence[str]) -> tuple[str, ...]:
        """Those chosen after a background, which pixels of all other classes become.

        This is the overlapped setting of MiB (Cermelli et al., CVPR 2020) and PLOP (Douillard et al., CVPR 2021).
        """
        return (BACKGROUND, *(name for name in chosen if name != BACKGROUND))

    def select(self, annotation: Annotation, new: Mapping[int, int]) -> dict[str, Any]:
        """Make pixels of all other classes background; void stays void."""
        lookup = torch.zeros(_LOOKUP, dtype=torch.uint8)
        lookup[VOID] = VOID
        for old, index in new.items():
            lookup[old] = index
        return {"mask": lookup[annotation["mask"].long()]}


def _place_of_name(layer: Tensor) -> tuple[float, float] | None:
    """Where a name fits into a region ``(H, W)`` bool, x and y; ``None`` for one that the name would hide."""
    depth = distance_transform_edt(numpy.pad(layer.numpy(), 1))[1:-1, 1:-1]  # beyond the image is outside, too
    row, column = numpy.unravel_index(depth.argmax(), depth.shape)
    radius = depth[row, column]
    return (column - radius / 2, row - LEAST_LETTERS) if radius >= 2 * LEAST_LETTERS else None


def _resized(mask: Tensor, size: Sequence[int], height: int, width: int) -> Tensor:
    """Bring the mask of one image, without its padding, to another size: ``(1, height, width)``."""
    rows, columns = size
    return interpolate(mask[None, None, :rows, :columns], size=(height, width), mode="nearest-exact")[:, 0]


def class_iou(confusion: Tensor) -> Tensor:
    """The intersection over union ``(C,)`` of each class, from a ``(C, C)`` matrix of truth and prediction.

    Not a number for a class that occurs in neither.
    """
    both = confusion.diag().double()
    either = confusion.sum(dim=0) + confusion.sum(dim=1) - both
    return both / either


def mean_iou(confusion: Tensor) -> float | None:
    """The mean of :func:`class_iou` over the classes that occur; ``None`` if the matrix counts no pixel."""
    values = class_iou(confusion)
    values = values[~values.isnan()]
    return values.mean().item() if len(values) else None
