import pytest

from onehead_avl.evaluation.outcomes import Measure, Outcome, Stage, mean, outcomes, single_task_shares

MEASURES = [
    Measure("seg", "mIoU"),
    Measure("det", "AP50"),
    Measure("det", "AP", primary=False),
    Measure("cls", "Top1"),
    Measure("cls", "Top5", primary=False),
]


def scores(miou, ap50, ap, top1, top5):
    return {"seg": {"mIoU": miou}, "det": {"AP50": ap50, "AP": ap}, "cls": {"Top1": top1, "Top5": top5}}


STAGES = [
    Stage(("seg",), 3, 10.0, scores(0.5, 0.0, 0.0, 0.1, 0.5)),
    Stage(("det",), 2, 20.0, scores(0.25, 0.2, 0.1, 0.2, 0.5)),
    Stage(("cls",), 1, 30.0, scores(0.4, 0.25, 0.075, 0.75, 1.0)),
]
ERROR = Measure("depth", "AbsRel", higher_is_better=False)


def outcome(*after, own=0, single_task=None, before=None, measure=MEASURES[0]):
    return Outcome(measure, before, after, own, single_task)


def by_metric(stages, single_task=None, **options):
    found = outcomes(MEASURES, stages, single_task=single_task, **options)
    return {each.measure.metric: each for each in found}


