import subprocess
import sys

import pytest
import torch

from onehead_avl.system.device_names import wrong_device


@pytest.mark.parametrize("name", ["auto", "cpu", "cuda", "cuda:0", "cuda:1", "cuda:10", "mps"])
def test_a_device_that_may_be_there_passes(name):
    assert wrong_device(name) == []
    if name != "auto":
        assert str(torch.device(name)) == name


@pytest.mark.parametrize(
    "name",
    ["", "tpu", "gpu", "CUDA", "cuda:", "cuda:-1", "cuda:01", "cuda:one", "cuda:1,2", "cpu:0", "mps:0", "cuda\n"],
)
def test_any_other_name_is_refused_with_those_that_are_possible(name):
    assert wrong_device(name) == [f"--device expects auto, cpu, cuda, cuda:N or mps, got {name!r}"]


def test_names_are_checked_without_torch():
    code = "import sys, onehead_avl.system.device_names; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"
