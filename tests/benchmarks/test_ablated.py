import pytest
import torch

from benchmarks.ablated import WithoutGates
from onehead_avl.kinds.kind import kind_of
from onehead_avl.model.layout import layout_of_heads
from onehead_avl.model.network import OneHeadNet

LAYOUT = layout_of_heads(
    [
        ("seg", "seg", kind_of("segmentation"), ("background", "a")),
        ("det", "det", kind_of("detection"), ("b", "c")),
    ]
)
DETECTION = LAYOUT.part_of("det")


@pytest.fixture
def weights(tmp_path):
    torch.manual_seed(0)
    path = tmp_path / "features.pth"
    features = OneHeadNet(LAYOUT, pretrained=True).backbone.features.state_dict()
    torch.save({f"features.{name}": value for name, value in features.items()}, path)
    return str(path)


def step(network):
    torch.manual_seed(1)
    images = torch.randn(2, 3, 64, 64)
    optimizer = torch.optim.SGD(network.parameters(), lr=1.0)
    network(images).square().mean().backward()
    optimizer.step()


def outputs(network):
    torch.manual_seed(2)
    with torch.no_grad():
        return network.eval()(torch.randn(2, 3, 64, 64))


def test_gates_are_one_and_stay_so_in_the_neck_and_in_columns(weights):
    network = WithoutGates(LAYOUT, weights)
    network.grow(DETECTION)
    step(network)
    necks = [network.neck, network.grown[0].neck]
    for neck in necks:
        assert all(parameter.abs().max() == 0 for parameter in neck.gate.parameters())
    before = outputs(network)
    for neck in necks:
        neck.forward = lambda features, neck=neck: ungated(neck, features)
    torch.testing.assert_close(outputs(network), before)


def ungated(neck, features):
    fine, middle, coarse = (lateral(each) for lateral, each in zip(neck.lateral, features, strict=True))
    for finer in (middle, fine):
        coarse = finer + torch.nn.functional.interpolate(coarse, size=finer.shape[-2:], mode="bilinear")
    return coarse


def test_all_else_learns(weights):
    network = WithoutGates(LAYOUT, weights)
    network.grow(DETECTION)
    step(network)
    lacking = {name for name, parameter in network.named_parameters() if parameter.grad is None}
    assert lacking == {f"{neck}.gate.{name}" for neck in ("neck", "columns.0.neck") for name in ("weight", "bias")}
