from pathlib import Path
from urllib.error import URLError
from urllib.parse import urlparse

import pytest
import torch
import torchvision
from torch import nn

from onehead_avl.errors import WeightsError
from onehead_avl.model.backbone import load_backbone
from onehead_avl.model.backbone_names import BACKBONES
from onehead_avl.model.torchvision_backbone import TAPS, TorchvisionBackbone


def norms(module, kind):
    return [each for each in module.modules() if isinstance(each, kind)]


def refuse_download(error):
    def get_state_dict(self, *args, **kwargs):
        raise error

    return get_state_dict


def test_every_backbone_that_has_a_name_has_taps():
    assert tuple(TAPS) == BACKBONES


@pytest.mark.parametrize("pretrained", [True, False])
@pytest.mark.parametrize("name", TAPS)
def test_outputs_have_strides_8_16_and_32(name, pretrained):
    backbone = TorchvisionBackbone(name, pretrained)
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


def test_batchnorm_of_a_pretrained_backbone_stays_in_evaluation():
    backbone = TorchvisionBackbone("mobilenet_v3_small", pretrained=True)
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
    backbone = TorchvisionBackbone("mobilenet_v3_small", pretrained=False)
    assert norms(backbone, nn.BatchNorm2d) == []
    assert len(norms(backbone, nn.GroupNorm)) > 10


def test_imagenet_weights_are_torchvisions(monkeypatch, classifier):
    asked = []

    def get_state_dict(self, *args, **kwargs):
        asked.append(self)
        return classifier.state_dict()

    monkeypatch.setattr(torchvision.models.WeightsEnum, "get_state_dict", get_state_dict)
    backbone = TorchvisionBackbone("mobilenet_v3_small", pretrained=True)
    load_backbone(backbone, "imagenet")
    assert asked == [torchvision.models.MobileNet_V3_Small_Weights.DEFAULT]
    assert torch.equal(backbone.features[0][0].weight, classifier.features[0][0].weight)


@pytest.mark.parametrize(
    "error", [URLError("no route to host"), TimeoutError("timed out"), RuntimeError('invalid hash value (got "0")')]
)
def test_a_failed_download_says_how_to_do_without(monkeypatch, error):
    monkeypatch.setattr(torchvision.models.WeightsEnum, "get_state_dict", refuse_download(error))
    with pytest.raises(WeightsError) as caught:
        load_backbone(TorchvisionBackbone("mobilenet_v3_small", pretrained=True), "imagenet")
    for fragment in ("mobilenet_v3_small", str(error), "--backbone-weights", "none"):
        assert fragment in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"not weights at all" * 20])
def test_a_broken_file_among_the_downloaded_ones_is_a_weights_error(monkeypatch, tmp_path, content):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    url = torchvision.models.MobileNet_V3_Small_Weights.DEFAULT.url
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / Path(urlparse(url).path).name).write_bytes(content)
    with pytest.raises(WeightsError, match="--backbone-weights"):
        load_backbone(TorchvisionBackbone("mobilenet_v3_small", pretrained=True), "imagenet")
