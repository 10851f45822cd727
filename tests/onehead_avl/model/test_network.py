import copy

import pytest
import torch
import torchvision
from torch import nn
from torch.nn.functional import interpolate

from onehead_avl.errors import UsageError, WeightsError
from onehead_avl.kinds.detection import detections, split
from onehead_avl.kinds.kind import kind_of
from onehead_avl.model.layout import layout_of_heads
from onehead_avl.model.network import FPN, OneHeadNet
from onehead_avl.model.torchvision_backbone import TAPS

FULL = layout_of_heads(
    [
        (kind, kind, kind_of(kind), [str(i) for i in range(n)])
        for kind, n in (("segmentation", 21), ("detection", 10), ("classification", 10))
    ]
)


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return OneHeadNet(FULL).eval()


@pytest.mark.parametrize(("height", "width"), [(32, 32), (64, 96), (160, 32)])
def test_the_output_is_one_tensor_at_stride_8(network, height, width):
    with torch.no_grad():
        output = network(torch.randn(2, 3, height, width))
    assert output.shape == (2, FULL.channels, height // 8, width // 8)
    assert output.isfinite().all()


def test_the_features_are_what_the_head_sees():
    torch.manual_seed(0)
    network = OneHeadNet(FULL, channels=16).eval()
    image = torch.randn(2, 3, 64, 96)
    with torch.no_grad():
        features = network.get_features(image)
        assert features.shape == (2, 16, 8, 12)
        assert torch.equal(network.head(features), network(image))
    assert features.std() > 0.01


def test_half_precision_is_inside_and_moves_the_output_a_little():
    torch.manual_seed(0)
    network = OneHeadNet(FULL, channels=16)
    nn.init.normal_(network.last.weight)
    network.grow(FULL.heads[1])
    image, seen = torch.randn(2, 3, 64, 96), set()
    network.neck.register_forward_hook(lambda module, given, features: seen.add(features.dtype))
    full = network(image)
    network.precision = "bf16"
    half = copy.deepcopy(network)(image)
    assert seen == {torch.float32, torch.bfloat16}
    assert full.dtype == half.dtype == torch.float32
    assert 0 < (full - half).std() < 0.03 * full.std()
    assert torch.equal(half, half.bfloat16().float())


def test_half_precision_learns_weights_of_single_precision():
    torch.manual_seed(0)
    network = OneHeadNet(FULL, channels=16)
    network.precision = "bf16"
    network(torch.randn(2, 3, 64, 96)).square().mean().backward()
    assert {(weight.dtype, weight.grad.dtype) for weight in network.parameters()} == {(torch.float32, torch.float32)}


@pytest.mark.parametrize("name", TAPS)
def test_every_backbone_fits(name, layout):
    with torch.no_grad():
        assert OneHeadNet(layout, name)(torch.randn(1, 3, 64, 32)).shape == (1, layout.channels, 8, 4)


@pytest.mark.parametrize("shape", [(3, 64, 64), (1, 1, 64, 64), (1, 4, 64, 64), (1, 3, 63, 64), (1, 3, 64, 48)])
def test_images_of_another_shape_are_refused(network, shape):
    with pytest.raises(ValueError, match="multiples of 32, got") as caught:
        network(torch.zeros(shape))
    assert str(shape) in str(caught.value)


@pytest.mark.parametrize("pretrained", [True, False])
def test_it_has_less_than_eight_million_parameters(pretrained):
    assert sum(p.numel() for p in OneHeadNet(FULL, pretrained=pretrained).parameters()) < 8_000_000


def test_the_head_is_one_branch_of_three_convolutions(network):
    assert [name for name, _ in network.named_children()] == ["backbone", "neck", "head", "columns"]
    assert len(network.columns) == 0
    assert isinstance(network.head, nn.Sequential)
    convolutions = [module for module in network.head.modules() if isinstance(module, nn.Conv2d)]
    assert len(convolutions) == 3
    depthwise, pointwise, _ = convolutions
    assert depthwise.groups == depthwise.in_channels == depthwise.out_channels
    assert pointwise.kernel_size == (1, 1)
    assert pointwise.out_channels == 2 * pointwise.in_channels
    assert convolutions[-1] is network.head[-1]
    assert convolutions[-1].out_channels == FULL.channels


def test_the_neck_is_one_layer_of_lateral_convolutions_and_their_gate(network):
    convolutions = [module for module in network.neck.modules() if isinstance(module, nn.Conv2d)]
    assert len(convolutions) == 3 + 1
    assert {module.kernel_size for module in convolutions} == {(1, 1)}


def test_the_neck_sums_all_resolutions_from_coarse_to_fine():
    neck = FPN([1, 1, 1], 1)
    for lateral, weight in zip(neck.lateral, (1.0, 10.0, 100.0), strict=True):
        nn.init.constant_(lateral.weight, weight)
        nn.init.zeros_(lateral.bias)
    nn.init.zeros_(neck.gate.weight)
    nn.init.zeros_(neck.gate.bias)  # gates of 1
    merged = neck([torch.ones(1, 1, 4, 4), torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]]), torch.tensor([[[[5.0]]]])])
    ways = (0, 0.25, 0.75, 1)  # bilinear, from the centre of one coarse cell to that of the next
    assert merged[0, 0].tolist() == [[511 + 20 * down + 10 * right for right in ways] for down in ways]


