import re

import pytest
import torch

from onehead_avl.logs.tidy_logger import COLUMNS, TidyLogger

NAMES = [f"e{i}" for i in range(13)]


def test_the_columns(tmp_path):
    TidyLogger(tmp_path, NAMES, "run", 0, "naive").close()
    assert (
        tmp_path / "metrics.csv"
    ).read_text() == "run,seed,strategy,train_exp,epoch,eval_exp,metric,value,experience\n"
    assert len(COLUMNS) == 9


def test_every_number_that_was_emitted_is_a_row(logged, table):
    rows = table(logged.folder / "metrics.csv")
    heard = [(name.split("/")[0], float(value)) for name, value, _ in logged.heard.values]
    assert [(row["metric"], float(row["value"])) for row in rows] == heard
    assert {row["metric"] for row in rows} > {"Loss_Epoch", "mIoU_Exp", "AP50_Forgetting_Exp", "mIoU_BWT_Stream"}
    assert {(row["run"], row["seed"], row["strategy"]) for row in rows} == {("a run", "7", "naive")}


def test_training_values_belong_to_the_epoch_that_they_end(logged, table):
    rows = [row for row in table(logged.folder / "metrics.csv") if row["metric"] == "Loss_Epoch"]
    assert [(row["train_exp"], row["epoch"], row["eval_exp"]) for row in rows] == [
        (str(exp), str(epoch), "") for exp in range(3) for epoch in (1, 2)
    ]


def test_evaluations_say_how_far_training_was(logged, table):
    rows = table(logged.folder / "metrics.csv")
    for row, (name, _, steps) in zip(rows, logged.heard.values, strict=True):
        if "/eval_phase/" in name:
            before = int(row["train_exp"]) * logged.epochs * logged.steps if row["train_exp"] else 0
            assert before + int(row["epoch"]) * logged.steps == steps
    assert [(row["train_exp"], row["epoch"]) for row in rows if row["metric"] == "mIoU_Exp"] == [
        (exp, epoch) for exp in "012" for epoch in "12"
    ]


def test_only_values_of_an_experience_name_one(logged, table):
    for row, (name, _, _) in zip(table(logged.folder / "metrics.csv"), logged.heard.values, strict=True):
        found = re.search(r"/eval_phase/.*Exp00(\d)$", name)
        assert row["eval_exp"] == (found[1] if found else "")
        assert row["experience"] == (("seg", "det", "cls")[int(found[1])] if found else "")
    seen = {(row["metric"], row["eval_exp"]) for row in table(logged.folder / "metrics.csv")}
    assert {("mIoU_Exp", "0"), ("AP_Exp", "1"), ("Top1_Exp", "2"), ("mIoU_Forgetting_Stream", "")} <= seen
    assert not {("mIoU_Exp", "1"), ("AP_Exp", "0"), ("Top1_Exp", "0")} & seen


@pytest.mark.parametrize("value", [torch.zeros(3, 4), "a picture", None])
def test_what_is_no_number_is_left_out(tmp_path, table, value):
    logger = TidyLogger(tmp_path, NAMES, "run", 0, "naive")
    logger.log_single_metric("Confusion/eval_phase/test_stream", value, 0)
    logger.log_single_metric("Count_Epoch/train_phase/train_stream/Task000", 3, 0)
    logger.close()
    assert [(row["metric"], row["value"]) for row in table(tmp_path / "metrics.csv")] == [("Count_Epoch", "3")]


def test_an_evaluation_before_any_training_names_its_experience_and_no_stage(tmp_path, table):
    logger = TidyLogger(tmp_path, ["night", "day"], "run", 0, "naive")
    logger.log_single_metric("mIoU_Exp/eval_phase/test_stream/Task000/Exp001", 0.5, 0)
    logger.log_single_metric("mIoU_Forgetting_Stream/eval_phase/test_stream", 0.25, 0)
    logger.close()
    rows = table(tmp_path / "metrics.csv")
    assert [(row["train_exp"], row["epoch"], row["eval_exp"], row["experience"]) for row in rows] == [
        ("", "0", "1", "day"),  # by its position in the stream as it is learned, whatever its task label
        ("", "0", "", ""),
    ]


def test_values_are_on_disk_as_soon_as_an_evaluation_is_over(tmp_path, table):
    logger = TidyLogger(tmp_path, NAMES, "run", 0, "naive")
    logger.log_single_metric("mIoU_Exp/eval_phase/test_stream/Task000/Exp012", 0.5, 0)
    logger.after_eval(None, [])
    (row,) = table(tmp_path / "metrics.csv")
    assert (row["eval_exp"], row["experience"], row["value"]) == ("12", "e12", "0.5")
    logger.close()
