import json

import pytest

from onehead_avl.report.results import SCORES, Outcome, Stage, as_json, outcomes
from onehead_avl.tasks import Task

STAGES = [
    Stage((Task.SEG,), 3, 10.0, {"mIoU": 0.5, "AP50": 0.0, "AP": 0.0, "Top1": 0.1, "Top5": 0.5}),
    Stage((Task.DET,), 2, 20.0, {"mIoU": 0.25, "AP50": 0.2, "AP": 0.1, "Top1": 0.2, "Top5": 0.5}),
    Stage((Task.CLS,), 1, 30.0, {"mIoU": 0.4, "AP50": 0.25, "AP": 0.075, "Top1": 0.75, "Top5": 1.0}),
]


def outcome(*after, own=0, single_task=None):
    return Outcome(Task.SEG, "mIoU", after, own, single_task)


def by_metric(*arguments, **options):
    return {each.metric: each for each in outcomes(*arguments, **options)}


def test_each_task_is_judged_by_its_first_metric():
    assert [names[0] for names in SCORES.values()] == [task.metric for task in Task]


def test_outcomes_follow_the_stream():
    followed = outcomes(STAGES)
    assert [(each.task, each.metric, each.own) for each in followed] == [
        (Task.SEG, "mIoU", 0),
        (Task.DET, "AP50", 1),
        (Task.DET, "AP", 1),
        (Task.CLS, "Top1", 2),
        (Task.CLS, "Top5", 2),
    ]
    assert [each.after for each in followed] == [
        (0.5, 0.25, 0.4),
        (0.0, 0.2, 0.25),
        (0.0, 0.1, 0.075),
        (0.1, 0.2, 0.75),
        (0.5, 0.5, 1.0),
    ]


def test_forgetting_is_what_was_lost_since_the_own_stage():
    found = by_metric(STAGES)
    assert (found["mIoU"].just_learned, found["mIoU"].final) == (0.5, 0.4)
    assert found["mIoU"].forgetting == pytest.approx(0.1)
    assert found["mIoU"].drop_from_just_learned == pytest.approx(0.2)
    assert found["AP"].forgetting == pytest.approx(0.025)
    assert found["AP"].drop_from_just_learned == pytest.approx(0.25)


def test_a_gain_is_negative():
    found = by_metric(STAGES)["AP50"]
    assert found.forgetting == pytest.approx(-0.05)
    assert found.drop_from_just_learned == pytest.approx(-0.25)


def test_the_last_task_had_no_chance_to_be_forgotten():
    found = by_metric(STAGES, {"Top1": 0.8})["Top1"]
    assert found.forgetting is found.drop_from_just_learned is None
    assert found.just_learned == found.final == 0.75
    assert found.drop_from_single_task == pytest.approx(0.0625)


def test_the_first_task_was_learned_alone_even_if_nothing_is_said():
    found = by_metric(STAGES, {"AP50": 0.9})["mIoU"]
    assert found.single_task == found.just_learned == 0.5
    assert found.drop_from_single_task == pytest.approx(0.2)


def test_a_single_task_value_that_is_known_counts_for_the_first_task_too():
    found = by_metric(STAGES, {"mIoU": 0.8})["mIoU"]
    assert (found.just_learned, found.single_task) == (0.5, 0.8)
    assert found.drop_from_single_task == pytest.approx(0.5)


def test_a_model_for_each_stage_has_one_value_a_task_and_it_is_the_single_task_value():
    for metric, own, value in (("mIoU", 0, 0.5), ("AP50", 1, 0.2), ("AP", 1, 0.1), ("Top1", 2, 0.75)):
        found = by_metric(STAGES, separate=True)[metric]
        assert found.after == tuple(value if position == own else None for position in range(3))
        assert found.just_learned == found.single_task == value
        assert found.forgetting is found.drop_from_just_learned is None


