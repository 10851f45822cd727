import json
from dataclasses import replace

import pytest

from onehead_avl.errors import OutputError
from onehead_avl.evaluation.outcomes import Measure, Stage
from onehead_avl.evaluation.record import VERSION, Record, Rule

ROWS = ((0.5, 0.0, 0.1), (0.25, 0.2, 0.2), (0.4, 0.25, 0.75))
ALONE = {"seg": {"mIoU": 0.5}, "det": {"AP50": 0.4}, "cls": {"Top1": 0.75}}


@pytest.fixture
def run(record):
    """A run with something in every field."""
    made = record("ewc", 3, *ROWS, untrained=(0.03, None, 0.125), single_task=ALONE)
    first = replace(made.stages[0], per_class={"seg": {"IoU": {"cat": 0.5, "background": None}}})
    return replace(
        made,
        options={"ewc": {"lambda": 10.0}},
        stages=(first, *made.stages[1:]),
        checklist=(Rule("parameters", "1 M", "< 8 M", True), Rule("x", None, "y", None)),
        manifest_sha256="abc",
        environment={"torch": "2"},
        depends_on={"--seeds": [3], "the data": "abc", "the threads": 2},
        intervals={"seg": {"mIoU": (0.1, 0.9)}, "det": {"AP50": None}},
    )


def through_a_file(record):
    return json.loads(json.dumps(record.as_json(), allow_nan=False))


def test_what_is_written_is_read(run):
    found = Record.from_json(through_a_file(run), "results.json")
    assert found == run
    assert found.outcomes == run.outcomes


def test_what_is_read_is_written_again_as_it_was(run):
    content = through_a_file(run)
    assert through_a_file(Record.from_json(content, "results.json")) == content


def test_a_run_of_six_experiences_of_which_one_is_measured_by_an_error_is_read(run):
    learned = [replace(run.experiences[0], name=name, head=name, metrics={"AbsRel": name != "f"}) for name in "abcdef"]
    stages = [Stage((name,), 1, 1.0, {each: {"AbsRel": 0.5} for each in "abcdef"}) for name in "abcdef"]
    six = replace(run, experiences=tuple(learned), order=tuple("abcdef"), stages=tuple(stages))
    found = Record.from_json(through_a_file(six), "results.json")
    assert found == six
    assert [each.measure.higher_is_better for each in found.outcomes] == [True] * 5 + [False]


def test_a_record_without_a_checklist_is_read(run):
    assert Record.from_json(through_a_file(replace(run, checklist=None)), "results.json").checklist is None


def test_the_file_says_its_version_and_what_follows_from_the_values(run):
    content = through_a_file(run)
    assert content["version"] == VERSION
    assert list(content["outcomes"]) == ["seg", "det", "cls"]
    assert content["outcomes"]["seg"]["mIoU"] == {
        "higher_is_better": True,
        "just_learned": 0.5,
        "single_task": 0.5,
        "final": 0.4,
        "forgetting": pytest.approx(0.1),
        "backward_transfer": pytest.approx(-0.1),
        "forward_transfer": None,
        "drop_from_just_learned": pytest.approx(0.2),
        "drop_from_single_task": pytest.approx(0.2),
    }
    assert content["outcomes"]["cls"]["Top1"]["forward_transfer"] == pytest.approx(0.2 - 0.125)
    shares = [1.0, 0.5, (0.8 + 0.25 / 0.4 + 1.0) / 3]
    assert content["share_of_single_task"] == {
        "after": pytest.approx(shares),
        "final": pytest.approx(shares[-1]),
        "course": pytest.approx(sum(shares) / 3),
    }


def test_outcomes_are_found_by_their_measure(run):
    assert run.outcome(Measure("det", "AP50")).final == 0.25
    assert run.outcome(Measure("det", "mIoU")) is None
    assert run.seconds == 180


def test_other_single_task_scores_take_the_place_of_its_own(run):
    other = run.with_single_task({"seg": {"mIoU": 0.8}})
    assert other.outcome(Measure("seg", "mIoU")).single_task == 0.8
    assert run.with_single_task(None) is run


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ({"strategy": "naive", "metrics": {"matrix": []}}, "found none"),
        ({"version": 1}, "found 1"),
        ({"version": VERSION + 1}, f"found {VERSION + 1}"),
        ({"version": "2"}, "found '2'"),
        ([], "found none"),
        (None, "found none"),
    ],
)
def test_results_of_another_version_are_refused(content, found):
    with pytest.raises(OutputError, match=rf"^here: expected results of version {VERSION}, {found}: another version"):
        Record.from_json(content, "here")


@pytest.mark.parametrize("missing", ["strategy", "stages", "experiences", "order", "checklist", "depends_on"])
def test_results_that_lack_something_are_refused(run, missing):
    content = through_a_file(run)
    del content[missing]
    with pytest.raises(OutputError, match=r"^here: expected the results of a run, found other content"):
        Record.from_json(content, "here")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("stages", [3]),
        ("stages", [{"epochs": 1}]),
        ("stages", 1),
        ("stages", [{"experiences": ["seg"], "epochs": 1, "seconds": 1.0, "scores": 3, "per_class": {}}]),
        ("stages", [{"experiences": ["seg"], "epochs": 1, "seconds": 1.0, "scores": {"seg": 3}, "per_class": {}}]),
        ("stages", [{"experiences": ["seg"], "epochs": 1, "seconds": 1.0, "scores": {}, "per_class": {}, "more": 1}]),
        ("stages", [{"experiences": ["sea"], "epochs": 1, "seconds": 1.0, "scores": {}, "per_class": {}}]),
        ("stages", [{"experiences": "seg", "epochs": 1, "seconds": 1.0, "scores": {}, "per_class": {}}]),
        ("strategy", 3),
        ("seed", "0"),
        ("depends_on", 3),
        ("depends_on", ["the data"]),
        ("order", 3),
        ("order", "seg"),
        ("order", ["seg", "sea"]),
        ("single_task", {"det": {"AP50": "much"}}),
        ("untrained", [1]),
        ("intervals", []),
        ("intervals", {"seg": {"mIoU": [0.1]}}),
        ("checklist", [{"name": "parameters"}]),
    ],
)
def test_results_of_another_form_are_refused(run, name, value):
    with pytest.raises(OutputError, match=r"^here: expected the results of a run, found other content"):
        Record.from_json(through_a_file(run) | {name: value}, "here")
