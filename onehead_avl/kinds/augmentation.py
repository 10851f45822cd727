"""What kinds of task do to a training image in common."""

from typing import Any

from torchvision.transforms import v2


def cropped_and_flipped(size: int, kept_area: float, *then: v2.Transform) -> v2.Compose:
    """Crop at random to ``size x size`` and flip, and go on with other transforms.

    Draws from torch's global random state.

    Args:
        size: Side of the square that comes out, in pixels.
        kept_area: The least share of the image that a crop keeps.
        then: What follows.
    """
    crop = v2.RandomResizedCrop((size, size), scale=(kept_area, 1.0), ratio=(3 / 4, 4 / 3), antialias=True)
    return v2.Compose([crop, v2.RandomHorizontalFlip(), *then])


def colours() -> v2.Transform:
    """Change brightness, contrast and saturation at random."""
    return _Colours(brightness=0.3, contrast=0.3, saturation=0.3)


class _Colours(v2.ColorJitter):
    """Torchvision's, which compares the numbers of the order with others: as tensors, that takes a fifth of all."""

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        params = super().make_params(flat_inputs)
        return params | {"fn_idx": params["fn_idx"].tolist()}
