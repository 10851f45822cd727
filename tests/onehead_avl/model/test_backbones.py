from pathlib import Path
from urllib.error import URLError
from urllib.parse import urlparse

import pytest
import torch
import torchvision
from safetensors.torch import save_file
from torch import nn

from onehead_avl.errors import UsageError, WeightsError
from onehead_avl.model.backbones import TAPS, Backbone, load_backbone


@pytest.fixture(scope="module")
def classifier():
    """A whole classifier of torchvision with weights of its own."""
    torch.manual_seed(3)
    model = torchvision.models.mobilenet_v3_small().eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean)
    return model


def norms(module, kind):
    return [each for each in module.modules() if isinstance(each, kind)]


def refuse_download(error):
    def get_state_dict(self, *args, **kwargs):
        raise error

    return get_state_dict


@pytest.mark.parametrize("pretrained", [True, False])
@pytest.mark.parametrize("name", TAPS)
def test_outputs_have_strides_8_16_and_32(name, pretrained):
    backbone = Backbone(name, pretrained)
    with torch.no_grad():
        outputs = backbone(torch.randn(2, 3, 64, 96))
    assert [tuple(output.shape[2:]) for output in outputs] == [(8, 12), (4, 6), (2, 3)]
    assert [output.shape[1] for output in outputs] == backbone.channels


@pytest.mark.parametrize("name", TAPS)
def test_each_output_is_that_of_the_last_stage_of_its_stride(name):
    image, last = torch.zeros(1, 3, 32, 32), {}
    with torch.no_grad():
        for index, stage in enumerate(getattr(torchvision.models, name)().eval().features):
            image = stage(image)
            last[32 // image.shape[-1]] = index
    assert TAPS[name] == (last[8], last[16], last[32])


def test_an_unknown_backbone_is_refused_with_the_known_ones():
    with pytest.raises(UsageError, match=r"'resnet50': expected one of mobilenet_v3_small, .*efficientnet_b0"):
        Backbone("resnet50", pretrained=False)


def test_batchnorm_of_a_pretrained_backbone_stays_in_evaluation():
    backbone = Backbone("mobilenet_v3_small", pretrained=True)
    found = norms(backbone, nn.BatchNorm2d)
    assert len(found) > 10
    before = [norm.running_mean.clone() for norm in found]
    assert backbone.train() is backbone
    assert backbone.training
    assert not any(norm.training for norm in found)
    backbone(torch.randn(2, 3, 32, 32))
    assert all(torch.equal(norm.running_mean, mean) for norm, mean in zip(found, before, strict=True))
    backbone.eval()
    assert not any(module.training for module in backbone.modules())


def test_a_random_start_has_groupnorm_and_no_batchnorm():
    backbone = Backbone("mobilenet_v3_small", pretrained=False)
    assert norms(backbone, nn.BatchNorm2d) == []
    assert len(norms(backbone, nn.GroupNorm)) > 10


@pytest.mark.parametrize("suffix", [".safetensors", ".pth", ".pt"])
def test_a_whole_classifier_is_loaded_from_a_file(tmp_path, classifier, suffix):
    path = tmp_path / f"weights{suffix}"
    if suffix == ".safetensors":
        save_file(classifier.state_dict(), path)
    else:
        torch.save(classifier.state_dict(), path)
    backbone = Backbone("mobilenet_v3_small", pretrained=True).eval()
    load_backbone(backbone, str(path))
    image = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(backbone(image)[-1], classifier.features(image))


def test_files_without_batch_counters_are_complete(tmp_path, classifier):
    path = tmp_path / "weights.safetensors"
    state = {key: value for key, value in classifier.state_dict().items() if not key.endswith("num_batches_tracked")}
    save_file(state, path)
    backbone = Backbone("mobilenet_v3_small", pretrained=True)
    load_backbone(backbone, str(path))
    assert torch.equal(backbone.state_dict()["features.0.0.weight"], state["features.0.0.weight"])


@pytest.mark.parametrize("name", ["mobilenet_v3_large", "efficientnet_b0"])
def test_weights_of_another_backbone_are_refused(tmp_path, classifier, name):
    path = tmp_path / "small.pth"
    torch.save(classifier.state_dict(), path)
    with pytest.raises(WeightsError, match=name) as caught:
        load_backbone(Backbone(name, pretrained=True), str(path))
    assert str(path) in str(caught.value)


def test_incomplete_weights_are_refused(tmp_path, classifier):
    path = tmp_path / "half.pth"
    torch.save({k: v for k, v in classifier.state_dict().items() if not k.startswith("features.7.")}, path)
    with pytest.raises(WeightsError, match=r"are missing \(the first is 'features\.7\."):
        load_backbone(Backbone("mobilenet_v3_small", pretrained=True), str(path))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(tmp_path, classifier, value):
    path = tmp_path / "diverged.pth"
    state = classifier.state_dict()
    torch.save({**state, "features.0.0.weight": torch.full_like(state["features.0.0.weight"], value)}, path)
    with pytest.raises(WeightsError, match=r"expected finite numbers, but 'features\.0\.0\.weight' holds others"):
        load_backbone(Backbone("mobilenet_v3_small", pretrained=True), str(path))


def test_a_missing_file_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError, match="--backbone-weights") as caught:
        load_backbone(Backbone("mobilenet_v3_small", pretrained=True), str(tmp_path / "none.pth"))
    assert "none.pth" in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"not weights at all" * 20, b"PK\x03\x04 broken archive"])