@torch.no_grad()
def test_the_mean_of_the_coarsest_features_gates_them():
    torch.manual_seed(0)
    neck = FPN([4, 8], 16)
    fine, coarse = torch.randn(2, 4, 16, 16), torch.randn(2, 8, 8, 8)
    first, second = neck.lateral
    nn.init.zeros_(first.weight)
    nn.init.zeros_(first.bias)
    weight, bias = neck.gate.weight[:, :, 0, 0], neck.gate.bias
    gates = 2 / (1 + torch.exp(-(coarse.flatten(2).mean(dim=2) @ weight.T + bias)))
    wanted = interpolate(second(coarse) * gates[:, :, None, None], (16, 16), mode="bilinear", align_corners=False)
    torch.testing.assert_close(neck([fine, coarse]), wanted)


def test_every_parameter_learns(network):
    network.zero_grad()
    network(torch.randn(1, 3, 64, 64)).square().sum().backward()
    assert [name for name, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0] == []


def test_pretrained_batchnorm_stays_in_evaluation_while_the_rest_trains():
    network = OneHeadNet(FULL, pretrained=True).train()
    batchnorms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    assert batchnorms
    assert not any(module.training for module in batchnorms)
    assert network.training
    assert network.head.training
    before = {name: value.clone() for name, value in network.named_buffers()}
    network(torch.randn(2, 3, 32, 32))
    assert all(torch.equal(value, before[name]) for name, value in network.named_buffers())


def test_there_is_no_batchnorm_outside_of_a_pretrained_backbone():
    network = OneHeadNet(FULL, pretrained=True)
    for part in (network.neck, network.head):
        assert not any(isinstance(module, nn.BatchNorm2d) for module in part.modules())


def test_a_random_start_has_groupnorm_only(network):
    assert not any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in network.modules())
    assert any(isinstance(module, nn.GroupNorm) for module in network.backbone.modules())


def test_a_random_start_needs_no_download(monkeypatch):
    def get_state_dict(self, *args, **kwargs):
        raise AssertionError("nothing must be downloaded")

    monkeypatch.setattr(torchvision.models.WeightsEnum, "get_state_dict", get_state_dict)
    OneHeadNet(FULL)


def test_the_detector_starts_by_seeing_almost_nothing(network):
    with torch.no_grad():
        output = network(torch.randn(2, 3, 64, 64))
        own = FULL.parts[1].of(output)
        _, _, classes = split(own)
        found = detections(own, torch.tensor([[64, 64]] * 2))
    assert classes.sigmoid().mean().item() == pytest.approx(0.01, rel=0.2)
    assert max(each.scores.max().item() for each in found) < 0.15


def test_each_part_starts_with_the_biases_of_its_kind(network):
    assert network.last is network.get_submodule(network.output_layer)
    assert network.width == 128
    for part in FULL.parts:
        own = network.last.bias[part.channels.start : part.channels.stop]
        assert torch.equal(own, part.kind.start(part.classes))
    assert network.last.bias.count_nonzero() == 10  # those of the detector's classes


def test_each_detection_starts_by_seeing_almost_nothing_of_its_classes_and_a_shared_head_starts_once():
    detection, segmentation = kind_of("detection"), kind_of("segmentation")
    layout = layout_of_heads(
        [
            ("day", "day", detection, ("a", "b")),
            ("roads", "roads", segmentation, ("ground", "road", "car")),
            ("night", "day", detection, ("a", "b")),
            ("zoo", "zoo", detection, ("ape",)),
        ]
    )
    rare = -4.59512  # the logit of a probability of 0.01
    expected = [0] * 5 + [rare] * 2 + [0] * 3 + [0] * 5 + [rare]
    assert OneHeadNet(layout, channels=16).last.bias.tolist() == pytest.approx(expected, abs=1e-5)


