import errno
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn

from onehead_avl.checkpoint.graph import encode, restore
from onehead_avl.errors import OutputError
from onehead_avl.logs.named import EVENTS
from onehead_avl.logs.tensorboard_logger import TensorBoardLogger
from onehead_avl.runs.failures import clear_errors


def shown(folder):
    """What TensorBoard reads from a folder: the iterations and values of each name, in the order of the file."""
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    events.Reload()
    return {tag: [(each.step, each.value) for each in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def texts(folder):
    events = EventAccumulator(str(folder), size_guidance={"tensors": 0})
    events.Reload()
    return {
        tag: [each.tensor_proto.string_val[0].decode() for each in events.Tensors(tag)]
        for tag in events.Tags()["tensors"]
    }


def test_tensorboard_shows_the_values_of_the_table_at_their_iterations(logged, table):
    wanted = {}
    rows = table(logged.folder / "metrics.csv")
    for row, (name, _, steps) in zip(rows, logged.heard.values, strict=True):
        assert name.startswith(f"{row['metric']}/")
        wanted.setdefault(name, []).append((steps, float(np.float32(row["value"]))))
    assert shown(logged.folder) == wanted
    losses = [values for name, values in wanted.items() if name.startswith("Loss_Epoch/")]
    assert sorted(step for values in losses for step, _ in values) == [2, 4, 6, 8, 10, 12]


def test_a_training_that_died_shows_each_value_once(interrupted, undisturbed):
    assert (interrupted / "metrics.csv").read_bytes() == (undisturbed / "metrics.csv").read_bytes()
    assert shown(interrupted) == shown(undisturbed)
    assert list(shown(interrupted)) == list(shown(undisturbed))
    assert len([file for file in interrupted.iterdir() if "tfevents" in file.name]) == 1
    assert len(texts(interrupted)["config/text_summary"]) == 1


def test_the_configuration_is_a_text(logged):
    ((text,),) = texts(logged.folder).values()
    heading, _, code = text.partition("\n\n")
    assert heading == "a run"
    assert all(line.startswith("    ") for line in code.splitlines())
    assert json.loads(code) == {"epochs": [2]}


@pytest.mark.parametrize("value", [torch.zeros(3, 4), "a picture", None])
def test_what_is_no_number_is_left_out(tmp_path, value):
    logger = TensorBoardLogger(tmp_path, "run", {})
    logger.log_single_metric("Confusion/eval_phase/test_stream", value, 0)
    logger.log_single_metric("Count_Epoch/train_phase/train_stream/Task000", 3, 5)
    logger.close()
    assert shown(tmp_path) == {"Count_Epoch/train_phase/train_stream/Task000": [(5, 3.0)]}


@pytest.mark.parametrize("moment", ["after_training_epoch", "after_eval"])
def test_values_are_on_disk_as_soon_as_an_epoch_or_an_evaluation_is_over(tmp_path, moment):
    logger = TensorBoardLogger(tmp_path, "run", {})
    logger.log_single_metric("Loss", 0.5, 2)
    assert shown(tmp_path) == {}
    getattr(logger, moment)(None, [])
    assert shown(tmp_path) == {"Loss": [(2, 0.5)]}
    logger.close()


def test_a_checkpoint_holds_nothing_of_it(tmp_path):
    loggers = [TensorBoardLogger(tmp_path, "run", {}) for _ in range(2)]
    table = encode(SimpleNamespace(logger=loggers[0]))
    restore(table, SimpleNamespace(logger=loggers[1]), nn.Identity())
    assert [row[0] for row in table] == ["object", "object"]
    loggers[1].log_single_metric("Loss", 0.5, 2)
    for each in loggers:
        each.close()
    assert shown(tmp_path) == {"Loss": [(2, 0.5)]}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a disk that is always full")
def test_a_full_disk_is_an_error(tmp_path):
    (tmp_path / EVENTS).symlink_to("/dev/full")
    logger = TensorBoardLogger(tmp_path, "run", {})
    with (
        pytest.raises(OutputError, match=r"could not be written \(No space left on device\)"),
        clear_errors(tmp_path, str),
    ):
        logger.after_eval(None, [])
    with pytest.raises(OSError, match="No space left") as caught:
        logger.close()
    assert caught.value.errno == errno.ENOSPC


def pictures(folder):
    """The steps at which TensorBoard shows a picture, by its name, and the pictures' sides."""
    events = EventAccumulator(str(folder), size_guidance={"images": 0})
    events.Reload()
    return {
        tag: [(each.step, each.width, each.height) for each in events.Images(tag)] for tag in events.Tags()["images"]
    }


def test_the_first_pictures_of_each_experience_are_shown_after_each_evaluation(train, tmp_path):
    answer = train(tmp_path / "run", "--logger", "tensorboard", "--order", "seg", "cls")
    assert answer.status == 0, answer.err
    found = pictures(tmp_path / "run")
    assert set(found) == {"seg/1", "seg/2", "cls/1", "cls/2"}
    steps = {tag: [step for step, *_ in each] for tag, each in found.items()}
    assert all(each == steps["seg/1"] for each in steps.values())
    assert len(set(steps["seg/1"])) == 3  # before any training, and after each of two stages
    assert {each[1:] for each in found["seg/1"] + found["seg/2"]} == {(40, 30), (44, 32)}
