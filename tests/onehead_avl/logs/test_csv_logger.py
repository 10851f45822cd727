from types import SimpleNamespace

import pytest
from avalanche.evaluation.metric_results import MetricValue
from avalanche.logging import CSVLogger as AvalancheCSVLogger

from onehead_avl.kinds.kind import kind_of
from onehead_avl.logs.csv_logger import CSVLogger
from onehead_avl.model.layout import layout_of_heads

FILES = ("training_results.csv", "eval_results.csv")
NAMES = ("seg", "det", "cls")
OWN = {0: ("mIoU",), 1: ("AP50", "AP"), 2: ("Top1", "Top5")}
METRICS = [name for own in OWN.values() for name in own]


def header(folder, name):
    return (folder / name).read_text().splitlines()[0].split(",")


def number(cell):
    return float(cell) if cell else None


def emitted(**values):
    """Metric values as plugins emit them on experience 0."""
    return [
        MetricValue(None, f"{name}/eval_phase/test_stream/Task000/Exp000", value, 0) for name, value in values.items()
    ]


def evaluating(exp, task=None):
    """A strategy that evaluates an experience; its task label is its position unless another is told."""
    labels = [exp if task is None else task]
    return SimpleNamespace(experience=SimpleNamespace(current_experience=exp, task_labels=labels), clock=None)


def training(exp, epoch=0):
    return SimpleNamespace(
        experience=SimpleNamespace(current_experience=exp), clock=SimpleNamespace(train_exp_epochs=epoch)
    )


@pytest.fixture
def logger(tmp_path, layout):
    logger = CSVLogger(tmp_path, layout)
    yield logger
    logger.close()


def test_the_files_and_the_first_columns_are_those_of_avalanche(tmp_path, layout):
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    ours.mkdir()
    CSVLogger(ours, layout).close()
    AvalancheCSVLogger(str(theirs)).close()
    assert {each.name for each in ours.iterdir()} == {each.name for each in theirs.iterdir()} == set(FILES)
    for name in FILES:
        columns = header(theirs, name)
        assert header(ours, name)[: len(columns)] == columns
        assert len(set(header(ours, name))) == len(header(ours, name)) > len(columns)


def test_every_metric_has_its_columns(tmp_path, layout):
    CSVLogger(tmp_path, layout).close()
    assert header(tmp_path, "training_results.csv")[6:] == [
        *("val_mIoU_seg", "val_AP50_det", "val_AP_det", "val_Top1_cls", "val_Top5_cls"),
    ]
    assert header(tmp_path, "eval_results.csv")[5:] == [
        *("experience", "mIoU", "mIoU_forgetting", "AP50", "AP50_forgetting", "AP", "AP_forgetting"),
        *("Top1", "Top1_forgetting", "Top5", "Top5_forgetting"),
    ]


@pytest.fixture
def repeated(tmp_path):
    """The logger of a stream that has a kind twice, once with a head of its own and once with a shared one."""
    kind, classes = kind_of("classification"), ("a", "b")
    heads = {"day": "day", "zoo": "zoo", "night_2": "day"}
    logger = CSVLogger(tmp_path, layout_of_heads([(name, head, kind, classes) for name, head in heads.items()]))
    yield logger
    logger.close()


