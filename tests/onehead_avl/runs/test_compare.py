import csv
import hashlib
import json
import shutil
import sys

import pytest
from PIL import Image

import onehead_avl.runs.compare
from onehead_avl.report.comparison import COLUMNS
from onehead_avl.system.files import write_json

CANONICAL = "seg-det-cls"
FILES = {"config.json", "comparison.csv", "comparison.md", "comparison.json", "plots", "report.html"}
PLOTS = {"final.png", "forgetting.png", "plasticity_stability.png", "cost.png"}
METRICS = [("seg", "mIoU"), ("det", "AP50"), ("det", "AP"), ("cls", "Top1"), ("cls", "Top5")]
RUNS = {f"{name}_{CANONICAL}_seed{seed}" for name in ("from-scratch", "naive", "replay") for seed in (0, 1)}


def results(folder):
    return json.loads((folder / "results.json").read_text())


def values_of(folder, quantity):
    """A quantity of every metric of every experience of a run."""
    return {
        (name, metric): outcome[quantity]
        for name, metrics in results(folder)["outcomes"].items()
        for metric, outcome in metrics.items()
    }


def scores(folder):
    """The values after each stage of a run."""
    return [stage["scores"] for stage in results(folder)["stages"]]


def rows_of(folder):
    with (folder / "comparison.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def of(row):
    """What a row of the comparison is a value of."""
    return row["experience"], row["metric"]


def state(folder):
    """The content and the time of every file."""
    return {
        path: (hashlib.sha256(path.read_bytes()).digest(), path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def states(folder, names=RUNS):
    return {name: state(folder / name) for name in names}


def assert_refused(answer, status, *fragments):
    assert answer.status == status
    assert "Traceback" not in answer.err + answer.out
    *_, last = answer.err.strip().splitlines()
    assert last.startswith("error: ")
    assert all(str(fragment) in last for fragment in fragments), last


@pytest.fixture
def again(compared, train, tmp_path):
    """A copy of the comparison, and the command to add to it."""
    folder = tmp_path / "runs"
    shutil.copytree(compared[0], folder)
    return folder, lambda *arguments: train(folder, *arguments)


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Write a module that can be imported in this test."""
    monkeypatch.syspath_prepend(tmp_path)

    def module(text, name="somebodys_strategies"):
        (tmp_path / f"{name}.py").write_text(text)
        monkeypatch.delitem(sys.modules, name, raising=False)

    yield module
    sys.modules.pop("somebodys_strategies", None)


# On the mini data


def test_the_folder_holds_the_comparison_and_its_runs(compared):
    folder, _ = compared
    assert {entry.name for entry in folder.iterdir()} == FILES | RUNS
    assert {entry.name for entry in (folder / "plots").iterdir()} == PLOTS
    for path in (folder / "plots").iterdir():
        with Image.open(path) as picture:
            picture.verify()
    for name in RUNS:
        assert (folder / name / "results.json").stat().st_size > 0


def test_the_table_has_every_metric_of_every_run(compared):
    folder, _ = compared
    rows = rows_of(folder)
    assert list(rows[0]) == list(COLUMNS)
    assert [(row["strategy"], row["seed"], *of(row)) for row in rows] == [
        (name, seed, *each) for name in ("from-scratch", "naive", "replay") for seed in "01" for each in METRICS
    ]
    for row in rows:
        run = results(folder / f"{row['strategy']}_{CANONICAL}_seed{row['seed']}")
        outcome = run["outcomes"][row["experience"]][row["metric"]]
        assert (row["status"], row["reason"], row["order"]) == ("finished", "", "seg det cls")
        assert row["higher_is_better"] == "True"
        assert float(row["just_learned"]) == outcome["just_learned"]
        separate = row["strategy"] == "from-scratch"
        assert float(row["final"]) == (outcome["just_learned"] if separate else outcome["final"])
        assert (row["forgetting"] == "") == (separate or row["experience"] == "cls")
        assert (row["forward_transfer"] == "") == (separate or row["experience"] == "seg")
        if row["forward_transfer"]:
            assert float(row["forward_transfer"]) == outcome["forward_transfer"]
        assert float(row["seconds"]) > 0
        low, high = run["intervals"].get(row["experience"], {}).get(row["metric"]) or ("", "")
        assert (row["images_low"], row["images_high"]) == (str(low), str(high))
        of_a_lost_network = separate and row["experience"] != "cls"
        if of_a_lost_network or row["final"] in ("0.0", "1.0"):  # equal images say nothing of others
            assert low == ""
        else:
            assert float(low) <= float(row["final"]) <= float(high)


def test_single_task_values_are_those_of_the_baseline_with_the_same_seed(compared):
    rows = {(row["strategy"], row["seed"], *of(row)): row for row in rows_of(compared[0])}
    for (strategy, seed, experience, metric), row in rows.items():
        alone = rows["from-scratch", seed, experience, metric]["just_learned"]
        assert row["single_task"] == alone
        if strategy != "from-scratch" and float(alone):
            drop = (float(alone) - float(row["final"])) / float(alone)
            assert float(row["drop_from_single_task"]) == pytest.approx(drop)
    learned = [rows["from-scratch", seed, "seg", "mIoU"]["just_learned"] for seed in "01"]
    assert learned[0] != learned[1]


def test_runs_know_the_single_task_values_of_the_baseline_before_them(compared):
    folder, _ = compared
    alone = values_of(folder / f"from-scratch_{CANONICAL}_seed1", "just_learned")
    assert values_of(folder / f"replay_{CANONICAL}_seed1", "single_task") == alone


def test_what_each_strategy_keeps_is_counted(compared):
    kept = {row["strategy"]: int(row["stored_bytes"]) for row in rows_of(compared[0])}
    assert kept["naive"] == 0
    assert kept["replay"] == 4 * (3 * 64**2 + 4)
    assert kept["from-scratch"] > 2**20  # the weights that it returns to


def test_the_tables_are_shown_and_written(compared):
    folder, answer = compared
    report = (folder / "comparison.md").read_text()
    for text in (answer.out, report):
        assert "better and worse than replay" in text
        assert all(name in text for name in ("from-scratch", "naive", "seg mIoU learned", " +- "))
    assert answer.out.endswith(f"written to {folder}\n\n")
    assert json.loads((folder / "comparison.json").read_text())["reference"] == "replay"
    titles = [line for line in answer.out.splitlines() if line.startswith("[")]
    assert titles[0] == "[1/6] from-scratch, seed 0: seg -> det -> cls"
    assert titles[-1] == "[6/6] replay, seed 1: seg -> det -> cls"


def test_the_same_command_does_nothing_again(drawn_charts, compared, again):
    folder, command = again
    before, tables = states(folder), [(folder / name).read_bytes() for name in sorted(FILES - {"plots"})]
    answer = command("--strategy", "naive", "replay", "--seeds", "0", "1")
    assert answer.status == 0, answer.err
    assert answer.out.count(": finished before\n") == 6
    assert states(folder) == before
    assert [(folder / name).read_bytes() for name in sorted(FILES - {"plots"})] == tables
    assert "stage 1" not in answer.err


def test_a_run_without_results_is_done_again_with_the_same_outcome(compared, again):
    folder, command = again
    lost = f"naive_{CANONICAL}_seed1"
    before, old = states(folder, RUNS - {lost}), results(folder / lost)
    (folder / lost / "results.json").unlink()
    (folder / lost / "half.tmp").touch()
    answer = command("--strategy", "naive", "replay", "--seeds", "0", "1")
    assert answer.status == 0, answer.err
    assert answer.out.count(": finished before\n") == 5
    assert states(folder, RUNS - {lost}) == before
    new = results(folder / lost)
    assert scores(folder / lost) == [stage["scores"] for stage in old["stages"]]
    assert (new["outcomes"], new["untrained"]) == (old["outcomes"], old["untrained"])
    assert (new["intervals"], new["stored_bytes"]) == (old["intervals"], 0)
    assert not (folder / lost / "half.tmp").exists()
    values = [
        [(row["strategy"], row["seed"], *of(row), row["final"]) for row in rows_of(each)]
        for each in (compared[0], folder)
    ]
    assert values[0] == values[1]


BROKEN = """
from avalanche.training.templates import SupervisedTemplate

class Broken(SupervisedTemplate):
    def training_epoch(self, **options):
        {body}
"""


def test_a_strategy_that_fails_stops_no_other_and_is_tried_again(again, module):
    folder, command = again
    before = states(folder)
    module(BROKEN.format(body="raise ZeroDivisionError('of my own making')"))
    name, run = "somebodys_strategies:Broken", folder / f"somebodys_strategies.Broken_{CANONICAL}_seed0"
    answer = command("--strategy", name, "lwf")
    assert_refused(answer, 1, f"1 runs failed, of {name}", "tries them again")
    assert "failed: ZeroDivisionError in " in answer.err
    assert "somebodys_strategies.py, line 6, in training_epoch in epoch 1 of stage 1 (seg) " in answer.err
    assert f"(of my own making); logs and checkpoints up to there are kept in {run}" in answer.err
    assert states(folder) == before
    assert {path.name for path in run.iterdir()} >= {"failure.json", "traceback.txt"}
    assert not (run / "results.json").exists()
    assert "of my own making" in (run / "traceback.txt").read_text()

    rows = rows_of(folder)
    (row,) = [row for row in rows if row["status"] == "failed"]
    assert (row["strategy"], row["seed"]) == (name, "0")
    assert row["reason"].startswith("ZeroDivisionError in ")
    assert row["reason"].endswith(f"(see {run / 'traceback.txt'})")
    assert {row[name] for name in ("experience", "metric", "final", "seconds", "stored_bytes")} == {""}
    assert {row["strategy"] for row in rows} == {"from-scratch", "naive", "replay", "lwf", name}
    assert f"{name}, seed 0: failed: ZeroDivisionError" in (folder / "comparison.md").read_text()
    assert {path.name for path in (folder / "plots").iterdir()} == PLOTS

    module(BROKEN.format(body="super().training_epoch(**options)"))
    before = states(folder, [*RUNS, f"lwf_{CANONICAL}_seed0"])
    answer = command("--strategy", name, "lwf")
    assert answer.status == 0, answer.err
    assert answer.out.count(": finished before\n") == 2
    assert states(folder, before) == before
    assert {row["status"] for row in rows_of(folder)} == {"finished"}
    assert {path.name for path in run.iterdir()} >= {"results.json", "model.safetensors"}
    assert not (run / "failure.json").exists()
    assert not (run / "traceback.txt").exists()
    rules = {rule["name"]: rule for rule in results(run)["checklist"]}
    assert rules["what the strategy keeps"]["passed"] is None
    # Trained as the named ones are, so without plugins it is fine-tuning, but for the rounding of another layout.
    for own, naive in zip(scores(run), scores(folder / f"naive_{CANONICAL}_seed0"), strict=True):
        assert own.keys() == naive.keys()
        for name in own:
            assert own[name] == pytest.approx(naive[name], abs=0.01)


@pytest.fixture(scope="module")
def all_orders(compared, train, tmp_path_factory):
    """A comparison of naive in all six orders; its baseline is known from the other comparison."""
    folder = tmp_path_factory.mktemp("orders") / "runs"
    return folder, train(folder, "--strategy", "naive", "--order", "all")


def test_all_orders_are_six_runs_and_one_baseline(all_orders):
    folder, answer = all_orders
    assert answer.status == 0, answer.err
    assert len([entry for entry in folder.iterdir() if entry.name.startswith("naive_")]) == 6
    assert {entry.name for entry in folder.iterdir() if entry.name.startswith("from-")} == {
        f"from-scratch_{CANONICAL}_seed0"
    }
    orders = {row["order"] for row in rows_of(folder) if row["strategy"] == "naive"}
    assert len(orders) == 6
    assert all(order in (folder / "comparison.md").read_text() for order in orders)
    for row in rows_of(folder):
        if row["strategy"] == "naive":
            assert (row["forgetting"] == "") == (row["order"].split()[-1] == row["experience"])
            assert (row["forward_transfer"] == "") == (row["order"].split()[0] == row["experience"])


def test_a_baseline_is_computed_once_for_all_comparisons(all_orders, compared):
    folder, answer = all_orders
    assert answer.out.count("computed before, by another command with the same configuration\n") == 1
    name = f"from-scratch_{CANONICAL}_seed0"
    assert [path.name for path in (folder / name).iterdir()] == ["results.json"]
    assert results(folder / name) == results(compared[0] / name)
    alone = values_of(compared[0] / name, "just_learned")
    for row in rows_of(folder):
        assert float(row["single_task"]) == alone[of(row)]


# What is refused


@pytest.mark.parametrize("seeds", [("0",), ("0", "1")], ids=["single", "comparison"])
@pytest.mark.parametrize(
    ("path", "fragment"),
    [
        ("nowhere_at_all:Strategy", "the module 'nowhere_at_all' cannot be imported"),
        ("somebodys_strategies:Missing", "expected 'Missing' in module 'somebodys_strategies'"),
        (":Strategy", ":Strategy"),
        ("somebodys_strategies:", "somebodys_strategies:"),
    ],
)
@pytest.mark.parametrize("option", ["--strategy", "--plugin"])
def test_a_wrong_import_path_is_refused_and_nothing_written(train, module, tmp_path, seeds, path, fragment, option):
    module(BROKEN.format(body="pass"))
    answer = train(tmp_path / "run", option, path, "--seeds", *seeds)
    assert_refused(answer, 2, fragment)
    assert not (tmp_path / "run").exists() or list((tmp_path / "run").iterdir()) == []


def test_a_module_that_breaks_when_imported_is_refused(train, module, tmp_path):
    module("1 / 0\n")
    answer = train(tmp_path / "run", "--strategy", "somebodys_strategies:Strategy", "--seeds", "0", "1")
    assert answer.status == 2
    sentence = "error: somebodys_strategies:Strategy: the module 'somebodys_strategies' cannot be imported (division by"
    assert sentence in answer.err
    assert answer.err.strip().endswith("ZeroDivisionError: division by zero")  # where, the traceback says
    assert list((tmp_path / "run").iterdir()) == []


@pytest.mark.parametrize(
    ("text", "fragment"),
    [
        ("def Strategy(model):\n    return 3\n", "cannot be called with model, "),
        ("def Strategy(**options):\n    return 3\n", "expected a strategy of Avalanche's, found int"),
    ],
)
def test_what_is_no_strategy_is_refused_and_nothing_written(train, module, tmp_path, text, fragment):
    module(text)
    answer = train(tmp_path / "run", "--strategy", "somebodys_strategies:Strategy")
    assert_refused(answer, 2, fragment)
    assert list((tmp_path / "run").iterdir()) == []


@pytest.mark.parametrize("seeds", [("0",), ("0", "1")], ids=["single", "comparison"])
@pytest.mark.parametrize(
    ("arguments", "fragments"),
    [
        (("--strategy", "wishful", "naive"), ("unknown strategy 'wishful'", "a+b or module:Class")),
        (("--strategy", "icarl"), ("'icarl' cannot learn this stream",)),
        (("--strategy", "naive+joint"), ("joint cannot be combined",)),
        (("--strategy", "ewc", "--set", "ewc.lambda"), ("--set expects name.key=value",)),
        (("--strategy", "ewc", "--set", "lwf.alpha=1"), ("'lwf' is nothing that this run is made of",)),
        (("--strategy", "ewc", "--set", "ewc.depth=1"), ("unknown option 'depth', ewc has lambda",)),
        (("--strategy", "ewc", "--set", "ewc.lambda=much"), ("expected a number, got 'much'",)),
        (("--strategy", "wishful", "--set", "x", "--batch-size", "0"), ("'wishful'", "'x'", "--batch-size")),
    ],
    ids=lambda value: " ".join(value) if value[0].startswith("--strategy") else "",
)
def test_a_wrong_command_line_is_refused_before_anything_is_written(train, tmp_path, seeds, arguments, fragments):
    answer = train(tmp_path / "run", *arguments, "--seeds", *seeds)
    assert_refused(answer, 2, *fragments)
    assert len(answer.err.splitlines()) == 1
    assert not (tmp_path / "run").exists()


def test_another_configuration_is_refused_and_nothing_touched(again):
    folder, command = again
    before = state(folder)
    answer = command("--strategy", "naive", "lwf", "--epochs", "2", "--image-size", "96")
    assert_refused(answer, 2, "begun with other values of --epochs, --image-size")
    assert state(folder) == before


def test_the_folder_of_a_single_run_is_not_taken(train, trained):
    folder, _ = trained
    before = state(folder)
    assert_refused(train(folder, "--strategy", "naive", "lwf"), 2, folder)
    assert state(folder) == before


def test_a_folder_with_other_files_is_not_taken(train, tmp_path):
    (tmp_path / "precious").touch()
    assert_refused(train(tmp_path, "--seeds", "0", "1"), 2, "--output expects a new or empty folder")
    assert [path.name for path in tmp_path.iterdir()] == ["precious"]


def test_results_that_cannot_be_read_are_named(again):
    folder, command = again
    file = folder / f"naive_{CANONICAL}_seed0" / "results.json"
    file.write_text("{")
    answer = command("--strategy", "naive", "replay", "--seeds", "0", "1")
    assert_refused(answer, 1, file, "remove it")
    assert file.read_text() == "{"


def older(file):
    """Make results of an older version; what they hold then."""
    content = {"strategy": "naive", "seed": 0, "order": ["seg", "det", "cls"], "metrics": {"matrix": []}}
    file.write_text(json.dumps(content))
    return file.read_bytes()


def test_results_of_an_older_version_are_refused_before_any_run(again):
    folder, command = again
    file = folder / f"naive_{CANONICAL}_seed0" / "results.json"
    content, before = older(file), state(folder)
    answer = command("--strategy", "naive", "lwf", "--seeds", "0", "1")
    assert_refused(answer, 1, file, "expected results of version 4, found none", "run again in a new folder")
    assert file.read_bytes() == content
    assert state(folder) == before


# With runs that take no time


def test_each_strategy_runs_with_each_seed(train, tmp_path, ran):
    answer = train(tmp_path / "runs", "--strategy", "replay", "naive", "--seeds", "3", "4")
    assert answer.status == 0, answer.err
    assert ran == [(name, seed, CANONICAL) for name in ("from-scratch", "replay", "naive") for seed in (3, 4)]


def test_seeds_and_strategies_are_added_to_what_is_there(train, tmp_path, ran):
    train(tmp_path / "runs", "--strategy", "replay", "naive")
    ran.clear()
    assert train(tmp_path / "runs", "--strategy", "lwf", "replay", "--seeds", "0", "1").status == 0
    assert ran == [
        ("from-scratch", 1, CANONICAL),
        ("lwf", 0, CANONICAL),
        ("lwf", 1, CANONICAL),
        ("replay", 1, CANONICAL),
    ]
    assert {(row["strategy"], row["seed"]) for row in rows_of(tmp_path / "runs")} == {
        *((name, seed) for name in ("from-scratch", "lwf", "replay") for seed in "01"),
        ("naive", "0"),
    }


def test_a_comparison_that_was_stopped_goes_on(train, tmp_path, ran, monkeypatch):
    run = onehead_avl.runs.compare.run

    def stopped(config, *arguments, **options):
        if config.strategy == ("lwf",):
            raise KeyboardInterrupt
        return run(config, *arguments, **options)

    monkeypatch.setattr(onehead_avl.runs.compare, "run", stopped)
    command = ("--strategy", "naive", "lwf", "ewc")
    answer = train(tmp_path / "runs", *command)
    assert (answer.status, answer.err.splitlines()[-1]) == (130, "stopped: what was written so far is kept")
    monkeypatch.setattr(onehead_avl.runs.compare, "run", run)
    ran.clear()
    assert train(tmp_path / "runs", *command).status == 0
    assert [strategy for strategy, *_ in ran] == ["lwf", "ewc"]


def test_a_baseline_that_ended_just_before_it_was_kept_is_known(train, tmp_path, ran):
    assert train(tmp_path / "runs", "--strategy", "naive", "lwf").status == 0
    shutil.rmtree(tmp_path / "cache")
    ran.clear()
    assert train(tmp_path / "runs", "--strategy", "naive", "ewc").status == 0
    assert ran == [("ewc", 0, CANONICAL)]
    alone = values_of(tmp_path / "runs" / f"from-scratch_{CANONICAL}_seed0", "just_learned")
    assert values_of(tmp_path / "runs" / f"ewc_{CANONICAL}_seed0", "single_task") == alone


def test_a_stream_whose_file_is_edited_meanwhile_is_learned_as_it_was(train_own, few_drawn, tmp_path, ran, monkeypatch):
    run, stream = onehead_avl.runs.compare.run, tmp_path / "own.yaml"

    def edited(*arguments, **options):
        stream.unlink(missing_ok=True)
        return run(*arguments, **options)

    monkeypatch.setattr(onehead_avl.runs.compare, "run", edited)
    stream.write_text(
        "experiences:\n"
        "  - {name: cls, kind: classification, format: drawn}\n"
        "  - {name: det, kind: detection, format: drawn}\n"
    )
    answer = train_own(tmp_path / "runs", "--stream", stream, "--strategy", "naive", "lwf")
    assert answer.status == 0, answer.err
    assert ran == [(name, 0, "cls-det") for name in ("from-scratch", "naive", "lwf")]


def test_baselines_are_found_by_other_commands(train, tmp_path, ran):
    train(tmp_path / "first", "--strategy", "naive", "joint")
    ran.clear()
    answer = train(tmp_path / "second", "--strategy", "joint", "naive", "--order", "cls", "seg", "det")
    assert answer.status == 0, answer.err
    assert ran == [("naive", 0, "cls-seg-det")]
    assert answer.out.count("computed before") == 2
    assert {row["order"] for row in rows_of(tmp_path / "second") if row["strategy"] == "joint"} == {"seg det cls"}


def test_a_baseline_of_a_single_run_in_another_order_is_computed_in_the_usual_one(train, tmp_path, ran):
    for strategy in ("joint", "from-scratch"):
        answer = train(tmp_path / strategy, "--strategy", strategy, "--order", "cls", "seg", "det")
        assert answer.status == 0, answer.err
        assert [line.split()[:2] for line in answer.out.splitlines() if line.startswith("cls Top1")] == [
            ["cls", "Top1"]
        ]
    ran.clear()
    train(tmp_path / "runs", "--strategy", "naive", "joint")
    assert ran == [(name, 0, CANONICAL) for name in ("from-scratch", "naive", "joint")]
    assert {row["order"] for row in rows_of(tmp_path / "runs")} == {"seg det cls"}


def test_a_strategy_is_added_with_hyper_parameters_of_its_own(train, tmp_path, ran):
    folder = tmp_path / "runs"
    assert train(folder, "--strategy", "naive", "replay").status == 0
    answer = train(folder, "--strategy", "naive", "lwf", "--set", "lwf.alpha=3", "--set", "lwf.temperature=4")
    assert answer.status == 0, answer.err
    assert results(folder / f"lwf_{CANONICAL}_seed0")["options"] == {"lwf": {"alpha": 3, "temperature": 4}}


def test_other_hyper_parameters_than_those_of_a_finished_run_are_refused_before_any_run(train, tmp_path, ran):
    folder = tmp_path / "runs"
    assert train(folder, "--strategy", "naive", "lwf").status == 0
    ran.clear()
    answer = train(folder, "--strategy", "ewc", "lwf", "--set", "lwf.alpha=3")
    assert_refused(answer, 2, "of a run with hyper-parameters", "'alpha': 3", "choose another folder")
    assert ran == []


def test_with_somebodys_plugin_baselines_are_computed_for_this_command_alone(train, tmp_path, ran):
    plugin = ("--plugin", "avalanche.training.plugins:SupervisedPlugin")
    for folder in ("first", "second"):
        train(tmp_path / folder, "--strategy", "naive", "replay", *plugin)
    assert [strategy for strategy, *_ in ran].count("from-scratch") == 2
    train(tmp_path / "third", "--strategy", "naive", "replay")
    assert [strategy for strategy, *_ in ran].count("from-scratch") == 3
    train(tmp_path / "fourth", "--strategy", "naive", "replay")
    assert [strategy for strategy, *_ in ran].count("from-scratch") == 3


def test_a_cache_that_cannot_be_written_is_done_without(train, tmp_path, ran, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert train(tmp_path / "runs", "--strategy", "naive", "joint").status == 0
    assert [strategy for strategy, *_ in ran] == ["from-scratch", "naive", "joint"]


def test_a_full_disk_is_no_failure_of_a_strategy(train, tmp_path, ran, monkeypatch):
    def full(config, stream, folder, depends_on, single_task):
        write_json(folder / "missing" / "results.json", {})

    monkeypatch.setattr(onehead_avl.runs.compare, "run", full)
    assert_refused(train(tmp_path / "runs", "--strategy", "naive", "lwf"), 1, "could not be written")
    assert not list((tmp_path / "runs").rglob("failure.json"))


def test_results_of_an_older_version_of_a_run_that_is_not_asked_for_are_refused_before_any_run(train, tmp_path, ran):
    folder = tmp_path / "runs"
    assert train(folder, "--strategy", "naive", "lwf").status == 0
    file = folder / f"lwf_{CANONICAL}_seed0" / "results.json"
    content = older(file)
    ran.clear()
    answer = train(folder, "--strategy", "naive", "ewc")
    assert_refused(answer, 1, file, "expected results of version 4, found none")
    assert ran == []  # rather than that hours of training end without a comparison
    assert file.read_bytes() == content
