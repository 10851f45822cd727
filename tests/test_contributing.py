"""What ``CONTRIBUTING.md`` promises: a kind, a layout, a strategy and a metric are one file and one row each."""

import sys

import pytest
import torch

import onehead_avl.kinds
import onehead_avl.kinds.kind
import onehead_avl.kinds.segmentation
import scenarios.layouts
import scenarios.read
import strategies.named
from onehead_avl.evaluation.plugins import evaluator
from onehead_avl.kinds.kind import kind_of
from onehead_avl.model.criterion import MultiTaskLoss
from onehead_avl.model.layout import layout_of_heads
from onehead_avl.model.network import OneHeadNet
from onehead_avl.target import Target
from scenarios.description import read_description
from scenarios.read import FORMATS, Format
from scenarios.reading import read_stream
from strategies.build import build
from strategies.hyperparameters import options_of
from strategies.named import Method, problems_of
from strategies.setting import Setting

pytestmark = pytest.mark.filterwarnings("ignore:No loggers specified")


@pytest.fixture
def new_file(tmp_path, monkeypatch):
    """Write a module of somebody's."""
    monkeypatch.syspath_prepend(tmp_path)
    written = []

    def new_file(name, text):
        (tmp_path / f"{name}.py").write_text(text)
        written.append(name)

    yield new_file
    for name in written:
        sys.modules.pop(name, None)


def test_a_kind(monkeypatch):
    monkeypatch.setitem(onehead_avl.kinds.KINDS, "depth", "examples.depth:Depth")
    kind = kind_of("depth")
    assert (kind.path, kind.metrics[0].name) == ("depth", "AbsRel")
    layout = layout_of_heads([("near", "near", kind, ()), ("cls", "cls", kind_of("classification"), ("a", "b"))])
    output = OneHeadNet(layout, channels=16)(torch.zeros(2, 3, 32, 32))
    truth = Target.cat(
        [Target.single(0, (32, 32), {"depth": torch.ones(32, 32)}), Target.single(1, (32, 32), {"label": 1})]
    )
    assert MultiTaskLoss(layout)(output, truth).isfinite()


LAYOUT = """
import torch
from PIL import Image
from scenarios.samples.pictures import read_rgb
from scenarios.samples.sample import Sample

def recognises(source):
    return (source.on_disk / "train.list").is_file()

def read(source, split, findings, classes):
    samples = []
    for line in (source.on_disk / f"{split}.list").read_text().splitlines():
        name, label = line.split()
        samples.append(Sample(name, read_rgb(source.on_disk / name), {"label": int(label)}))
    return samples, ("even", "odd")
"""


def test_a_layout(new_file, monkeypatch, tmp_path):
    from PIL import Image

    new_file("list_layout", LAYOUT)
    row = Format("list", "classification", "list_layout")
    monkeypatch.setattr(scenarios.layouts, "FORMATS", (row, *FORMATS))
    data = tmp_path / "mine"
    data.mkdir()
    for split in ("train", "val"):
        for i in range(2):
            Image.new("RGB", (8, 8), (40 * i + 9, 90, 7 if split == "val" else 5)).save(data / f"{split}{i}.png")
        (data / f"{split}.list").write_text(f"{split}0.png 0\n{split}1.png 1\n")
    (tmp_path / "stream.yaml").write_text("experiences: [{name: mine, kind: classification, path: mine}]")
    told = []
    stream = read_stream(read_description(str(tmp_path / "stream.yaml")).on(None, 32), told.append)
    assert f"mine: list layout at {data}" in told
    assert stream.experiences[0].classes == ("even", "odd")
    assert [sample.annotation["label"] for sample in stream.experiences[0].train] == [0, 1]


STRATEGY = """
from avalanche.core import SupervisedPlugin

class Louder(SupervisedPlugin):
    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def before_backward(self, strategy, **kwargs):
        strategy.loss = self.factor * strategy.loss

def loud(setting, options):
    return [Louder(options["factor"])]
"""


def test_a_strategy(new_file, monkeypatch):
    new_file("loud_strategy", STRATEGY)
    row = Method("loud", "a louder loss", "nothing", options={"factor": 2.0}, module="loud_strategy")
    monkeypatch.setitem(strategies.named.STRATEGIES, "loud", row)
    assert problems_of("replay+loud") == []
    options, wrong = options_of(["loud"], ["loud.factor=3"])
    assert (options, wrong) == ({"loud": {"factor": 3.0}}, [])
    layout = layout_of_heads([("cls", "cls", kind_of("classification"), ("a", "b"))])
    model = OneHeadNet(layout, channels=16)
    sizes = {"train_mb_size": 2, "eval_mb_size": 2, "replay_size": 2, "replay_batch": 1}
    setting = Setting(model, layout, MultiTaskLoss(layout), evaluator(layout), torch.device("cpu"), **sizes)
    strategy = build("loud", setting, options)
    assert type(strategy.plugins[0]).__name__ == "Louder"
    assert strategy.plugins[0].factor == 3.0


METRIC = """
from onehead_avl.kinds.kind import Metric, MetricName
from onehead_avl.kinds.segmentation import Segmentation

class PixelError(Metric):
    values = (MetricName("PixelError", higher_is_better=False),)

    def count(self, logits, target):
        for found, mask in zip(Segmentation().decode(logits, target.size), target.parts["mask"], strict=True):
            self.errors.append((found["mask"] != mask).double().mean().item())

    def clear(self):
        self.errors = []

    def __len__(self):
        return len(self.errors)

    def compute(self, images):
        return {"PixelError": sum(self.errors[i] for i in images) / len(images)}
"""


def test_a_metric(new_file, monkeypatch):
    new_file("pixel_error", METRIC)
    from pixel_error import PixelError

    segmentation = onehead_avl.kinds.segmentation.Segmentation
    monkeypatch.setattr(segmentation, "measured_by", (*segmentation.measured_by, PixelError))
    kind = kind_of("segmentation")
    assert [(value.name, value.higher_is_better) for value in kind.metrics] == [("mIoU", True), ("PixelError", False)]
    assert kind.metrics[0].name == "mIoU"
    metric = kind.metric(("background", "cat"))
    logits = torch.zeros(1, 2, 4, 4)
    logits[:, 1, :, :2] = logits[:, 0, :, 2:] = 9.0  # the left half is a cat
    mask = torch.zeros(32, 32, dtype=torch.uint8)
    mask[:, :8] = 1  # of which only the left half is one
    metric.update(logits, Target.single(0, (32, 32), {"mask": mask}))
    assert metric.result()["PixelError"] == pytest.approx(0.25)
    assert 0 < metric.result()["mIoU"] < 1
    emitted = {str(plugin) for plugin in evaluator(replaced(kind)).metrics}
    assert {"PixelError_Forgetting_Exp", "mIoU_Forgetting_Stream"} <= emitted


def replaced(kind):
    """A layout with one experience of a kind."""
    return layout_of_heads([("seg", "seg", kind, ("background", "cat"))])
