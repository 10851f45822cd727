"""Changes of the colours of uint8 images ``(3, H, W)``: the same values as torchvision's functions, but sooner.

Torchvision changes pixels in float and converts them back to uint8. Here that conversion is a vectorised one, values
that cannot leave the range are not clamped, and a sum of integers is not computed by a convolution.
"""

import torch
from torch import Tensor

_GREY = (0.2989, 0.587, 0.114)
"""The weights of red, green and blue (ITU-R BT.601)."""


def to_bytes(values: Tensor) -> Tensor:
    """Round floats from 0 up to below 256 down to uint8; NumPy has a vectorised conversion, PyTorch has none."""
    return torch.from_numpy(values.numpy().astype("uint8"))


def adjust_brightness(image: Tensor, brightness_factor: float) -> Tensor:
    """Multiply all values by a factor."""
    return _clamped(image.float().mul_(brightness_factor), brightness_factor)


def adjust_contrast(image: Tensor, contrast_factor: float) -> Tensor:
    """Blend with the mean of the grey image."""
    values = image.float()
    mean = _grey(values).mean(dim=(-3, -2, -1), keepdim=True)
    return _clamped(values.mul_(contrast_factor).add_(mean, alpha=1.0 - contrast_factor), contrast_factor)


def adjust_saturation(image: Tensor, saturation_factor: float) -> Tensor:
    """Blend with the grey image."""
    values = image.float()
    grey = _grey(values)
    return _clamped(values.mul_(saturation_factor).add_(grey, alpha=1.0 - saturation_factor), saturation_factor)


def adjust_sharpness(image: Tensor, sharpness_factor: float) -> Tensor:
    """Blend with a blurred image, in which a pixel weighs five times as much as each of its neighbours; not the rim."""
    if min(image.shape[-2:]) <= 2:
        return image
    values = image.float()
    inner = values[:, 1:-1, 1:-1]
    rows = values[:, :-2] + values[:, 1:-1] + values[:, 2:]
    blurred = (rows[..., :-2] + rows[..., 1:-1]).add_(rows[..., 2:]).add_(inner, alpha=4).div_(13).round_()
    inner.add_(blurred.sub_(inner), alpha=1.0 - sharpness_factor)
    return _clamped(values, sharpness_factor)


def solarize(image: Tensor, threshold: float) -> Tensor:
    """Invert values from a threshold on."""
    values = image.numpy()
    least = int(torch.tensor(threshold).ceil())  # of a threshold in single precision, as torchvision compares
    inverted = (values >= least).view("uint8")
    inverted *= 255
    return torch.from_numpy(values ^ inverted)


def _grey(values: Tensor) -> Tensor:
    """The grey image ``(1, H, W)``, rounded down."""
    red, green, blue = values
    return red.mul(_GREY[0]).add_(green, alpha=_GREY[1]).add_(blue, alpha=_GREY[2]).floor_()[None]


def _clamped(values: Tensor, factor: float) -> Tensor:
    """As uint8; a blend by a factor up to 1 lies between what is blended, and needs no clamping."""
    return to_bytes(values.clamp_(0, 255) if factor > 1 else values)