def test_experiences_of_one_kind_have_validation_columns_of_their_own_and_share_the_others(repeated, table):
    assert header(repeated.log_folder, "training_results.csv")[6:] == [
        *("val_Top1_day", "val_Top5_day", "val_Top1_zoo", "val_Top5_zoo", "val_Top1_night_2", "val_Top5_night_2"),
    ]
    assert header(repeated.log_folder, "eval_results.csv")[5:] == [
        *("experience", "Top1", "Top1_forgetting", "Top5", "Top5_forgetting"),
    ]
    repeated.before_training(training(1), [])
    repeated.before_training_exp(training(1), [])
    repeated.after_training_epoch(training(1), emitted(Loss_Epoch=3.0))
    for exp, value in enumerate((0.25, 0.5, 0.75)):
        repeated.after_eval_exp(evaluating(exp), emitted(Top1_Exp=value))
    repeated.before_training_epoch(training(1, 1), [])
    (row,) = table(repeated.log_folder / "training_results.csv")
    assert (row["val_Top1_day"], row["val_Top1_zoo"], row["val_Top1_night_2"]) == ("0.25", "0.5", "0.75")
    assert row["val_accuracy"] == "0.5"
    repeated.after_training(training(1), [])
    repeated.before_eval(evaluating(0), [])
    for exp, value in enumerate((0.25, 0.5, 0.75)):
        repeated.after_eval_exp(evaluating(exp), emitted(Top1_Exp=value))
    rows = table(repeated.log_folder / "eval_results.csv")
    assert [(row["experience"], row["training_exp"], row["Top1"]) for row in rows] == [
        ("day", "1", "0.25"),
        ("zoo", "1", "0.5"),
        ("night_2", "1", "0.75"),
    ]


def test_training_has_a_row_for_each_epoch(logged, table):
    rows = table(logged.folder / "training_results.csv")
    assert [(row["training_exp"], row["epoch"]) for row in rows] == [
        (str(exp), str(epoch)) for exp in range(logged.experiences) for epoch in range(logged.epochs)
    ]
    losses = [value for name, value, _ in logged.heard.values if name.startswith("Loss_Epoch")]
    assert [float(row["training_loss"]) for row in rows] == losses
    assert len(set(losses)) == len(rows)


def test_a_periodic_evaluation_lands_in_the_row_of_its_own_epoch(logged, table):
    rows = table(logged.folder / "training_results.csv")
    for done, row in enumerate(rows, start=1):
        exp, steps = int(row["training_exp"]), done * logged.steps
        assert number(row["val_loss"]) == logged.heard.at("Loss_Exp", exp, steps) is not None
        for other, names in OWN.items():
            for name in names:
                assert (
                    number(row[f"val_{name}_{NAMES[other]}"])
                    == logged.heard.at(f"{name}_Exp", other, steps)
                    is not None
                )
        assert row["val_accuracy"] == (row["val_Top1_cls"] if exp == 2 else "")
    assert len({row["val_mIoU_seg"] for row in rows}) > 2  # else a value in a wrong row could not be told
    assert len({row["val_loss"] for row in rows}) == len(rows)


def test_evaluations_proper_have_a_row_for_each_experience(logged, table):
    rows = table(logged.folder / "eval_results.csv")
    assert [(row["training_exp"], row["eval_exp"]) for row in rows] == [
        (str(train), str(test)) for train in range(3) for test in range(3)
    ]
    assert [row["experience"] for row in rows] == [*NAMES] * 3


def test_what_was_not_measured_is_empty_and_not_zero(logged, table):
    for row in table(logged.folder / "eval_results.csv"):
        exp, steps = int(row["eval_exp"]), (int(row["training_exp"]) + 1) * logged.epochs * logged.steps
        assert number(row["eval_loss"]) == logged.heard.at("Loss_Exp", exp, steps) is not None
        for name in METRICS:
            expected = logged.heard.at(f"{name}_Exp", exp, steps) if name in OWN[exp] else None
            assert number(row[name]) == expected
            assert (row[name] == "") == (name not in OWN[exp])
        assert row["eval_accuracy"] == row["Top1"]
    assert {row["training_accuracy"] for row in table(logged.folder / "training_results.csv")} == {""}


def test_forgetting_is_that_of_the_experience_once_a_later_one_was_learned(logged, table):
    rows = table(logged.folder / "eval_results.csv")
    value = {(row["training_exp"], row["eval_exp"]): row for row in rows}
    for row in rows:
        train, test = row["training_exp"], row["eval_exp"]
        for name in METRICS:
            if name in OWN[int(test)] and train > test:
                lost = float(value[test, test][name]) - float(row[name])
                assert float(row[f"{name}_forgetting"]) == pytest.approx(lost, abs=1e-9)
            else:
                assert row[f"{name}_forgetting"] == ""
        assert row["forgetting"] == row["Top1_forgetting"]
    assert any(float(row["mIoU_forgetting"] or 0) for row in rows)


