import io
import random

import numpy
import pytest
import torch

from onehead_avl.system.randomness import random_state, set_random_state, undisturbed
from onehead_avl.system.views import VIEWS


def draws():
    return random.random(), float(numpy.random.normal()), torch.rand(2).tolist(), VIEWS.seed


def test_every_source_goes_on_from_the_state_it_is_set_back_to(monkeypatch):
    monkeypatch.setattr(VIEWS, "seed", 5)
    numpy.random.normal()  # which draws two numbers and keeps one
    state = random_state()
    wanted = [draws() for _ in range(3)]
    VIEWS.seed = None
    assert draws() not in wanted
    set_random_state(state)
    assert [draws() for _ in range(3)] == wanted


def test_a_state_is_read_from_a_file_without_running_code():
    file = io.BytesIO()
    torch.save(random_state(), file)
    wanted = draws()
    file.seek(0)
    set_random_state(torch.load(file, weights_only=True))
    assert draws() == wanted


def test_the_gpu_of_a_mac_goes_on_from_the_state_it_is_set_back_to(monkeypatch):
    gpu = torch.Generator()
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    monkeypatch.setattr(torch.mps, "get_rng_state", gpu.get_state)
    monkeypatch.setattr(torch.mps, "set_rng_state", gpu.set_state)
    state = random_state()
    wanted = torch.rand(3, generator=gpu)
    set_random_state(state)
    assert torch.equal(torch.rand(3, generator=gpu), wanted)


def test_a_state_of_another_machine_leaves_the_gpu_of_a_mac_alone(monkeypatch):
    state = random_state() | {"mps": None}
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    monkeypatch.setattr(torch.mps, "set_rng_state", None)
    set_random_state(state)


def disturbed():
    """Draw from every source, and have another view."""
    draws()
    VIEWS.seed = 6


def test_what_is_drawn_undisturbed_is_drawn_again(monkeypatch):
    monkeypatch.setattr(VIEWS, "seed", 5)
    state = random_state()
    wanted = [draws() for _ in range(3)]
    set_random_state(state)
    with undisturbed():
        disturbed()
        with undisturbed():
            disturbed()
        disturbed()
    assert [draws() for _ in range(3)] == wanted


def test_an_error_leaves_random_numbers_undisturbed(monkeypatch):
    monkeypatch.setattr(VIEWS, "seed", 5)
    state = random_state()
    wanted = draws()
    set_random_state(state)

    def fail():
        with undisturbed():
            disturbed()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert draws() == wanted