def test_tasks_learned_jointly_have_one_value_and_no_forgetting():
    stage = Stage((Task.SEG, Task.CLS), 2, 5.0, {"mIoU": 0.5, "AP50": 0.0, "Top1": 0.75, "Top5": 1.0})
    assert (stage.key, stage.title) == ("joint", "segmentation + classification")
    found = by_metric([stage], {"Top1": 0.8})
    assert list(found) == ["mIoU", "Top1", "Top5"]
    for each in found.values():
        assert each.own == 0
        assert each.just_learned == each.final == stage.scores[each.metric]
        assert each.forgetting is each.drop_from_just_learned is None
    assert found["mIoU"].single_task is None  # it was not learned alone
    assert found["Top1"].drop_from_single_task == pytest.approx(0.0625)


def test_a_stage_is_called_by_its_task():
    assert [(stage.key, stage.title) for stage in STAGES] == [
        ("seg", "segmentation"),
        ("det", "detection"),
        ("cls", "classification"),
    ]


def test_a_later_task_has_a_single_task_value_only_if_one_is_given():
    unknown, known = by_metric(STAGES)["AP50"], by_metric(STAGES, {"AP50": 0.5})["AP50"]
    assert unknown.single_task is unknown.drop_from_single_task is None
    assert known.single_task == 0.5
    assert known.drop_from_single_task == pytest.approx(0.5)
    assert known.forgetting == pytest.approx(-0.05)


def test_the_two_baselines_are_not_mixed():
    found = outcome(0.1, 0.4, 0.3, own=1, single_task=0.6)
    assert found.forgetting == pytest.approx(0.1)
    assert found.drop_from_just_learned == pytest.approx(0.25)
    assert found.drop_from_single_task == pytest.approx(0.5)


def test_of_nothing_nothing_can_be_lost():
    found = outcome(0.0, 0.0)
    assert found.forgetting == 0
    assert found.drop_from_just_learned is None
    assert outcome(0.3, 0.2, single_task=0.0).drop_from_single_task is None


def test_all_can_be_lost():
    found = outcome(0.5, 0.0, single_task=0.5)
    assert found.drop_from_just_learned == found.drop_from_single_task == 1


@pytest.mark.parametrize("after", [(None, 0.5), (0.5, None), (None, None)])
def test_what_was_not_measured_was_not_forgotten(after):
    found = outcome(*after)
    assert found.forgetting is found.drop_from_just_learned is found.drop_from_single_task is None


def test_absent_scores_are_unknown_and_not_zero():
    (found,) = outcomes([Stage((Task.SEG,), 1, 1.0, {})])
    assert found.after == (None,)


def test_a_stream_of_one_task_has_no_loss():
    (found,) = outcomes([Stage((Task.SEG,), 1, 1.0, {"mIoU": 0.5})])
    assert found.just_learned == found.final == 0.5
    assert found.forgetting is found.drop_from_just_learned is found.drop_from_single_task is None


def test_json_of_a_run():
    stages = [
        Stage((Task.CLS,), 1, 5.0, {"Top1": 0.5, "Top5": 1.0, "mIoU": None}),
        Stage((Task.SEG,), 1, 5.0, {"Top1": 0.25}),
    ]
    found = as_json(stages, outcomes(stages, {"mIoU": 0.5}))
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["matrix"] == [
        {"after": "cls", "mIoU": None, "AP50": None, "AP": None, "Top1": 0.5, "Top5": 1.0},
        {"after": "seg", "mIoU": None, "AP50": None, "AP": None, "Top1": 0.25, "Top5": None},
    ]
    assert list(found["outcomes"]) == ["Top1", "Top5", "mIoU"]
    assert found["outcomes"]["Top1"] == {
        "task": "cls",
        "just_learned": 0.5,
        "single_task": 0.5,
        "final": 0.25,
        "forgetting": 0.25,
        "backward_transfer": -0.25,
        "drop_from_just_learned": 0.5,
        "drop_from_single_task": 0.5,
    }
    assert found["outcomes"]["mIoU"] == {
        "task": "seg",
        "just_learned": None,
        "single_task": 0.5,
        "final": None,
        "forgetting": None,
        "backward_transfer": None,
        "drop_from_just_learned": None,
        "drop_from_single_task": None,
    }
