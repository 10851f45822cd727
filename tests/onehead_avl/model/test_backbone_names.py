import importlib.util
import subprocess
import sys

import pytest

from onehead_avl.model.backbone_names import BACKBONES, wrong_backbone


@pytest.mark.parametrize("name", [*BACKBONES, "timm:resnet18", "timm:resnet18.a1_in1k", "timm:whatever"])
def test_a_name_that_may_be_a_backbone_passes(name):
    assert wrong_backbone(name) == []


@pytest.mark.parametrize("name", ["", "resnet18", "timm", "timm:", "torchvision:resnet18", "MOBILENET_V3_SMALL"])
def test_any_other_name_is_refused_with_those_that_there_are(name):
    assert wrong_backbone(name) == [
        f"unknown backbone {name!r}: expected one of mobilenet_v3_small, mobilenet_v3_large, efficientnet_b0, or "
        "timm:NAME for one of timm's"
    ]


def test_without_timm_its_networks_are_refused_and_no_others(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", {"torchvision": "there"}.get)
    assert wrong_backbone("mobilenet_v3_small") == []
    assert wrong_backbone("timm:resnet18") == [
        "backbone 'timm:resnet18' needs the package timm, which is not installed; install it with "
        'pip install "onehead-avl[timm]"'
    ]


def test_names_are_checked_without_torch_and_timm():
    code = (
        "import sys; from onehead_avl.model.backbone_names import wrong_backbone; wrong_backbone('timm:a'); "
        "print({'torch', 'timm'} & set(sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "set()\n"
