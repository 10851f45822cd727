"""What the network is fed."""

import torch
from torch import Tensor
from torchvision.transforms.v2.functional import normalize, to_dtype

IMAGENET_MEAN = [0.485, 0.456, 0.406]
IMAGENET_STD = [0.229, 0.224, 0.225]


def network_input(image: Tensor) -> Tensor:
    """Turn a uint8 image ``(3, H, W)`` into the float tensor that ImageNet backbones expect."""
    image = image.contiguous()
    values = to_dtype(image, torch.float32, scale=True)
    return normalize(values, IMAGENET_MEAN, IMAGENET_STD, inplace=values is not image)
