import pytest
import torch

from onehead_avl.errors import UsageError
from onehead_avl.system.device import choose_device


@pytest.fixture(params=[True, False])
def gpu(request, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: request.param)
    return request.param


def test_cpu_is_always_there(gpu):
    assert choose_device("cpu") == torch.device("cpu")


def test_auto_takes_a_gpu_where_there_is_one(gpu):
    assert choose_device("auto") == torch.device("cuda" if gpu else "cpu")


def test_a_gpu_must_exist_to_be_asked_for(gpu):
    if gpu:
        assert choose_device("cuda") == torch.device("cuda")
    else:
        with pytest.raises(UsageError, match="expected a GPU, found none; use --device cpu"):
            choose_device("cuda")
