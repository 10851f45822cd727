import sys

import pytest

from benchmarks import gpu
from onehead_avl.errors import UsageError
from onehead_avl.system.device_names import PRECISIONS


def test_each_kind_is_measured_in_each_precision_also_without_a_gpu(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["gpu", *["--device", "cpu", "--size", "32", "--batch", "1", "--steps", "1"]])
    gpu.main()
    rows = [line.split() for line in capsys.readouterr().out.splitlines()[-6:]]
    assert [row[:2] for row in rows] == [[kind, precision] for kind in gpu.CLASSES for precision in PRECISIONS]
    assert all(int(row[2]) > 0 and row[3] == "-" for row in rows)


def test_a_gpu_is_asked_for(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["gpu"])
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(UsageError, match="--device cuda: expected a GPU, found none"):
        gpu.main()
