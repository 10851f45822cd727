"""What a strategy or the command line brings for a network is what is measured, saved and reported."""

import json

import pytest
import torch
from safetensors.torch import load_file

from onehead_avl.evaluate import main as evaluate
from onehead_avl.evaluation.record import Record
from onehead_avl.model.network import OneHeadNet
from onehead_avl.model.saved import load_model

pytestmark = pytest.mark.usefixtures("few_drawn")

NETWORK = """
    from torch import nn

    class Small(nn.Module):
        def __init__(self, layout, width=8):
            super().__init__()
            self.deep = nn.Conv2d(3, width, 8, stride=8)
            self.out = nn.Conv2d(width, layout.channels, 1)

        def forward(self, image):
            return self.out(self.deep(image).relu())
"""

STRATEGY = """
    from avalanche.training.templates import SupervisedTemplate
    from own_networks import Small

    def with_its_own(model, optimizer, criterion, **arguments):
        own = Small(criterion.layout, width=4)
        return SupervisedTemplate(
            model=own, optimizer=type(optimizer)(own.parameters(), lr=1e-2), criterion=criterion, **arguments
        )
"""

WRAPPERS = """
    import torch
    from avalanche.training.templates import SupervisedTemplate
    from torch import nn

    class Scaled(nn.Module):
        def __init__(self, inner):
            super().__init__()
            self.inner = inner
            self.factor = nn.Parameter(torch.tensor(2.0))

        def forward(self, image):
            return self.inner(image) * self.factor

    def parallel(model, **arguments):
        return SupervisedTemplate(model=nn.DataParallel(model), **arguments)

    def scaled(model, **arguments):
        return SupervisedTemplate(model=Scaled(model), **arguments)

    class Otherwise(SupervisedTemplate):
        def forward(self):
            return super().forward() * (1.0 if self.is_training else -1.0)
"""


@pytest.fixture
def modules(write):
    write("own_networks", NETWORK)
    write("own_strategy", STRATEGY)
    write("wrappers", WRAPPERS)


def results(folder):
    return json.loads((folder / "results.json").read_text())


def finals(folder):
    return {
        f"{name} {metric}": outcome["final"]
        for name, metrics in results(folder)["outcomes"].items()
        for metric, outcome in metrics.items()
    }


def evaluated(invoke, folder, *arguments):
    """The values that the saved weights have by themselves."""
    answer = invoke(evaluate, "--weights", folder / "model.safetensors", "--device", "cpu", *arguments)
    assert answer.status == 0, answer.err
    rows = [line.split() for line in answer.out.splitlines()[2:]]
    return {f"{row[0]} {row[1]}": row[2] for row in rows if len(row) > 2}


def assert_the_weights_have_the_values_of_the_results(invoke, folder, *arguments):
    found, expected = evaluated(invoke, folder, *arguments), finals(folder)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert float(found[name]) == pytest.approx(value, abs=2e-3), name


def test_a_network_that_a_strategy_brings_is_what_is_saved_and_reported(modules, train_own, invoke, tmp_path):
    folder = tmp_path / "run"
    answer = train_own(folder, "--strategy", "own_strategy:with_its_own", "--epochs", "3")
    assert answer.status == 0, answer.err
    weights = load_file(folder / "model.safetensors")
    assert set(weights) == {"deep.weight", "deep.bias", "out.weight", "out.bias"}
    assert len(weights["deep.bias"]) == 4
    rules = {rule["name"]: rule for rule in results(folder)["checklist"]}
    assert rules["parameters"]["measured"] == "0.00 M"
    assert rules["head layers"]["measured"] is None  # it has no head that could be counted
    answer = invoke(evaluate, "--weights", folder / "model.safetensors")
    assert answer.status == 1
    assert "the network is own_networks:Small, which is not imported because a file of weights says so" in answer.err
    # It was not built with the width that is usual for its class.
    write_again = tmp_path / "narrow.py"
    write_again.write_text("from own_networks import Small\n\ndef narrow(layout):\n    return Small(layout, width=4)\n")
    assert_the_weights_have_the_values_of_the_results(invoke, folder, "--model", "narrow:narrow")


def test_the_intervals_are_around_the_values_of_that_network(modules, train_own, tmp_path):
    folder = tmp_path / "run"
    assert train_own(folder, "--strategy", "own_strategy:with_its_own", "--epochs", "3").status == 0
    record = Record.from_json(results(folder), "results.json")
    pairs = [(each, record.intervals[each.measure.experience][each.measure.metric]) for each in record.outcomes]
    found = [(outcome.final, ends) for outcome, ends in pairs if ends is not None]  # not all images say the same
    assert found
    for final, (low, high) in found:
        assert low <= final <= high


