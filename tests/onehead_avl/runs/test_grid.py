"""Several values of a hyper-parameter, and hyper-parameters of the optimisation, as a comparison has them."""

import csv
import json

import pytest

from onehead_avl.benchmark import main
from onehead_avl.runs.config import Config
from onehead_avl.runs.plan import plan

pytestmark = pytest.mark.usefixtures("few_drawn")


def results(folder):
    return json.loads((folder / "results.json").read_text())


def planned(tmp_path, **values):
    """The name of each run's folder, and the settings it is given."""
    return {run.folder.name: list(run.config.set) for run in plan(Config(**values), tmp_path)}


def test_each_value_is_a_run_of_the_strategies_that_have_the_hyper_parameter(tmp_path):
    found = planned(
        tmp_path, strategy=("naive", "ewc"), set=("ewc.lambda=1,10", "ewc.optimisation.lr=0.1"), order=("seg",)
    )
    assert found == {
        "from-scratch_seg_seed0": [],
        "naive_seg_seed0": [],
        "ewc,lambda=1_seg_seed0": ["ewc.lambda=1", "ewc.optimisation.lr=0.1"],
        "ewc,lambda=10_seg_seed0": ["ewc.lambda=10", "ewc.optimisation.lr=0.1"],
    }


def test_a_single_value_leaves_the_names_as_they_are(tmp_path):
    found = planned(tmp_path, strategy=("ewc",), set=("ewc.lambda=3",), seeds=(0, 1), order=("seg",))
    assert [name for name in found if name.startswith("ewc")] == ["ewc_seg_seed0", "ewc_seg_seed1"]


def test_values_of_two_hyper_parameters_are_combined(tmp_path):
    found = planned(tmp_path, strategy=("lwf",), set=("lwf.alpha=1,2", "lwf.temperature=2,3"), order=("seg",))
    own = [name for name in found if name.startswith("lwf")]
    assert own == [
        f"lwf,alpha={alpha},temperature={temperature}_seg_seed0" for alpha in (1, 2) for temperature in (2, 3)
    ]


def test_the_optimisation_is_varied_for_every_strategy_and_the_baseline(tmp_path):
    found = planned(tmp_path, strategy=("naive",), set=("optimisation.lr=1e-3,1e-2",), order=("seg",))
    assert found == {
        f"{name},optimisation.lr={value}_seg_seed0": [f"optimisation.lr={value}"]
        for name in ("from-scratch", "naive")
        for value in ("1e-3", "1e-2")
    }


def test_what_no_file_name_can_hold_is_told_apart_by_a_checksum(tmp_path):
    found = planned(tmp_path, strategy=("a:Mine",), set=("Mine.place=x/y,x y",), order=("seg",))
    own = [name for name in found if name.startswith("a.Mine")]
    assert len(own) == 2
    assert all(name.startswith("a.Mine,Mine.place=x_y-") for name in own)


def test_a_grid_is_one_table_with_an_entry_for_each_value(train_own, tmp_path):
    folder = tmp_path / "runs"
    options = ("--strategy", "ewc", "naive", "--order", "seg", "cls")
    answer = train_own(folder, *options, "--set", "ewc.lambda=1,1e5")
    assert answer.status == 0, answer.err
    rows = list(csv.DictReader((folder / "comparison.csv").open(encoding="utf-8")))
    entries = list(dict.fromkeys(row["strategy"] for row in rows))
    assert entries == ["from-scratch", "ewc lambda=1.0", "ewc lambda=100000.0", "naive"]
    assert results(folder / "ewc,lambda=1e5_seg-cls_seed0")["options"] == {"ewc": {"lambda": 1e5}}
    shown = (folder / "comparison.md").read_text()
    assert "ewc lambda=1.0" in shown
    # Another command adds to it.
    answer = train_own(folder, *options, "--set", "ewc.lambda=1,7")
    assert answer.status == 0, answer.err
    assert "ewc lambda=1, seed 0: seg -> cls: finished before" in answer.out
    rows = list(csv.DictReader((folder / "comparison.csv").open(encoding="utf-8")))
    assert {"ewc lambda=1.0", "ewc lambda=7.0", "ewc lambda=100000.0"} < {row["strategy"] for row in rows}


def test_each_rate_is_measured_against_the_baseline_that_had_it(train_own, tmp_path):
    folder = tmp_path / "runs"
    answer = train_own(folder, "--strategy", "naive", "--order", "seg", "cls", "--set", "optimisation.lr=0.001,0.01")
    assert answer.status == 0, answer.err
    rows = list(csv.DictReader((folder / "comparison.csv").open(encoding="utf-8")))
    for rate in ("0.001", "0.01"):
        alone = results(folder / f"from-scratch,optimisation.lr={rate}_seg-cls_seed0")["outcomes"]
        for row in rows:
            if row["strategy"] == f"naive optimisation.lr={rate}" and row["metric"] in ("mIoU", "Top1"):
                assert float(row["single_task"]) == alone[row["experience"]][row["metric"]]["just_learned"]


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        (["ewc.lambda=1", "ewc.lambda=10"], "--set names ewc.lambda more than once; give it one value, or several as "),
        (["ewc.lambda=1,1"], "--set ewc.lambda=1,1: expected different values, got one of them twice"),
        (["ewc.lambda=1,"], "--set ewc.lambda=1,: expected a number, got ''"),
        (["optimisation.lr=-1"], "--set optimisation.lr=-1: expected at least 0, got -1"),
        (["optimisation.speed=1"], "--set optimisation.speed=1: unknown option 'speed', optimisation has lr, "),
        (["optimisation.freeze=all"], "--set optimisation.freeze=all: expected one of usual, none, stem, backbone"),
    ],
)
def test_settings_that_mean_nothing_are_refused(settings, reason, invoke, tmp_path):
    answer = invoke(main, "--strategy", "ewc", "--set", *settings, "--output", tmp_path / "run")
    assert answer.status == 2
    assert reason in answer.err
    assert not (tmp_path / "run").exists()
