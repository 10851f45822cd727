import copy

import pytest
import timm
import torch
from safetensors.torch import save_file
from timm.layers import BatchNormAct2d
from torch import nn
from torch.nn.functional import relu
from torch.nn.modules.batchnorm import _BatchNorm
from torchvision.transforms.v2.functional import normalize

from onehead_avl.errors import UsageError, WeightsError
from onehead_avl.model.backbone import load_backbone
from onehead_avl.model.input import IMAGENET_MEAN, IMAGENET_STD
from onehead_avl.model.timm_backbone import TimmBackbone, _group_norm

TINY = ("test_resnet", "test_efficientnet", "test_convnext")
"""Networks that timm has for tests: its three ways to take the features out of one."""

USUAL = {
    "mobilenetv3_small_100": [24, 48, 576],
    "resnet18": [128, 256, 512],
    "efficientnet_lite0": [40, 112, 320],
    "convnext_atto": [80, 160, 320],
    "regnety_002": [56, 152, 368],
}
"""The channels of some networks at strides 8, 16 and 32."""


def norms(module, kind=_BatchNorm):
    return [each for each in module.modules() if isinstance(each, kind)]


def disturbed(module):
    """A module with numbers of its own in all that it holds."""
    torch.manual_seed(3)
    with torch.no_grad():
        for each in [*module.parameters(), *(buffer for buffer in module.buffers() if buffer.is_floating_point())]:
            each.copy_(each + 0.1 * torch.rand_like(each))
    return module.eval()


def sizes(outputs):
    return [tuple(output.shape) for output in outputs]


@pytest.mark.parametrize("pretrained", [True, False])
@pytest.mark.parametrize("name", USUAL)
def test_outputs_have_strides_8_16_and_32(name, pretrained):
    with torch.device("meta"):
        backbone = TimmBackbone(f"timm:{name}", pretrained)
        outputs = backbone(torch.zeros(2, 3, 64, 96))
    (fine, middle, coarse) = backbone.channels
    assert backbone.channels == USUAL[name]
    assert sizes(outputs) == [(2, fine, 8, 12), (2, middle, 4, 6), (2, coarse, 2, 3)]


@pytest.mark.parametrize("name", [*TINY, "test_mambaout"])
def test_outputs_of_every_way_to_take_them_have_their_channels_first(name):
    backbone = TimmBackbone(f"timm:{name}", pretrained=False)
    outputs = backbone(torch.randn(1, 3, 96, 64))
    assert sizes(outputs) == [
        (1, channels, *size) for channels, size in zip(backbone.channels, [(12, 8), (6, 4), (3, 2)], strict=True)
    ]


@pytest.mark.parametrize("name", TINY)
def test_a_random_start_has_no_batchnorm(name):
    backbone = TimmBackbone(f"timm:{name}", pretrained=False)
    assert norms(backbone) == []
    replaced = norms(timm.create_model(name, features_only=True))
    assert len(norms(backbone, nn.GroupNorm)) == len(replaced)
    assert bool(replaced) is (name != "test_convnext")


@pytest.mark.parametrize(("channels", "groups"), [(64, 8), (8, 8), (12, 4), (6, 2), (19, 1)])
def test_groups_divide_whatever_channels_there_are(channels, groups):
    norm = disturbed(nn.BatchNorm2d(channels))
    image = torch.randn(2, channels, 3, 5)
    grouped = image.reshape(2, groups, -1)
    scaled = (grouped - grouped.mean(dim=2, keepdim=True)) / (
        grouped.var(dim=2, keepdim=True, correction=0) + 1e-5
    ).sqrt()
    wanted = scaled.reshape_as(image) * norm.weight[:, None, None] + norm.bias[:, None, None]
    torch.testing.assert_close(_group_norm(norm)(image), wanted)
    acting = BatchNormAct2d(channels)
    acting.load_state_dict(norm.state_dict())
    torch.testing.assert_close(_group_norm(acting)(image), relu(wanted))