def test_a_network_of_the_command_line_is_built_with_its_options(modules, train_own, invoke, tmp_path):
    folder = tmp_path / "run"
    answer = train_own(folder, "--model", "own_networks:Small", "--set", "Small.width=6", "--strategy", "replay")
    assert answer.status == 0, answer.err
    assert len(load_file(folder / "model.safetensors")["deep.bias"]) == 6
    assert results(folder)["options"] == {"replay": {}, "Small": {"width": 6}}
    assert_the_weights_have_the_values_of_the_results(invoke, folder, "--model", "own_networks:Small")


@pytest.mark.parametrize("strategy", ["replay+distillation", "ewc", "replay-all", "derpp", "joint", "lwf"])
def test_strategies_learn_with_a_network_of_ones_own(strategy, modules, train_own, tmp_path):
    answer = train_own(tmp_path / "run", "--model", "own_networks:Small", "--strategy", strategy)
    assert answer.status == 0, answer.err


@pytest.mark.parametrize(
    ("strategy", "missing"),
    [("lfl", "get_features, last"), ("feature-distillation", "head"), ("cwr-star", "output_layer")],
)
def test_strategies_that_need_more_of_a_network_say_so_before_training(strategy, missing, modules, train_own, tmp_path):
    answer = train_own(tmp_path / "run", "--model", "own_networks:Small", "--strategy", strategy)
    assert answer.status == 2
    assert f"error: strategy {strategy}: expected a network with {missing}, which Small does not have" in answer.err
    assert list((tmp_path / "run").iterdir()) == []


def test_a_network_in_data_parallel_is_saved_without_it(modules, train_own, invoke, tmp_path):
    folder = tmp_path / "run"
    answer = train_own(folder, "--strategy", "wrappers:parallel")
    assert answer.status == 0, answer.err
    assert isinstance(load_model(folder / "model.safetensors").model, OneHeadNet)
    assert_the_weights_have_the_values_of_the_results(invoke, folder)


def test_a_wrapper_that_changes_what_is_emitted_is_saved_with_its_own_weights(modules, train_own, tmp_path):
    folder = tmp_path / "run"
    answer = train_own(folder, "--strategy", "wrappers:scaled")
    assert answer.status == 0, answer.err
    weights = load_file(folder / "model.safetensors")
    assert "factor" in weights
    assert "inner.neck.lateral.0.weight" in weights
    assert weights["factor"] != 2  # it was trained, too


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("return self.out(self.deep(image))[:, 1:]", ", found (3, "),
        ("return {'out': self.out(self.deep(image))}", ", found a dict"),
        ("return self.out(self.deep(image).relu().upsampled())", ", found AttributeError in wrong_network.py, line "),
        ("return self.out(self.deep(image)) * float('nan')", " finite numbers, found others"),
    ],
)
def test_a_network_that_does_not_emit_the_layout_is_refused_before_anything_is_written(
    code, reason, write, train_own, tmp_path
):
    write("wrong_network", NETWORK.replace("return self.out(self.deep(image).relu())", code).replace("Small", "Wrong"))
    answer = train_own(tmp_path / "run", "--model", "wrong_network:Wrong")
    assert answer.status == 2
    first = answer.err.splitlines()[1]  # after the line that torch is loaded
    assert first.startswith("error: wrong_network:Wrong: expected a network Wrong that maps 3 images of 64 px to ")
    assert reason in first
    assert ("Traceback" in answer.err) == ("AttributeError" in reason)
    assert list((tmp_path / "run").iterdir()) == []


def test_what_is_no_network_is_refused(write, train_own, tmp_path):
    write("no_network", "def build(layout):\n    return layout\n")
    answer = train_own(tmp_path / "run", "--model", "no_network:build")
    assert answer.status == 2
    assert "no_network:build: expected a network of PyTorch's, found Layout" in answer.err


def test_weights_of_this_package_are_no_network_of_ones_own(trained, modules, invoke):
    answer = invoke(evaluate, "--weights", trained[0] / "model.safetensors", "--model", "own_networks:Small")
    assert answer.status == 2
    assert "expected weights of own_networks:Small, found those of this package's network" in answer.err


