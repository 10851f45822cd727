import csv
import json
import shutil

import pytest

from onehead_avl.runs import added

ORDER = "seg-det-cls"


@pytest.fixture
def elsewhere(train, ran, tmp_path):
    """A finished run with lwf and seed 0, in a folder of its own."""

    def elsewhere(*arguments, name="by-hand"):
        answer = train(tmp_path / name, "--strategy", "lwf", *arguments)
        assert answer.status == 0, answer.err
        (tmp_path / name / "plots").mkdir(exist_ok=True)
        (tmp_path / name / "plots" / "a.png").write_bytes(b"a picture")
        return tmp_path / name

    return elsewhere


def strategies_in(folder):
    with (folder / "comparison.csv").open(newline="") as file:
        return {row["strategy"] for row in csv.DictReader(file)}


def assert_refused(answer, *fragments):
    assert answer.status == 2, answer.out
    assert answer.err.count("error: ") == 1
    for fragment in fragments:
        assert fragment in answer.err


def test_a_run_made_elsewhere_joins_a_comparison_and_is_not_done_again(elsewhere, train, ran, tmp_path):
    source = elsewhere()
    ran.clear()
    answer = train(tmp_path / "runs", "--strategy", "naive", "--add", source)
    assert answer.status == 0, answer.err
    assert f"lwf_{ORDER}_seed0: added from {source}" in answer.out
    assert [strategy for strategy, *_ in ran] == ["from-scratch", "naive"]
    place = tmp_path / "runs" / f"lwf_{ORDER}_seed0"
    assert (place / "results.json").read_bytes() == (source / "results.json").read_bytes()
    assert (place / "plots" / "a.png").read_bytes() == b"a picture"
    assert strategies_in(tmp_path / "runs") == {"from-scratch", "naive", "lwf"}
    assert json.loads((tmp_path / "runs" / "config.json").read_text())["add"] == [str(source)]


def test_one_strategy_and_what_is_added_are_a_comparison(elsewhere, train, tmp_path):
    answer = train(tmp_path / "runs", "--strategy", "lwf", "--seeds", "0", "--add", elsewhere())
    assert answer.status == 0, answer.err
    assert f"[2/2] lwf, seed 0: {ORDER.replace('-', ' -> ')}: finished before" in answer.out


def test_the_same_command_adds_nothing_twice(elsewhere, train, ran, tmp_path):
    command = (tmp_path / "runs", "--strategy", "naive", "--add", elsewhere())
    assert train(*command).status == 0
    ran.clear()
    answer = train(*command)
    assert (answer.status, ran) == (0, [])
    assert "added" not in answer.out


def test_several_are_added_at_once(elsewhere, train, tmp_path):
    sources = [elsewhere("--seeds", seed, name=f"seed {seed}") for seed in (0, 1)]
    answer = train(tmp_path / "runs", "--strategy", "naive", "--add", *sources)
    assert answer.status == 0, answer.err
    assert all((tmp_path / "runs" / f"lwf_{ORDER}_seed{seed}").is_dir() for seed in (0, 1))


def test_one_value_of_a_hyper_parameter_joins_the_others(elsewhere, train, ran, tmp_path):
    source = elsewhere("--set", "lwf.alpha=3")
    ran.clear()
    answer = train(tmp_path / "runs", "--strategy", "lwf", "--set", "lwf.alpha=2,3", "--add", source)
    assert answer.status == 0, answer.err
    assert f"lwf,alpha=3_{ORDER}_seed0: added" in answer.out
    assert [strategy for strategy, *_ in ran] == ["from-scratch", "lwf"]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--epochs", "2"), "with --epochs 2 2 2, not 1 1 1"),
        (("--order", "cls", "det", "seg"), "with --order cls det seg, not seg det cls"),
        (("--replay-size", "3"), "with --replay-size 3, not 2"),
        (("--precision", "bf16"), "with --precision bf16, not float32"),
    ],
    ids=lambda value: value[0],
)
def test_a_run_of_another_configuration_is_refused(elsewhere, train, ran, tmp_path, arguments, reason):
    before = ("--replay-size", "2", "--epochs", "1")
    source = elsewhere(*before, *arguments)
    ran.clear()
    answer = train(tmp_path / "runs", "--strategy", "naive", *before, "--add", source)
    assert_refused(answer, f"--add {source}: expected a run of this comparison, found one {reason}; leave it out")
    assert ran == []
    assert [entry.name for entry in (tmp_path / "runs").iterdir()] == ["config.json"]


@pytest.mark.parametrize("name", ["the program", "the data"])
def test_a_run_of_another_program_or_of_other_data_is_refused(elsewhere, train, tmp_path, name):
    source = elsewhere()
    found = json.loads((source / "results.json").read_text())
    found["depends_on"][name] = "another"
    (source / "results.json").write_text(json.dumps(found))
    answer = train(tmp_path / "runs", "--strategy", "naive", "--add", source)
    assert_refused(answer, f"found one before {name} changed; leave it out")


def test_a_run_of_another_stream_is_refused(elsewhere, train, tmp_path):
    source = elsewhere()
    text = (source / "results.json").read_text()
    (source / "results.json").write_text(text.replace('"det', '"depth'))
    answer = train(tmp_path / "runs", "--strategy", "naive", "--add", source)
    assert_refused(answer, "found one of a stream of seg, depth, cls; leave it out")


def test_a_run_with_other_hyper_parameters_than_asked_for_is_refused(elsewhere, train, tmp_path):
    answer = train(tmp_path / "runs", "--strategy", "naive", "lwf", "--add", elsewhere("--set", "lwf.alpha=3"))
    assert_refused(answer, "found one with hyper-parameters", "'alpha': 3", "not {'lwf'")


def test_none_is_added_if_one_cannot_be(elsewhere, train, tmp_path):
    answer = train(tmp_path / "runs", "--strategy", "naive", "--add", elsewhere(), tmp_path)
    assert_refused(answer, f"--add expects folders of runs that ended, found no results.json in {tmp_path}")
    assert not (tmp_path / "runs" / f"lwf_{ORDER}_seed0").exists()


def test_a_run_that_is_there_already_is_not_replaced(elsewhere, train, tmp_path):
    command = (tmp_path / "runs", "--strategy", "naive", "--add")
    source = elsewhere()
    assert train(*command, source).status == 0
    shutil.copytree(source, other := tmp_path / "other")
    (other / "results.json").write_text((source / "results.json").read_text() + "\n")
    answer = train(*command, other)
    assert_refused(answer, f"lwf_{ORDER}_seed0, where there is something else already; remove it, or leave this out")
    assert_refused(
        train(tmp_path / "new", "--strategy", "naive", "--add", source, other), "are the same; leave one out"
    )


def test_a_copy_that_fails_leaves_nothing(elsewhere, train, tmp_path, monkeypatch):
    source = elsewhere()

    def full(source, place):
        place.mkdir()
        shutil.copy(source / "results.json", place)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(added.shutil, "copytree", full)
    answer = train(tmp_path / "runs", "--strategy", "naive", "--add", source)
    assert answer.status == 1
    assert f"{source} could not be copied to" in answer.err
    assert [entry.name for entry in (tmp_path / "runs").iterdir()] == ["config.json"]