def test_groupnorm_starts_as_timm_starts_the_norm_it_replaces():
    torch.manual_seed(0)
    wanted = dict(timm.create_model("test_resnet", features_only=True).named_parameters())
    assert any(not value.any() for value in wanted.values()), "a start of zeros, which keeps residual branches silent"
    torch.manual_seed(0)
    found = dict(TimmBackbone("timm:test_resnet", pretrained=False).features.named_parameters())
    assert list(found) == list(wanted)
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)


def test_batchnorm_of_a_pretrained_backbone_stays_in_evaluation():
    backbone = TimmBackbone("timm:test_efficientnet", pretrained=True).train()
    found = norms(backbone)
    before = [norm.running_mean.clone() for norm in found]
    backbone(torch.randn(2, 3, 32, 32))
    assert backbone.training
    assert len(found) > 10
    assert all(torch.equal(norm.running_mean, mean) for norm, mean in zip(found, before, strict=True))


@pytest.mark.parametrize(
    ("name", "stages"),
    [
        ("test_resnet", ("conv1", "bn1", "layer1", "layer2")),
        ("test_efficientnet", ("conv_stem", "bn1", "blocks.0", "blocks.1", "blocks.2")),
        ("test_convnext", ("stem_0", "stem_1", "stages_0", "stages_1")),
    ],
)
def test_the_stem_is_what_comes_up_to_stride_8(name, stages):
    backbone = TimmBackbone(f"timm:{name}", pretrained=True)
    stem = {id(parameter) for parameter in backbone.stem.parameters()}
    inside = [name for name, parameter in backbone.features.named_parameters() if id(parameter) in stem]
    assert len(inside) == len(stem)
    assert inside == [
        name
        for name, _ in backbone.features.named_parameters()
        if name.startswith(tuple(f"{each}." for each in stages))
    ]


def test_the_stem_is_known_where_nothing_has_a_gradient():
    with torch.no_grad():
        assert len(list(TimmBackbone("timm:test_resnet", pretrained=True).stem.parameters())) == 24


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.parametrize("name", TINY)
def test_a_whole_network_is_loaded_from_a_file_and_sees_images_as_timm_shows_them(tmp_path, name, suffix):
    whole = disturbed(timm.create_model(name))
    path = tmp_path / f"weights{suffix}"
    (save_file if suffix == ".safetensors" else torch.save)(whole.state_dict(), path)
    backbone = TimmBackbone(f"timm:{name}", pretrained=True).eval()
    load_backbone(backbone, str(path))
    pixels = torch.rand(2, 3, 64, 96)
    expected = whole.pretrained_cfg
    with torch.no_grad():
        wanted = whole.forward_intermediates(
            normalize(pixels, list(expected["mean"]), list(expected["std"])), intermediates_only=True
        )
        found = backbone(normalize(pixels, IMAGENET_MEAN, IMAGENET_STD))
    for output in found:
        (same,) = [each for each in wanted if each.shape == output.shape]
        torch.testing.assert_close(output, same, rtol=1e-4, atol=1e-5)


def test_some_networks_see_other_images_than_those_of_imagenet():
    for name, scale in (("test_efficientnet", [1.0, 1.0, 1.0]), ("test_resnet", [0.458, 0.448, 0.45])):
        assert TimmBackbone(f"timm:{name}", pretrained=True).scale.flatten().tolist() == pytest.approx(scale)


@pytest.mark.parametrize("name", TINY)
def test_the_features_alone_are_loaded_from_a_file(tmp_path, name):
    state = disturbed(timm.create_model(name, features_only=True)).state_dict()
    torch.save(state, tmp_path / "features.pth")
    backbone = TimmBackbone(f"timm:{name}", pretrained=True)
    load_backbone(backbone, str(tmp_path / "features.pth"))
    found = backbone.features.state_dict()
    assert list(found) == list(state)
    assert all(torch.equal(found[key], state[key]) for key in state)


def test_weights_of_another_network_are_refused(tmp_path):
    path = tmp_path / "other.pth"
    torch.save(timm.create_model("test_resnet").state_dict(), path)
    with pytest.raises(WeightsError, match="expected every tensor of the features of timm:test_convnext, but"):
        load_backbone(TimmBackbone("timm:test_convnext", pretrained=True), str(path))


