import copy
from mmap import PAGESIZE, mmap
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from avalanche.training.plugins import EvaluationPlugin, EWCPlugin, SupervisedPlugin
from avalanche.training.templates import SupervisedTemplate
from torch import nn

from onehead_avl.evaluation.plugins import evaluator
from onehead_avl.kinds.kind import kind_of
from onehead_avl.model.criterion import MultiTaskLoss
from onehead_avl.model.network import OneHeadNet
from onehead_avl.report import cost
from onehead_avl.report.cost import peak_memory, start_peak_memory, stored_bytes
from scenarios.drawn.embedded import drawn, drawn_classes
from scenarios.experience import Experience, Stream
from scenarios.stream import avalanche_benchmark
from strategies.memory import segmentation_replay
from strategies.multitask import MultiTask

pytestmark = pytest.mark.filterwarnings("ignore:No loggers specified")

SIZE = 32
SAMPLE = 3 * SIZE**2


class Keeps(SupervisedPlugin):
    """A plugin that keeps what it is given."""

    def __init__(self, **values):
        super().__init__()
        vars(self).update(values)


class Slow(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 5, bias=False)
        self.register_buffer("mean", torch.zeros(7))


def strategy(*plugins, **attributes):
    """What the measure looks at of a strategy with a model of 22 numbers."""
    return SimpleNamespace(model=Slow(), plugins=list(plugins), **attributes)


def stored(*plugins, **attributes):
    return stored_bytes(strategy(*plugins, **attributes), SIZE)


def test_without_plugins_nothing_is_kept():
    assert stored() == 0


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (torch.zeros(5, 3), 60),
        (torch.zeros(5, dtype=torch.float64), 40),
        (np.zeros(4, dtype=np.uint8), 4),
        ([torch.zeros(2), {"a": (torch.zeros(3),)}], 20),
        ({0: {"weight": torch.zeros(1)}, 1: {"weight": torch.zeros(1)}}, 8),
        (SimpleNamespace(inner=SimpleNamespace(weight=torch.zeros(6))), 24),
        (Slow(), 4 * 22),
        ([None, True, 3, 2.5, "text"], 0),
        (torch.optim.SGD(Slow().parameters(), lr=0.1), 0),
        (torch.utils.data.DataLoader([torch.zeros(100)]), 0),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_a_plugin_keeps_is_counted_in_bytes(value, expected):
    assert stored(Keeps(kept=value)) == expected
    assert stored(kept=value) == expected


def test_nothing_is_counted_twice():
    tensor, old = torch.zeros(10), Slow()
    assert stored(Keeps(one=tensor, two=[tensor, tensor.view(2, 5)], three=old), Keeps(one=tensor, two=old)) == 40 + 88


def test_a_ring_of_references_ends():
    ring = {"weight": torch.zeros(2)}
    ring["self"] = ring
    assert stored(Keeps(kept=ring)) == 8


def test_the_current_model_is_not_kept_and_a_copy_of_it_is():
    current = strategy()
    current.plugins = [Keeps(kept=current.model, weights=list(current.model.parameters()))]
    assert stored_bytes(current, SIZE) == 0
    current.plugins = [Keeps(kept=copy.deepcopy(current.model))]
    assert stored_bytes(current, SIZE) == 88


def test_what_belongs_to_the_moment_is_not_kept():
    assert stored(mb_output=torch.zeros(5), loss=torch.zeros(5), mbatch=[torch.zeros(5)], optimizer=None) == 0


def test_what_a_continued_run_does_without_is_not_kept():
    class Forgetful(Keeps):
        UNSAVED = frozenset(("images",))

    assert stored(Forgetful(images=torch.zeros(100), kept=torch.zeros(5))) == 20


def test_the_run_around_a_strategy_is_not_kept():
    measuring = EvaluationPlugin()
    measuring.values = torch.zeros(5)
    assert stored(measuring, Keeps(evaluator=measuring)) == 0


