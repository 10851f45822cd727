"""What tests of several kinds of task need."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor


@pytest.fixture
def noise(layout) -> Callable[..., Tensor]:
    """Make a random output ``(B, C, rows, columns)``."""

    def make(batch: int, rows: int = 4, columns: int = 4, seed: int = 0) -> Tensor:
        return torch.randn(batch, layout.channels, rows, columns, generator=torch.Generator().manual_seed(seed))

    return make


@pytest.fixture
def image() -> Tensor:
    """A random image ``(3, 64, 96)`` uint8."""
    return torch.randint(0, 256, (3, 64, 96), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
