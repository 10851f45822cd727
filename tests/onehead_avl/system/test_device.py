import importlib.metadata

import pytest
import timm
import torch

from onehead_avl.errors import UsageError
from onehead_avl.system.device import choose_device, environment, synchronise, usual_workers

CPU = torch.device("cpu")


@pytest.fixture
def machine(monkeypatch):
    """Make this machine one with so many GPUs, or a Mac."""

    def machine(gpus=0, mac=False):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"card {device.index or 0}")
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mac)
        monkeypatch.setattr(torch.backends.mps, "get_name", lambda: "Apple M9", raising=False)

    return machine


@pytest.mark.parametrize(
    ("there", "name", "device"),
    [
        ({}, "auto", "cpu"),
        ({"mac": True}, "auto", "mps"),
        ({"gpus": 2}, "auto", "cuda"),
        ({"gpus": 1, "mac": True}, "auto", "cuda"),
        ({}, "cpu", "cpu"),
        ({"gpus": 2, "mac": True}, "cpu", "cpu"),
        ({"gpus": 1}, "cuda", "cuda"),
        ({"gpus": 1}, "cuda:0", "cuda:0"),
        ({"gpus": 12}, "cuda:11", "cuda:11"),
        ({"gpus": 1, "mac": True}, "mps", "mps"),
    ],
)
def test_a_device_that_is_there_is_chosen(machine, there, name, device):
    machine(**there)
    assert choose_device(name) == torch.device(device)


@pytest.mark.parametrize(
    ("there", "name", "device"),
    [
        ({"gpus": 2}, "auto", "cuda:1"),
        ({"gpus": 2}, "cuda", "cuda:1"),
        ({"gpus": 2}, "cpu", "cpu"),
        ({}, "auto", "cpu"),
    ],
)
def test_each_of_several_processes_has_a_gpu_of_its_own(machine, monkeypatch, there, name, device):
    monkeypatch.setenv("WORLD_SIZE", "4")  # on two machines, say
    monkeypatch.setenv("LOCAL_RANK", "1")
    machine(**there)
    assert choose_device(name) == torch.device(device)


def test_more_processes_than_gpus_are_refused(machine, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "3")
    monkeypatch.setenv("LOCAL_RANK", "2")
    machine(gpus=2)
    with pytest.raises(UsageError, match="expects a process for each GPU, of which there are 2; or use --device cpu"):
        choose_device("auto")


def test_a_mac_is_not_shared(machine, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    machine(mac=True)
    assert choose_device("auto") == CPU


@pytest.mark.parametrize(
    ("there", "name", "message"),
    [
        ({}, "cuda", "--device cuda: expected a GPU, found none; use --device cpu"),
        ({"mac": True}, "cuda:1", "--device cuda:1: expected a GPU, found none; use --device cpu"),
        ({"gpus": 1}, "cuda:1", "--device cuda:1: expected a GPU that is there, found 1; use one of cuda:0"),
        ({"gpus": 2}, "cuda:2", "--device cuda:2: expected a GPU that is there, found 2; use one of cuda:0, cuda:1"),
        ({"gpus": 2}, "mps", "--device mps: expected a Mac with a GPU of its own, found none; use --device cpu"),
        ({"gpus": 2}, "cuda:-1", "--device expects auto, cpu, cuda, cuda:N or mps, got 'cuda:-1'"),
    ],
)
def test_a_device_must_be_there_to_be_asked_for(machine, there, name, message):
    machine(**there)
    with pytest.raises(UsageError) as caught:
        choose_device(name)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("device", "name"), [("cpu", "cpu"), ("cuda", "card 0"), ("cuda:1", "card 1"), ("mps", "Apple M9")]
)
def test_the_environment_names_the_device(machine, device, name):
    machine(gpus=2, mac=True)
    assert environment(torch.device(device))["device"] == name


def test_a_mac_that_pytorch_cannot_name_is_named_by_its_kind(machine, monkeypatch):
    machine(mac=True)
    monkeypatch.delattr(torch.backends.mps, "get_name")
    assert environment(torch.device("mps"))["device"] == "mps"


@pytest.mark.parametrize(("device", "waited"), [("cpu", []), ("cuda:1", ["cuda:1"]), ("mps", ["mps"])])
def test_what_computes_beside_the_program_is_waited_for(monkeypatch, device, waited):
    found = []
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: found.append(str(device)))
    monkeypatch.setattr(torch.mps, "synchronize", lambda: found.append("mps"))
    synchronise(torch.device(device))
    assert found == waited


def test_the_environment_names_the_version_of_timm_where_there_is_one(monkeypatch):
    assert environment(CPU)["timm"] == timm.__version__
    monkeypatch.setattr(importlib.metadata, "distributions", lambda name: iter(()))
    assert "timm" not in environment(CPU)


def test_the_environment_says_how_many_processes_learn_together(monkeypatch):
    assert "processes" not in environment(CPU)
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert environment(CPU)["processes"] == 2


def test_processes_of_one_machine_share_its_cores(monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 16)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    assert usual_workers(torch.device("cuda:1")) == 3


@pytest.mark.parametrize(("cores", "workers"), [(1, 1), (2, 1), (4, 3), (64, 8)])
def test_a_gpu_has_a_process_that_loads_for_each_core_but_one(monkeypatch, cores, workers):
    monkeypatch.setattr("os.cpu_count", lambda: cores)
    assert usual_workers(torch.device("cuda:1")) == workers
    assert usual_workers(CPU) == usual_workers(torch.device("mps")) == 0
