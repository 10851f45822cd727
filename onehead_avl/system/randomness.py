"""The state of every source of random numbers that training draws from."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import numpy
import torch

from onehead_avl.system.views import VIEWS


def random_state() -> dict:
    """The state, as plain values and tensors."""
    name, keys, *rest = cast(tuple, numpy.random.get_state())
    return {
        "python": random.getstate(),
        "numpy": (name, keys.tolist(), *rest),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "mps": torch.mps.get_rng_state() if torch.backends.mps.is_available() else None,
        "views": VIEWS.seed,
    }


def set_random_state(state: dict) -> None:
    """Go back to a state."""
    random.setstate(state["python"])
    numpy.random.set_state(state["numpy"])
    torch.set_rng_state(state["torch"])
    if torch.cuda.is_available():
        torch.cuda.set_rng_state_all(state["cuda"])
    if torch.backends.mps.is_available() and state["mps"] is not None:
        torch.mps.set_rng_state(state["mps"])
    VIEWS.seed = state["views"]


@contextmanager
def undisturbed() -> Iterator[None]:
    """Have random numbers go on afterwards as if none had been drawn meanwhile."""
    state = random_state()
    try:
        yield
    finally:
        set_random_state(state)