def test_the_same_seed_gives_the_same_network(network):
    torch.manual_seed(0)
    again = OneHeadNet(FULL).state_dict()
    assert all(torch.equal(value, again[name]) for name, value in network.state_dict().items())


def test_weights_are_loaded_from_a_file(tmp_path):
    path = tmp_path / "classifier.pth"
    classifier = torchvision.models.mobilenet_v3_small()
    torch.save(classifier.state_dict(), path)
    backbone = OneHeadNet(FULL, weights=str(path)).backbone
    assert backbone.pretrained
    for name, value in backbone.features.state_dict().items():
        assert torch.equal(value, classifier.features.state_dict()[name]), name


def test_wrong_weights_and_names_are_refused(tmp_path):
    path = tmp_path / "classifier.pth"
    torch.save(torchvision.models.mobilenet_v3_small().state_dict(), path)
    with pytest.raises(WeightsError):
        OneHeadNet(FULL, "mobilenet_v3_large", str(path))
    with pytest.raises(UsageError):
        OneHeadNet(FULL, "mobilenet_v3_small", str(tmp_path / "none.pth"))
    with pytest.raises(UsageError):
        OneHeadNet(FULL, "vgg")


def grown_network():
    """A network with two columns, of which no weight is at its start."""
    torch.manual_seed(5)
    network = OneHeadNet(FULL, channels=16)
    for part in FULL.heads[1:]:
        network.grow(part)
    with torch.no_grad():
        for value in network.parameters():
            value.add_(torch.randn_like(value) / 10)
    return network.eval()


@torch.no_grad()
def test_a_network_that_grew_is_still_one_neck_and_one_branch_of_three_layers():
    network = grown_network()
    branches = [(network.neck, network.head), *((column.neck, column.head) for column in network.grown)]
    parts = [slice(0, FULL.channels)] + [
        slice(part.channels.start, part.channels.stop) for part in map(FULL.part_of, ("detection", "classification"))
    ]

    # The same weights in the layers of one branch, with zeros where a column has no weight.
    neck = FPN(network.backbone.channels, 48)
    depthwise = torch.nn.Conv2d(48, 48, 3, padding=1, groups=48, bias=False)
    pointwise, norm = torch.nn.Conv2d(48, 96, 1, bias=False), torch.nn.GroupNorm(24, 96)
    last = torch.nn.Conv2d(96, FULL.channels, 1)
    for value in (pointwise.weight, last.weight, last.bias):
        value.zero_()
    for i, (own, head) in enumerate(branches):
        narrow, wide = slice(16 * i, 16 * (i + 1)), slice(32 * i, 32 * (i + 1))
        for whole, lateral in zip(neck.lateral, own.lateral, strict=True):
            whole.weight[narrow], whole.bias[narrow] = lateral.weight, lateral.bias
        neck.gate.weight[narrow], neck.gate.bias[narrow] = own.gate.weight, own.gate.bias
        depthwise.weight[narrow] = head[0].weight
        pointwise.weight[wide, narrow] = head[1].weight
        norm.weight[wide], norm.bias[wide] = head[2].weight, head[2].bias
        last.weight[parts[i], wide] = head[4].weight
        last.bias[parts[i]] += head[4].bias
    one = torch.nn.Sequential(neck, depthwise, pointwise, norm, torch.nn.Hardswish(), last)

    images = torch.randn(2, 3, 64, 96)
    torch.testing.assert_close(network(images), one(network.backbone(images)))


@torch.no_grad()
def test_a_column_begins_at_random_with_a_quiet_output():
    network = grown_network()
    new = network.grow(FULL.part_of("detection"))
    for others in (network.neck, *(each.neck for each in network.grown[:-1])):
        assert not any(torch.equal(*pair) for pair in zip(new.neck.parameters(), others.parameters(), strict=True))
    for others in (network.head, *(each.head for each in network.grown[:-1])):
        assert not torch.equal(new.head[1].weight, others[1].weight)
    assert 0 < new.head[-1].weight.abs().max() < 0.1
    assert new.head[-1].bias.abs().max() == 0


@torch.no_grad()
def test_a_column_changes_its_own_part_of_the_output_alone():
    torch.manual_seed(0)
    network = OneHeadNet(FULL, channels=16).eval()
    images = torch.randn(1, 3, 64, 64)
    before = network(images)
    part = FULL.part_of("detection")
    network.grow(part)
    after = network(images)
    same = (before == after).flatten(2).all(dim=2)[0]
    assert not same[part.channels.start : part.channels.stop].any()
    assert same.sum() == FULL.channels - len(part.channels)
