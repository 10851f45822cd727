import pytest
import torch

from onehead_avl.system.threads import compute_with


@pytest.mark.parametrize(
    ("asked", "environment", "expected"), [(None, None, [1]), (3, None, [3]), (None, "5", []), (2, "5", [2])]
)
def test_an_option_goes_before_the_environment_and_without_both_it_is_one(monkeypatch, asked, environment, expected):
    told = []
    monkeypatch.setattr(torch, "set_num_threads", told.append)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if environment is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", environment)
    compute_with(asked)
    assert told == expected
