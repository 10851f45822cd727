import pytest
import torch

from onehead_avl.system import threads
from onehead_avl.system.threads import compute_with


@pytest.fixture
def chosen(monkeypatch):
    """What PyTorch is told, on a machine of eight cores, and nothing in the environment."""
    told = []
    monkeypatch.setattr(torch, "set_num_threads", told.append)
    monkeypatch.setattr(threads, "_cores", lambda: 8)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    return told


@pytest.mark.parametrize(
    ("asked", "jobs", "on_cluster", "expected"),
    [
        (None, None, False, []),
        (3, None, False, [3]),
        (3, 2, False, [3]),
        (None, 2, False, [4]),
        (None, 3, False, [2]),
        (None, 12, False, [1]),
        (None, None, True, [1]),
    ],
)
def test_runs_share_the_cores(chosen, asked, jobs, on_cluster, expected):
    compute_with(asked, jobs, on_cluster=on_cluster)
    assert chosen == expected


@pytest.mark.parametrize(("asked", "expected"), [(None, []), (2, [2])])
def test_the_environment_goes_before_a_share_and_an_option_before_both(chosen, monkeypatch, asked, expected):
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    compute_with(asked, 4, on_cluster=False)
    assert chosen == expected


def test_the_cores_of_this_machine_are_known():
    assert threads._cores() >= 1
