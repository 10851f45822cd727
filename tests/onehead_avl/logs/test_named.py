import csv
import json

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from onehead_avl.logs.named import LOGGERS


@pytest.fixture(scope="module")
def folder(train, tmp_path_factory, offline):
    """A run with every logger that has a name."""
    folder = tmp_path_factory.mktemp("named") / "run"
    answer = train(folder, "--logger", *LOGGERS, "--epochs", "2", "--eval-every", "1", "--holdout", "0.3")
    assert answer.status == 0, answer.err
    return folder


@pytest.fixture(scope="module")
def values(folder):
    """What ``metrics.csv`` holds: metric, experience and value, in its order."""
    with (folder / "metrics.csv").open(newline="", encoding="utf-8") as file:
        return [(row["metric"], row["eval_exp"], float(row["value"])) for row in csv.DictReader(file)]


def told(name):
    """The metric and the position of the experience in a full name."""
    metric, _, rest = name.partition("/")
    return metric, str(int(rest[-3:])) if "/Exp" in rest else ""


def test_tensorboard_holds_the_values_of_the_table(folder, values):
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    events.Reload()
    found = [(*told(tag), event.value) for tag in events.Tags()["scalars"] for event in events.Scalars(tag)]
    assert len(found) == len(values) > 50
    for one, other in zip(sorted(found), sorted(values), strict=True):
        assert one[:2] == other[:2]
        assert one[2] == pytest.approx(other[2], rel=1e-6, abs=1e-7)  # TensorBoard keeps single precision


def test_weights_and_biases_hold_the_values_of_the_table(folder, values, wandb_records):
    found = []
    for record in wandb_records(folder):
        for item in record.history.item:
            name = "/".join(item.nested_key)
            if not name.startswith("_") and name != "iteration":
                found.append((*told(name), json.loads(item.value_json)))
    assert sorted(found) == sorted(values)


def test_the_folder_holds_what_the_readme_says(folder):
    names = {entry.name for entry in folder.iterdir()}
    assert {"events.out.tfevents.metrics", "wandb", "metrics.csv", "results.json"} <= names
