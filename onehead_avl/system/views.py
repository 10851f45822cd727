"""Which view of a training picture is drawn: the same one whoever loads it, this process or any number of workers."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

_SPREAD = 0x9E3779B97F4A7C15
"""2^64 divided by the golden ratio: neighbouring samples get seeds that lie far apart (Knuth's multiplicative hash)."""


class Views:
    """The seed that the views of all training sets follow from.

    A picture's view depends on the seed and the picture alone, not on what was drawn before or by which process, and is
    drawn anew when the seed changes: once an epoch in the strategies of this benchmark. Without a seed, views are drawn
    from torch's global random state, each time another one.

    Attributes:
        seed: Below 2^63, or ``None``.
    """

    seed: int | None = None

    def draw(self) -> None:
        """Draw the seed from torch's global random state."""
        self.seed = int(torch.randint(2**62, ()))

    @contextmanager
    def fixed(self, seed: int) -> Iterator[None]:
        """Use another seed for a moment."""
        before, self.seed = self.seed, seed
        try:
            yield
        finally:
            self.seed = before

    @contextmanager
    def of(self, number: int) -> Iterator[None]:
        """Have torch's global random state say what the seed says of a picture, and put it back as it was."""
        if self.seed is None:
            yield
            return
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed((self.seed + number * _SPREAD) % 2**63)
            yield


VIEWS = Views()
"""The views of this process; a training set takes them along to the workers of a data loader."""
