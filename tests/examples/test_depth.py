import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from examples.depth import RECIPE, Depth, DepthError, depth_of, scenes
from onehead_avl.benchmark import main
from onehead_avl.evaluate import main as evaluate
from onehead_avl.target import Target
from scenarios.drawn.embedded import COUNTS, picture
from scenarios.samples.source import Source

STREAM = Path(__file__).resolve().parents[2] / "examples" / "depth.yaml"
SIZE = 64


@pytest.fixture(scope="module")
def learned(invoke, tmp_path_factory):
    """A finished run of the stream of four experiences, on few images."""
    folder = tmp_path_factory.mktemp("depth") / "run"
    with pytest.MonkeyPatch.context() as patch:
        for split, count in (("train", 8), ("val", 4)):
            patch.setitem(COUNTS, split, count)
        answer = invoke(
            main,
            *("--stream", STREAM, "--epochs", "2", "--image-size", SIZE, "--batch-size", "4", "--replay-batch", "2"),
            *("--device", "cpu", "--output", folder),
        )
    assert answer.status == 0, answer.err
    return folder, answer


def test_the_ground_is_far_and_what_lies_before_is_nearer():
    drawn = picture(RECIPE, "train", 3, SIZE)
    depth = depth_of(drawn)
    assert depth.shape == (SIZE, SIZE)
    for row, column in np.random.default_rng(0).integers(SIZE, size=(200, 2)):
        thing = drawn.scene.top[row, column]
        assert depth[row, column] == {-1: 1.0, 0: 0.75, 1: 0.5}.get(thing, 0.25)
    assert len(depth.unique()) > 1


def test_drawn_images_have_a_depth_map_each(monkeypatch):
    monkeypatch.setitem(COUNTS, "train", 3)
    samples, classes = scenes(Source(size=SIZE), "train", [], None)
    assert classes == ()
    assert [sample.annotation["depth"].shape for sample in samples] == [(SIZE, SIZE)] * 3


def test_the_error_is_that_of_an_independent_computation():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(3, 1, 4, 4, generator=generator) * 0.3
    truth = torch.rand(3, 32, 32, generator=generator) + 0.25
    truth[1, :5] = torch.nan
    metric = DepthError(())
    for i in range(3):
        target = Target.single(0, (32, 32), {"depth": truth[i]})
        metric.update(logits[i : i + 1], target)
    errors, shares = [], []
    for i in range(3):
        grid = torch.nn.functional.interpolate(logits[i : i + 1], size=(32, 32), mode="bilinear", align_corners=False)
        found = np.exp(grid[0, 0].numpy().astype(np.float64))
        wanted = truth[i].numpy().astype(np.float64)
        known = ~np.isnan(wanted)
        errors.append(np.mean(np.abs(found - wanted)[known] / wanted[known]))
        shares.append(np.mean(np.maximum(found / wanted, wanted / found)[known] < 1.25))
    assert metric.result()["AbsRel"] == pytest.approx(np.mean(errors), rel=1e-5)
    assert metric.result()["Delta1"] == pytest.approx(np.mean(shares), abs=1e-3)
    assert metric.compute([1, 1])["AbsRel"] == pytest.approx(errors[1], rel=1e-5)


def test_unknown_depth_is_not_learned_and_an_image_of_it_has_no_loss():
    truth = torch.full((32, 32), torch.nan)
    logits = torch.randn(1, 1, 4, 4, requires_grad=True)
    loss = Depth().loss(logits, Target.single(0, (32, 32), {"depth": truth}))
    loss.sum().backward()
    assert loss.tolist() == [0.0]
    assert logits.grad.abs().sum() == 0


def test_four_experiences_are_learned_and_the_error_is_better_when_it_is_lower(learned):
    folder, answer = learned
    results = json.loads((folder / "results.json").read_text())
    assert results["order"] == ["seg", "depth", "det", "cls"]
    assert [each["kind"] for each in results["experiences"]][1] == "examples.depth:Depth"
    found = results["outcomes"]["depth"]["AbsRel"]
    assert found["higher_is_better"] is False
    after = [stage["scores"]["depth"]["AbsRel"] for stage in results["stages"]]
    assert found["forgetting"] == pytest.approx(after[3] - after[1])
    assert found["backward_transfer"] == pytest.approx(after[1] - after[3])
    assert found["forward_transfer"] == pytest.approx(results["untrained"]["depth"]["AbsRel"] - after[0])
    with (folder / "metrics.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["metric"] == "AbsRel_Forgetting_Exp"]
    assert {row["experience"] for row in rows} == {"depth"}
    assert float(rows[-1]["value"]) == pytest.approx(found["forgetting"])
    assert "depth AbsRel (low)" in answer.out
    assert results["checklist"] is None


def test_the_saved_network_is_evaluated_by_the_stream_that_names_the_kind(invoke, learned, monkeypatch):
    folder, _ = learned
    monkeypatch.setitem(COUNTS, "val", 4)
    answer = invoke(evaluate, "--weights", folder / "model.safetensors", "--stream", STREAM, "--tasks", "depth")
    assert answer.status == 0, answer.err
    final = json.loads((folder / "results.json").read_text())["outcomes"]["depth"]["AbsRel"]["final"]
    (row,) = [line for line in answer.out.splitlines() if line.startswith("depth AbsRel")]
    assert f"{final:.6f}" in row


def test_a_kind_is_not_imported_because_a_file_of_weights_names_it(invoke, learned):
    answer = invoke(evaluate, "--weights", learned[0] / "model.safetensors")
    assert answer.status == 1
    assert "'depth' is of the kind 'examples.depth:Depth', which is not imported" in answer.err