@pytest.mark.parametrize("suffix", [".safetensors", ".pth", ".pt"])
def test_a_file_of_garbage_is_refused(tmp_path, suffix, content):
    path = tmp_path / f"garbage{suffix}"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="not a readable weights file") as caught:
        load_backbone(Backbone("mobilenet_v3_small", pretrained=True), str(path))
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [[1, 2], {"epoch": 3}, torch.zeros(2), {3: torch.zeros(2)}, {"a": torch.zeros(2, dtype=torch.complex64)}],
    ids=["list", "numbers", "tensor", "names that are numbers", "complex numbers"],
)
def test_a_file_of_anything_but_a_state_dict_is_refused(tmp_path, content):
    path = tmp_path / "checkpoint.pth"
    torch.save(content, path)
    with pytest.raises(WeightsError, match="expected a state dict of tensors"):
        load_backbone(Backbone("mobilenet_v3_small", pretrained=True), str(path))


class Trap:
    """An object that creates a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_code_in_a_weights_file_is_not_run(tmp_path):
    path, mark = tmp_path / "trap.pth", tmp_path / "was_run"
    torch.save({"features.0.0.weight": Trap(mark)}, path)
    with pytest.raises(WeightsError):
        load_backbone(Backbone("mobilenet_v3_small", pretrained=True), str(path))
    assert not mark.exists()
    torch.load(path, weights_only=False)
    assert mark.exists(), "the trap would not have worked"


def test_imagenet_weights_are_torchvisions(monkeypatch, classifier):
    asked = []

    def get_state_dict(self, *args, **kwargs):
        asked.append(self)
        return classifier.state_dict()

    monkeypatch.setattr(torchvision.models.WeightsEnum, "get_state_dict", get_state_dict)
    backbone = Backbone("mobilenet_v3_small", pretrained=True)
    load_backbone(backbone, "imagenet")
    assert asked == [torchvision.models.MobileNet_V3_Small_Weights.DEFAULT]
    assert torch.equal(backbone.features[0][0].weight, classifier.features[0][0].weight)


@pytest.mark.parametrize(
    "error", [URLError("no route to host"), TimeoutError("timed out"), RuntimeError('invalid hash value (got "0")')]
)
def test_a_failed_download_says_how_to_do_without(monkeypatch, error):
    monkeypatch.setattr(torchvision.models.WeightsEnum, "get_state_dict", refuse_download(error))
    with pytest.raises(WeightsError) as caught:
        load_backbone(Backbone("mobilenet_v3_small", pretrained=True), "imagenet")
    for fragment in ("mobilenet_v3_small", str(error), "--backbone-weights", "none"):
        assert fragment in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"not weights at all" * 20])
def test_a_broken_file_among_the_downloaded_ones_is_a_weights_error(monkeypatch, tmp_path, content):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    url = torchvision.models.MobileNet_V3_Small_Weights.DEFAULT.url
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / Path(urlparse(url).path).name).write_bytes(content)
    with pytest.raises(WeightsError, match="--backbone-weights"):
        load_backbone(Backbone("mobilenet_v3_small", pretrained=True), "imagenet")