@pytest.fixture(scope="module")
def data():
    experiences = []
    for name in ("segmentation", "detection"):
        train, val = (drawn(name, split, size=SIZE, count=count) for split, count in (("train", 6), ("val", 2)))
        experiences.append(Experience(name, kind_of(name), drawn_classes(name), train, val, name))
    return Stream("tiny", tuple(experiences))


@pytest.fixture
def learned(data):
    """What strategies with these plugins keep after a stream of segmentation and detection."""

    def learned(*plugins):
        torch.manual_seed(0)
        benchmark = avalanche_benchmark(data, SIZE)
        model = OneHeadNet(data.layout, channels=32)
        strategy = MultiTask(
            model=model,
            criterion=MultiTaskLoss(model.layout),
            plugins=list(plugins),
            evaluator=evaluator(model.layout),
            train_mb_size=3,
        )
        for experience in benchmark.train_stream:
            strategy.train(experience)
        strategy.eval(benchmark.test_stream)
        return stored_bytes(strategy, SIZE), model

    return learned


def test_fine_tuning_keeps_nothing(learned):
    assert learned()[0] == 0


def test_replay_keeps_its_samples(learned):
    assert learned(segmentation_replay([0], 4, 2))[0] == 4 * (SAMPLE + 4)  # the reservoir has a float32 for each sample


def test_weight_consolidation_keeps_a_weight_and_its_importance_for_each_task(learned):
    found, model = learned(EWCPlugin(1.0))
    expected = 2 * 2 * 4 * sum(parameter.numel() for parameter in model.parameters())
    assert found == pytest.approx(expected, rel=1e-3)


def test_the_measure_looks_at_any_strategy_of_avalanches(learned, data):
    model = OneHeadNet(data.layout, channels=32)
    kept = SupervisedTemplate(
        model=model,
        optimizer=torch.optim.SGD(model.parameters(), lr=0.1),
        criterion=MultiTaskLoss(model.layout),
        plugins=[Keeps(kept=torch.zeros(11))],
        evaluator=None,
    )
    assert stored_bytes(kept, SIZE) == 44


needs_linux = pytest.mark.skipif(not cost._CLEAR.exists(), reason="Linux tells the memory of a process")


def fresh_memory(size):
    """Memory that the system gives and takes back at once; an allocator would use again what it holds."""
    block = mmap(-1, size)
    for page in range(0, size, PAGESIZE):
        block[page] = 1
    return block


@needs_linux
def test_the_peak_of_memory_grows_with_what_is_allocated_and_stays():
    start_peak_memory()
    before = peak_memory()
    assert before > 2**20
    block = fresh_memory(64 * 2**20)
    during = peak_memory()
    assert 48 * 2**20 < during - before < 80 * 2**20
    block.close()
    assert peak_memory() > during - 2**20  # the system counts in steps


@needs_linux
def test_the_peak_can_be_forgotten():
    block = fresh_memory(64 * 2**20)
    before = peak_memory()
    block.close()
    start_peak_memory()
    assert before - peak_memory() > 50 * 2**20


def test_where_the_system_does_not_tell_the_peak_is_unknown(monkeypatch, tmp_path):
    for name in ("_STATUS", "_CLEAR"):
        monkeypatch.setattr(cost, name, tmp_path / "proc" / name)
    start_peak_memory()
    assert peak_memory() is None
    assert not (tmp_path / "proc").exists()


def test_a_system_that_tells_something_else_leaves_the_peak_unknown(monkeypatch, tmp_path):
    (tmp_path / "status").write_text("Name:\tpython\nVmRSS:\t 5 kB\n")
    monkeypatch.setattr(cost, "_STATUS", tmp_path / "status")
    assert peak_memory() is None
    (tmp_path / "status").write_text("Name:\tpython\nVmHWM:\t 2048 kB\nVmRSS:\t 5 kB\n")
    assert peak_memory() == 2 * 2**20