def test_incomplete_weights_are_refused(tmp_path):
    path = tmp_path / "half.pth"
    state = timm.create_model("test_convnext").state_dict()
    torch.save({key: value for key, value in state.items() if not key.startswith("stages.2.")}, path)
    with pytest.raises(WeightsError, match=r"are missing \(the first is 'features\.stages_2\."):
        load_backbone(TimmBackbone("timm:test_convnext", pretrained=True), str(path))


@pytest.fixture
def hub(monkeypatch):
    """Stand in for the hub that timm gets its weights from: give it what it answers."""

    def hub(answer):
        asked = []

        def load(repository, *arguments, **options):
            asked.append(repository)
            if isinstance(answer, Exception):
                raise answer
            return dict(answer)

        monkeypatch.setattr("timm.models._builder.load_state_dict_from_hf", load)
        return asked

    return hub


@pytest.mark.parametrize(
    ("name", "repository"),
    [("test_resnet", "timm/test_resnet.r160_in1k"), ("resnet18.fb_swsl_ig1b_ft_in1k",) * 2],
)
def test_imagenet_weights_are_those_of_timm(hub, name, repository):
    whole = disturbed(timm.create_model(name)).state_dict()
    asked = hub(whole)
    backbone = TimmBackbone(f"timm:{name}", pretrained=True)
    assert asked == []
    load_backbone(backbone, "imagenet")
    assert [each.rpartition("/")[2] for each in asked] == [repository.rpartition("/")[2]]
    found = backbone.features.state_dict()
    assert len(found) > 40
    assert all(torch.equal(found[key], whole[key]) for key in found)


def test_a_failed_download_says_how_to_do_without_in_one_line(hub):
    hub(OSError("no route to host\nand more"))
    with pytest.raises(WeightsError) as caught:
        load_backbone(TimmBackbone("timm:test_resnet", pretrained=True), "imagenet")
    assert "\n" not in str(caught.value)
    for fragment in ("timm:test_resnet", "(no route to host)", "--backbone-weights", "none"):
        assert fragment in str(caught.value)


def test_a_network_that_timm_has_no_weights_for_is_refused(hub):
    asked = hub({})
    with pytest.raises(WeightsError, match=r"timm has no weights for ghostnet_050; .*--backbone-weights .*none"):
        load_backbone(TimmBackbone("timm:ghostnet_050", pretrained=True), "imagenet")
    assert asked == []


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("resnet_18", "timm has no network of that name; did you mean timm:resnet18 or "),
        ("qqqqqq", r"timm has no network of that name; see timm\.list_models\(\)"),
        ("hf-hub:timm/resnet18.a1_in1k", "timm has no network of that name; "),
        ("local-dir:.", "timm has no network of that name; "),
        ("resnet18.no_such_tag", r"timm cannot give its features \(Invalid pretrained tag"),
        ("vit_tiny_patch16_224", "expected features at strides 8, 16 and 32, found 16; choose another"),
        ("swin_tiny_patch4_window7_224", r"expected a network for images of any size \(.*224\)"),
        (
            "mobilevitv2_050",
            r"strides 8, 16 and 32 of an image of \(64, 96\), found sizes \(8, 12\), \(4, 6\), \(2, 4\)",
        ),
    ],
)
def test_what_is_no_network_of_timm_or_unfit_is_refused(hub, name, message):
    asked = hub({})
    with pytest.raises(UsageError, match=message) as caught:
        TimmBackbone(f"timm:{name}", pretrained=True)
    assert f"backbone 'timm:{name}'" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert asked == []


def test_a_copy_computes_the_same_and_shares_nothing():
    backbone = TimmBackbone("timm:test_resnet", pretrained=False).train()
    image = torch.randn(1, 3, 32, 32)
    wanted = backbone(image)
    copied = copy.deepcopy(backbone)
    with torch.no_grad():
        for parameter in backbone.parameters():
            parameter.zero_()
    assert all(torch.equal(*pair) for pair in zip(copied(image), wanted, strict=True))