def test_without_periodic_evaluation_only_the_last_epoch_of_a_stage_is_evaluated(logger, table):
    logger.before_training(training(0), [])
    logger.before_training_exp(training(0), [])
    for epoch in range(2):
        logger.before_training_epoch(training(0, epoch), [])
        logger.after_training_epoch(training(0, epoch), emitted(Loss_Epoch=1.0 - epoch))
    logger.after_training(training(0, 2), [])
    logger.before_eval(evaluating(0), [])
    logger.after_eval_exp(evaluating(0), emitted(mIoU_Exp=0.25, Loss_Exp=1.5))
    logger.after_eval(evaluating(0), [])
    first, last = table(logger.log_folder / "training_results.csv")
    assert {value for name, value in first.items() if name.startswith("val_")} == {""}
    assert (last["val_mIoU_seg"], last["val_loss"], last["val_Top1_cls"]) == ("0.25", "1.5", "")
    assert len(table(logger.log_folder / "eval_results.csv")) == 1


def test_an_evaluation_before_any_training_belongs_to_no_experience(logger, table):
    logger.before_eval(evaluating(0), [])
    logger.after_eval_exp(evaluating(0), emitted(mIoU_Exp=0.25, Loss_Exp=1.5))
    (row,) = table(logger.log_folder / "eval_results.csv")
    assert (row["eval_exp"], row["training_exp"], row["mIoU"], row["eval_loss"]) == ("0", "", "0.25", "1.5")
    assert row["experience"] == "seg"


def test_a_metric_is_not_mistaken_for_another_whose_name_begins_alike(logger, table):
    logger.before_eval(evaluating(0), [])
    logger.after_eval_exp(evaluating(0, task=1), emitted(AP_Forgetting_Exp=0.5, AP50_Exp=0.25))
    (row,) = table(logger.log_folder / "eval_results.csv")
    assert (row["AP"], row["AP_forgetting"], row["AP50"], row["AP50_forgetting"]) == ("", "0.5", "0.25", "")
    assert row["experience"] == "det"  # by its task label, wherever it stands in the stream


def test_a_value_of_zero_is_written(logger, table):
    logger.before_eval(evaluating(0), [])
    logger.after_eval_exp(evaluating(0, task=2), emitted(Top1_Exp=0.0, Top1_Forgetting_Exp=0.0))
    (row,) = table(logger.log_folder / "eval_results.csv")
    assert (row["Top1"], row["eval_accuracy"], row["forgetting"], row["AP"]) == ("0.0", "0.0", "0.0", "")


def test_an_epoch_without_evaluation_is_written_when_the_next_begins(logger, table):
    logger.before_training(training(0), [])
    logger.before_training_exp(training(0), [])
    for epoch in range(2):
        logger.before_training_epoch(training(0, epoch), [])
        logger.after_training_epoch(training(0, epoch), emitted(Loss_Epoch=1.0 - epoch))
    path = logger.log_folder / "training_results.csv"
    assert [row["training_loss"] for row in table(path)] == ["1.0"]
    logger.close()
    assert [row["training_loss"] for row in table(path)] == ["1.0", "0.0"]


def test_the_validation_loss_is_that_of_the_experience_being_learned(logger, table):
    logger.before_training(training(1), [])
    logger.before_training_exp(training(1), [])
    logger.after_training_epoch(training(1), emitted(Loss_Epoch=3.0))
    for exp, loss in enumerate((10.0, 11.0, 12.0)):
        logger.after_eval_exp(evaluating(exp), emitted(Loss_Exp=loss))
    logger.before_training_epoch(training(1, 1), [])
    (row,) = table(logger.log_folder / "training_results.csv")
    assert row["val_loss"] == "11.0"
