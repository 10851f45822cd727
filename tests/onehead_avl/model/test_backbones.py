import pytest
import torch

from onehead_avl.errors import UsageError
from onehead_avl.model.backbones import build_backbone, require_backbone
from onehead_avl.model.timm_backbone import TimmBackbone
from onehead_avl.model.torchvision_backbone import TorchvisionBackbone


@pytest.mark.parametrize("pretrained", [True, False])
@pytest.mark.parametrize(
    ("name", "kind"), [("mobilenet_v3_small", TorchvisionBackbone), ("timm:test_resnet", TimmBackbone)]
)
def test_a_name_is_that_of_a_network_of_torchvision_or_of_timm(name, kind, pretrained):
    backbone = build_backbone(name, pretrained)
    assert type(backbone) is kind
    assert (backbone.name, backbone.pretrained) == (name, pretrained)


@pytest.mark.parametrize("refuse", [require_backbone, lambda name: build_backbone(name, pretrained=True)])
@pytest.mark.parametrize("name", ["resnet50", "timm:", "timm:nothing_of_the_kind", "timm:vit_tiny_patch16_224"])
def test_what_is_no_backbone_is_refused(refuse, name):
    with pytest.raises(UsageError, match=f"backbone {name!r}"):
        refuse(name)


def test_requiring_a_backbone_draws_no_random_number():
    before = torch.get_rng_state()
    for name in ("mobilenet_v3_small", "timm:test_convnext"):
        require_backbone(name)
    assert torch.equal(torch.get_rng_state(), before)
