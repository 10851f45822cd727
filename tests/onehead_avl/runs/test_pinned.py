from types import SimpleNamespace

import pytest
import torch
from avalanche.training.supervised import Naive
from torch import nn

from onehead_avl.runs.pinned import PinnedMinibatches
from scenarios.description import read_description
from scenarios.reading import read_stream
from scenarios.stream import avalanche_benchmark
from strategies.memory import segmentation_replay


def strategy_on(device, loader):
    return SimpleNamespace(device=torch.device(device), dataloader=loader)


@pytest.mark.parametrize(("device", "pinned"), [("cuda:1", True), ("cpu", False), ("mps", False)])
def test_minibatches_of_a_gpu_are_pinned(device, pinned):
    loader = SimpleNamespace(loader_kwargs={"num_workers": 2})
    PinnedMinibatches().before_training_exp(strategy_on(device, loader))
    assert loader.loader_kwargs == {"num_workers": 2, "pin_memory": pinned}


def test_a_loader_of_another_make_is_left_alone():
    loader = SimpleNamespace()
    PinnedMinibatches().before_training_exp(strategy_on("cuda", loader))
    assert vars(loader) == {}


def test_it_reaches_the_loader_that_replay_builds(shared_mini_root):
    stream = read_stream(read_description("challenge").on(shared_mini_root, 32), lambda line: None)
    benchmark = avalanche_benchmark(stream, 32)
    replay = segmentation_replay({0}, memory_size=4, per_step=2)
    model = nn.Linear(1, 1)
    strategy = Naive(model=model, optimizer=torch.optim.SGD(model.parameters(), lr=0.1), train_mb_size=2)
    first, second, _ = benchmark.train_stream
    strategy.experience = first
    replay.storage_policy.post_adapt(strategy, first)
    strategy.experience = second
    strategy.adapted_dataset = second.dataset
    replay.before_training_exp(strategy)
    assert "pin_memory" not in strategy.dataloader.loader_kwargs  # of page-locked memory Avalanche says nothing here
    strategy.device = torch.device("cuda")
    PinnedMinibatches().before_training_exp(strategy)
    assert strategy.dataloader.loader_kwargs["pin_memory"]
