"""A classifier whose weights are loaded into backbones."""

import pytest
import torch
import torchvision
from torch import nn


@pytest.fixture(scope="module")
def classifier():
    """A whole classifier of torchvision with weights of its own."""
    torch.manual_seed(3)
    model = torchvision.models.mobilenet_v3_small().eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean)
    return model