def test_outcomes_follow_the_stream():
    followed = outcomes(MEASURES, STAGES)
    assert [(each.measure.title, each.own) for each in followed] == [
        ("seg mIoU", 0),
        ("det AP50", 1),
        ("det AP", 1),
        ("cls Top1", 2),
        ("cls Top5", 2),
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
    found = by_metric(STAGES, {"cls": {"Top1": 0.8}})["Top1"]
    assert found.forgetting is found.drop_from_just_learned is None
    assert found.just_learned == found.final == 0.75
    assert found.drop_from_single_task == pytest.approx(0.0625)


def test_what_the_first_stage_learned_is_no_single_task_value():
    found = by_metric(STAGES, {"det": {"AP50": 0.9}})["mIoU"]
    assert found.just_learned == 0.5
    assert found.single_task is found.drop_from_single_task is None


def test_a_single_task_value_that_is_known_counts_for_the_first_task_too():
    found = by_metric(STAGES, {"seg": {"mIoU": 0.8}})["mIoU"]
    assert (found.just_learned, found.single_task) == (0.5, 0.8)
    assert found.drop_from_single_task == pytest.approx(0.5)


def test_a_model_for_each_stage_has_one_value_a_task_and_it_is_the_single_task_value():
    for metric, own, value in (("mIoU", 0, 0.5), ("AP50", 1, 0.2), ("AP", 1, 0.1), ("Top1", 2, 0.75)):
        found = by_metric(STAGES, separate=True)[metric]
        assert found.after == tuple(value if position == own else None for position in range(3))
        assert found.just_learned == found.single_task == value
        assert found.forgetting is found.drop_from_just_learned is None


def test_tasks_learned_jointly_have_one_value_and_no_forgetting():
    stage = Stage(("seg", "cls"), 2, 5.0, scores(0.5, 0.0, None, 0.75, 1.0))
    assert stage.title == "joint"
    found = by_metric([stage], {"cls": {"Top1": 0.8}})
    assert list(found) == ["mIoU", "Top1", "Top5"]
    for each in found.values():
        assert each.own == 0
        assert each.just_learned == each.final == each.measure.of(stage.scores)
        assert each.forgetting is each.drop_from_just_learned is None
    assert found["mIoU"].single_task is None  # it was not learned alone
    assert found["Top1"].drop_from_single_task == pytest.approx(0.0625)


def test_a_stage_is_called_by_its_experience():
    assert [stage.title for stage in STAGES] == ["seg", "det", "cls"]


def test_a_later_task_has_a_single_task_value_only_if_one_is_given():
    unknown, known = by_metric(STAGES)["AP50"], by_metric(STAGES, {"det": {"AP50": 0.5}})["AP50"]
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
    (found,) = outcomes(MEASURES, [Stage(("seg",), 1, 1.0, {})])
    assert found.after == (None,)


def test_a_stream_of_one_task_has_no_loss():
    (found,) = outcomes(MEASURES, [Stage(("seg",), 1, 1.0, {"seg": {"mIoU": 0.5}})])
    assert found.just_learned == found.final == 0.5
    assert found.forgetting is found.drop_from_just_learned is found.drop_from_single_task is None


def test_an_error_that_grows_is_forgetting_and_one_that_shrinks_is_transfer():
    found = outcome(0.25, 0.5, measure=ERROR, single_task=0.2)
    assert found.forgetting == 0.25
    assert found.backward_transfer == -0.25
    assert found.drop_from_just_learned == 1.0
    assert found.drop_from_single_task == pytest.approx(1.5)
    assert ERROR.share(0.5, 0.25) == 0.5  # twice the error is half as good
    assert found.share_of_single_task == pytest.approx(0.4)
    assert outcome(0.8, 0.6, 0.7, own=1, measure=ERROR, before=0.9).forward_transfer == pytest.approx(0.1)


def test_forward_transfer_is_what_was_gained_before_the_own_stage():
    untrained = scores(0.03, 0.01, None, 0.125, 0.5)
    found = by_metric(STAGES, untrained=untrained)
    assert found["mIoU"].forward_transfer is None  # the first has nothing before it
    assert found["AP50"].forward_transfer == pytest.approx(0.0 - 0.01)
    assert found["AP"].forward_transfer is None
    assert found["Top1"].forward_transfer == pytest.approx(0.2 - 0.125)
    assert by_metric(STAGES)["Top1"].forward_transfer is None
    assert by_metric(STAGES, untrained=untrained, separate=True)["Top1"].forward_transfer is None


def test_backward_and_forward_transfer_of_six_experiences_by_hand():
    names = "abcdef"
    measures = [Measure(name, "Top1") for name in names]
    before = {name: {"Top1": 0.25} for name in names}
    # After stage i, what was learned at it is at 0.75, what was learned before lost 1/32 a stage, what comes is at 0.5.
    stages = [
        Stage(
            (name,),
            1,
            1.0,
            {other: {"Top1": 0.5 if own > i else 0.75 - (i - own) / 32} for own, other in enumerate(names)},
        )
        for i, name in enumerate(names)
    ]
    found = outcomes(measures, stages, before)
    assert [each.forward_transfer for each in found] == [None, *[0.25] * 5]
    assert [each.forgetting for each in found] == [5 / 32, 4 / 32, 3 / 32, 2 / 32, 1 / 32, None]
    assert [each.backward_transfer for each in found] == [-5 / 32, -4 / 32, -3 / 32, -2 / 32, -1 / 32, None]


def test_the_share_of_single_task_performance_is_that_of_the_final_value():
    assert outcome(0.9, 0.3, single_task=0.6).share_of_single_task == 0.5
    assert outcome(0.9, 0.3, single_task=0.0).share_of_single_task is None
    assert outcome(0.9, 0.3).share_of_single_task is outcome(0.9, None, single_task=0.5).share_of_single_task is None


def test_an_average_share_counts_an_error_by_its_direction():
    stage = Stage(("seg", "depth"), 1, 1.0, {"seg": {"mIoU": 0.25}, "depth": {"AbsRel": 0.5}})
    alone = {"seg": {"mIoU": 0.5}, "depth": {"AbsRel": 0.125}}
    assert single_task_shares(outcomes([MEASURES[0], ERROR], [stage], single_task=alone)) == [(0.5 + 0.25) / 2]


def test_shares_of_single_task_performance_are_means_over_what_was_learned_so_far():
    alone = {"seg": {"mIoU": 0.5}, "det": {"AP50": 0.4}, "cls": {"Top1": 0.75}}
    assert single_task_shares(outcomes(MEASURES, STAGES, single_task=alone)) == pytest.approx(
        [1.0, (0.25 / 0.5 + 0.2 / 0.4) / 2, (0.4 / 0.5 + 0.25 / 0.4 + 1.0) / 3]
    )
    assert single_task_shares(outcomes(MEASURES, STAGES)) == [None, None, None]
    assert single_task_shares([]) == []


def test_two_experiences_of_one_kind_are_followed_apart():
    measures = [Measure("near", "mIoU"), Measure("far", "mIoU")]
    stages = [
        Stage(("near",), 1, 1.0, {"near": {"mIoU": 0.5}, "far": {"mIoU": 0.25}}),
        Stage(("far",), 1, 1.0, {"near": {"mIoU": 0.375}, "far": {"mIoU": 0.75}}),
    ]
    near, far = outcomes(measures, stages)
    assert (near.after, near.forgetting) == ((0.5, 0.375), 0.125)
    assert (far.after, far.just_learned) == ((0.25, 0.75), 0.75)


def test_a_mean_with_an_unknown_value_is_unknown():
    assert mean([0.25, 0.75]) == 0.5
    assert mean([0.25, None]) is mean([]) is None
