from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from onehead_avl.errors import UsageError, WeightsError
from onehead_avl.model.backbone import load_backbone, reason_of
from onehead_avl.model.backbones import build_backbone


@pytest.mark.parametrize(
    ("error", "reason"),
    [(ValueError("one"), "one"), (ValueError("one\ntwo"), "one"), (AssertionError(), "AssertionError")],
)
def test_a_reason_is_one_line(error, reason):
    assert reason_of(error) == reason


@pytest.mark.parametrize("suffix", [".safetensors", ".pth", ".pt"])
def test_a_whole_classifier_is_loaded_from_a_file(tmp_path, classifier, suffix):
    path = tmp_path / f"weights{suffix}"
    if suffix == ".safetensors":
        save_file(classifier.state_dict(), path)
    else:
        torch.save(classifier.state_dict(), path)
    backbone = build_backbone("mobilenet_v3_small", pretrained=True).eval()
    load_backbone(backbone, str(path))
    image = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(backbone(image)[-1], classifier.features(image))


def test_files_without_batch_counters_are_complete(tmp_path, classifier):
    path = tmp_path / "weights.safetensors"
    state = {key: value for key, value in classifier.state_dict().items() if not key.endswith("num_batches_tracked")}
    save_file(state, path)
    backbone = build_backbone("mobilenet_v3_small", pretrained=True)
    load_backbone(backbone, str(path))
    assert torch.equal(backbone.state_dict()["features.0.0.weight"], state["features.0.0.weight"])


@pytest.mark.parametrize("name", ["mobilenet_v3_large", "efficientnet_b0"])
def test_weights_of_another_backbone_are_refused(tmp_path, classifier, name):
    path = tmp_path / "small.pth"
    torch.save(classifier.state_dict(), path)
    with pytest.raises(WeightsError, match=name) as caught:
        load_backbone(build_backbone(name, pretrained=True), str(path))
    assert str(path) in str(caught.value)


def test_incomplete_weights_are_refused(tmp_path, classifier):
    path = tmp_path / "half.pth"
    torch.save({k: v for k, v in classifier.state_dict().items() if not k.startswith("features.7.")}, path)
    with pytest.raises(WeightsError, match=r"are missing \(the first is 'features\.7\."):
        load_backbone(build_backbone("mobilenet_v3_small", pretrained=True), str(path))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(tmp_path, classifier, value):
    path = tmp_path / "diverged.pth"
    state = classifier.state_dict()
    torch.save({**state, "features.0.0.weight": torch.full_like(state["features.0.0.weight"], value)}, path)
    with pytest.raises(WeightsError, match=r"expected finite numbers, but 'features\.0\.0\.weight' holds others"):
        load_backbone(build_backbone("mobilenet_v3_small", pretrained=True), str(path))


def test_a_missing_file_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError, match="--backbone-weights") as caught:
        load_backbone(build_backbone("mobilenet_v3_small", pretrained=True), str(tmp_path / "none.pth"))
    assert "none.pth" in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"not weights at all" * 20, b"PK\x03\x04 broken archive"])
@pytest.mark.parametrize("suffix", [".safetensors", ".pth", ".pt"])
def test_a_file_of_garbage_is_refused(tmp_path, suffix, content):
    path = tmp_path / f"garbage{suffix}"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="not a readable weights file") as caught:
        load_backbone(build_backbone("mobilenet_v3_small", pretrained=True), str(path))
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
        load_backbone(build_backbone("mobilenet_v3_small", pretrained=True), str(path))


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
        load_backbone(build_backbone("mobilenet_v3_small", pretrained=True), str(path))
    assert not mark.exists()
    torch.load(path, weights_only=False)
    assert mark.exists(), "the trap would not have worked"