def test_the_weights_after_each_stage_are_kept(train, tmp_path, shared_mini_root, invoke):
    folder = tmp_path / "run"
    assert train(folder, "--keep-stages", "--strategy", "naive").status == 0
    names = ["1_seg.safetensors", "2_det.safetensors", "3_cls.safetensors"]
    assert sorted(each.name for each in (folder / "stages").iterdir()) == names
    states = [load_file(folder / "stages" / name) for name in names]
    last = load_file(folder / "model.safetensors")
    assert all(torch.equal(value, states[2][name]) for name, value in last.items())
    assert not all(torch.equal(value, states[1][name]) for name, value in last.items())
    stage = invoke(
        evaluate, "--weights", folder / "stages" / names[0], "--data-root", shared_mini_root, "--device", "cpu"
    )
    values = {line.split()[1]: line.split()[2] for line in stage.out.splitlines()[2:]}
    scores = results(folder)["stages"][0]["scores"]
    assert float(values["mIoU"]) == pytest.approx(scores["seg"]["mIoU"], abs=1e-5)
    assert float(values["Top5"]) == pytest.approx(scores["cls"]["Top5"], abs=1e-5)


def test_a_run_begins_with_the_weights_of_a_finished_one(trained, train, tmp_path):
    before = results(trained[0])
    answer = train(tmp_path / "run", "--start-from", trained[0] / "model.safetensors", "--order", "cls", "seg")
    assert answer.status == 0, answer.err
    assert "which emits seg, det, cls; nothing begins anew" in answer.err
    found = results(tmp_path / "run")["untrained"]
    for name in ("seg", "cls"):
        for metric, value in before["stages"][-1]["scores"][name].items():
            assert found[name][metric] == pytest.approx(value, abs=1e-6)


def test_what_a_run_begins_with_is_part_of_what_it_depends_on(trained, train, tmp_path):
    start = tmp_path / "start.safetensors"
    start.write_bytes((trained[0] / "model.safetensors").read_bytes())
    assert train(tmp_path / "run", "--start-from", start, "--order", "cls").status == 0
    known = results(tmp_path / "run")["depends_on"]["the weights to begin with"]
    assert len(known) == 64  # a digest, and not the name of the file


def test_a_network_of_another_size_cannot_begin_with_other_weights(modules, train_own, trained, tmp_path):
    assert train_own(tmp_path / "own", "--model", "own_networks:Small", "--order", "seg").status == 0
    start = tmp_path / "own" / "model.safetensors"
    answer = train_own(tmp_path / "run", "--start-from", start)
    assert answer.status == 1
    assert "the network is own_networks:Small" in answer.err
    answer = train_own(tmp_path / "run", "--start-from", start, "--model", "own_networks:Small", "--stream", "split6")
    assert answer.status == 2
    assert "only networks of this package can go on with other experiences" in answer.err


def test_the_options_of_a_network_go_on_with_its_weights(modules, train_own, invoke, tmp_path):
    options = ("--model", "own_networks:Small", "--order", "seg")
    assert train_own(tmp_path / "first", *options, "--set", "Small.width=6").status == 0
    start = (*options, "--start-from", tmp_path / "first" / "model.safetensors")
    answer = train_own(tmp_path / "other", *start, "--set", "Small.width=7")
    assert answer.status == 2
    assert 'expected the options that its network was built with, {"width": 6}, found {"width": 7}' in answer.err
    assert train_own(tmp_path / "second", *start).status == 0
    weights = tmp_path / "second" / "model.safetensors"
    assert len(load_file(weights)["deep.bias"]) == 6
    answer = invoke(evaluate, "--weights", weights, "--model", "own_networks:Small", "--tasks", "seg")
    assert answer.status == 0, answer.err


@pytest.mark.parametrize("strategy", ["replay", "joint", "from-scratch", "wrappers:parallel", "wrappers:scaled"])
def test_results_say_that_the_saved_weights_have_the_values(strategy, modules, train_own, tmp_path):
    answer = train_own(tmp_path / "run", "--strategy", strategy)
    assert answer.status == 0, answer.err
    assert results(tmp_path / "run")["weights_agree"] is True
    assert "evaluates otherwise" not in answer.err


def test_a_strategy_that_evaluates_otherwise_than_by_its_network_is_noted(modules, train_own, tmp_path):
    answer = train_own(tmp_path / "run", "--strategy", "wrappers:Otherwise")
    assert answer.status == 0, answer.err
    assert results(tmp_path / "run")["weights_agree"] is False
    assert "note: wrappers:Otherwise evaluates otherwise than its network does by itself" in answer.err
