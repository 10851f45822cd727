from pathlib import Path

import pytest

from onehead_avl.errors import UsageError
from onehead_avl.runs.config import ALL_ORDERS, MOST_PERMUTED, Config
from onehead_avl.runs.soundness import require_sound


def finding(*found, **values):
    """What is wrong with a configuration, as one sentence."""
    with pytest.raises(UsageError) as caught:
        require_sound(Config(**values), found)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"stream": "split6", "order": ("cls-2", "seg-1"), "epochs": (2, 1)},
        {"stream": "split6", "epochs": (1, 2, 3, 4, 5, 6), "data": Path()},
        {"stream": "segmentation-10-10", "order": ALL_ORDERS},
        {"strategy": ("replay", "naive"), "seeds": (0, 1, 2)},
        {"order": ("cls",), "epochs": (1,)},
        {"order": ALL_ORDERS},
        {"order": ALL_ORDERS, "epochs": (1,)},
        {"order": ALL_ORDERS, "epochs": (1, 2, 3)},
        {"plugin": ("own:Plugin",), "set": ("Plugin.depth=2",)},
        {"order": ("cls", "seg"), "epochs": (1, 2)},
        {"backbone_weights": "imagenet"},
        {"backbone_weights": "none", "data": Path()},
        {"backbone_weights": __file__},
        {"model": "own:Network"},
        {"metric": ("own:Metric",), "logger": ("tensorboard", "wandb", "own:Logger")},
        {"holdout": 0.2, "early_stopping": 3},
        {"start_from": Path(__file__), "keep_stages": True},
        {"device": "cuda:3"},
        {"backbone": "timm:resnet18"},
        {"image_size": 32, "batch_size": 1, "replay_size": 1, "replay_batch": 1, "eval_every": 0, "epochs": (1,)},
    ],
)
def test_what_is_possible_passes(values):
    require_sound(Config(**values))
    for config in Config(**values).in_each_order():
        require_sound(config.resolved())


WRONG = {
    "order": ({"order": ("seg", "depth")}, "unknown experience 'depth', expected some of seg, det, cls"),
    "all and an experience": ({"order": ("all", "seg")}, "unknown experience 'all', expected some of seg, det, cls"),
    "order of another stream": (
        {"stream": "split6", "order": ("seg-1", "seg")},
        "unknown experience 'seg', expected some of seg-1, det-1, cls-1, seg-2, det-2, cls-2",
    ),
    "all of six": (
        {"stream": "split6", "order": ALL_ORDERS},
        "--order all expects at most 4 experiences, but split6 has 6; name one",
    ),
    "too few epochs of six": (
        {"stream": "split6", "epochs": (1, 2, 3)},
        "--epochs expects one number or one for each of 6 stages, got 3",
    ),
    "resume": ({"resume": True}, "--resume expects the folder of the interrupted run as --output, got none"),
    "too few epochs of all": (
        {"order": ALL_ORDERS, "epochs": (1, 2)},
        "--epochs expects one number or one for each of 3 stages, got 2",
    ),
    "twice an experience": ({"order": ("seg", "det", "seg")}, "--order names seg more than once"),
    "twice a strategy": ({"strategy": ("naive", "naive")}, "--strategy names naive more than once"),
    "twice a seed": ({"seeds": (5, 3, 5, 3)}, "--seeds names 3 and 5 more than once"),
    "too few epochs": ({"epochs": (1, 2)}, "--epochs expects one number or one for each of 3 stages, got 2"),
    "no epoch": ({"epochs": (1, 0, 1)}, "--epochs expects at least 1, got 0"),
    "batch_size": ({"batch_size": 0}, "--batch-size expects at least 1, got 0"),
    "replay_size": ({"replay_size": -3}, "--replay-size expects at least 1, got -3"),
    "replay_batch": ({"replay_batch": 0}, "--replay-batch expects at least 1, got 0"),
    "memory": ({"memory": -0.5}, "--memory expects at least 0, got -0.5"),
    "workers": ({"workers": -1}, "--workers expects at least 0, got -1"),
    "eval_every": ({"eval_every": -1}, "--eval-every expects at least 0, got -1"),
    "early_stopping": ({"holdout": 0.5, "early_stopping": -1}, "--early-stopping expects at least 0, got -1"),
    "nothing to stop by": ({"early_stopping": 2}, "--early-stopping expects a --holdout to measure on, got none"),
    "no holdout": ({"holdout": 0.0}, "--holdout expects a share between 0 and 1, got 0"),
    "all held out": ({"holdout": 1.0}, "--holdout expects a share between 0 and 1, got 1"),
    "joint stopped": (
        {"strategy": ("joint",), "holdout": 0.5, "early_stopping": 2},
        "--early-stopping goes by the one experience of a stage, but joint learns all at once; leave it out",
    ),
    "start_from": (
        {"start_from": Path("no.safetensors")},
        "--start-from expects the model.safetensors of a run, found no file at no.safetensors",
    ),
    "model and weights": (
        {"model": "own:Network", "backbone_weights": "imagenet"},
        "--model brings a network of its own: --backbone and --backbone-weights mean nothing with it",
    ),
    "model": ({"model": "Network"}, "--model expects module:attribute, got 'Network'"),
    "plugin": ({"plugin": ("Plugin",)}, "--plugin expects module:attribute, got 'Plugin'"),
    "metric": ({"metric": ("Metric",)}, "--metric expects module:attribute, got 'Metric'"),
    "logger": ({"logger": ("csv",)}, "--logger expects tensorboard, wandb or module:attribute, got 'csv'"),
    "twice a metric": ({"metric": ("a:B", "a:B")}, "--metric names a:B more than once"),
    "seeds": ({"seeds": (0, -1)}, "--seeds expects at least 0, got -1"),
    "odd size": ({"image_size": 100}, "--image-size expects a multiple of 32, got 100"),
    "no size": ({"image_size": 0}, "--image-size expects at least 32, got 0"),
    "negative size": ({"image_size": -32}, "--image-size expects at least 32, got -32"),
    "data": ({"data": Path("nowhere")}, "--data expects a folder, found none at nowhere"),
    "backbone": (
        {"backbone": "vgg"},
        "unknown backbone 'vgg': expected one of mobilenet_v3_small, mobilenet_v3_large, efficientnet_b0, or timm:NAME "
        "for one of timm's",
    ),
    "device": ({"device": "tpu"}, "--device expects auto, cpu, cuda, cuda:N or mps, got 'tpu'"),
    "precision": ({"precision": "fp16"}, "--precision expects float32 or bf16, got fp16"),
    "precision of one's own": (
        {"precision": "bf16", "model": "own:Network"},
        "--model brings a network of its own, which says itself what it computes with: leave out --precision",
    ),
    "backbone_weights": (
        {"backbone_weights": "no.pth"},
        "--backbone-weights expects imagenet, none or an existing file, found no file at no.pth",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_one_wrong_value_is_the_only_finding(case):
    values, message = WRONG[case]
    assert finding(**values) == message


TOGETHER = {
    "strategy": (
        {"strategy": ("replay+mir",)},
        "several processes are not known to learn what one does with mir: torchrun expects some of naive",
    ),
    "a strategy of one's own": ({"strategy": ("own:Strategy",)}, "what one does with own:Strategy: torchrun expects"),
    "plugin": ({"plugin": ("own:Plugin",)}, "what one does with own:Plugin: torchrun expects"),
    "model": ({"model": "own:Network"}, "what one does with own:Network: torchrun expects"),
    "comparison": ({"seeds": (0, 1)}, "torchrun with several processes expects a single run, got a comparison"),
    "device": ({"device": "cuda:1"}, "torchrun expects --device auto, cpu or cuda, as it numbers the GPUs itself"),
}


@pytest.mark.parametrize("case", TOGETHER)
def test_what_several_processes_cannot_do_together_is_refused_by_name(monkeypatch, case):
    values, message = TOGETHER[case]
    require_sound(Config(**values))
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert message in finding(**values)


def test_several_processes_may_do_a_single_run(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    require_sound(Config(strategy=("replay+ewc",), seeds=(3,)))


def test_what_is_wrong_with_the_strategies_comes_first():
    assert finding("unknown strategy 'a'", "unknown strategy 'b'", batch_size=0) == (
        "unknown strategy 'a'; unknown strategy 'b'; --batch-size expects at least 1, got 0"
    )


def test_data_must_not_be_a_file(tmp_path):
    file = tmp_path / "file"
    file.touch()
    assert finding(data=file) == f"--data expects a folder, found none at {file}"


def test_data_are_not_for_a_stream_that_says_where_its_images_are(file, tmp_path):
    stream = file()
    message = f"--data is for the streams that have a name, but {stream} says itself where its images are"
    for data in (tmp_path, Path("nowhere")):
        assert finding(stream=stream, data=data) == message


@pytest.mark.parametrize(
    ("text", "fragments"),
    [
        ("experiences: []", ("own.yaml:1: ", "expected at least one experience")),
        (
            "experiences:\n  - {name: a, kind: wishing, format: drawn}\n  - {name: b, kin: detection}",
            ("own.yaml:2: ", "wishing", "own.yaml:3: ", "kin"),
        ),
    ],
)
def test_a_stream_that_is_described_wrongly_is_refused_with_file_and_line(tmp_path, text, fragments):
    path = tmp_path / "own.yaml"
    path.write_text(text)
    with pytest.raises(UsageError) as caught:
        require_sound(Config(stream=str(path)))
    assert all(fragment in str(caught.value) for fragment in fragments), str(caught.value)


def test_a_stream_that_is_not_there_is_refused_with_those_that_are():
    message = finding(stream="split7")
    assert "unknown stream 'split7'" in message
    assert "split6" in message
    assert "expected a file that describes a stream" in finding(stream="nowhere.yaml")


def test_all_orders_are_for_four_experiences_at_most(file):
    four = [f"{{name: {name}, kind: detection, format: drawn}}" for name in "abcd"]
    config = Config(stream=file(*four), order=ALL_ORDERS)
    require_sound(config)
    assert len(config.in_each_order()) == 24
    assert MOST_PERMUTED == 4
    five = [*four, "{name: e, kind: detection, format: drawn}"]
    assert "expects at most 4 experiences" in finding(stream=file(*five, name="five.yaml"), order=ALL_ORDERS)


def test_all_wrong_values_are_found_at_once():
    cases = (
        "twice a strategy",
        "twice an experience",
        "twice a seed",
        "no epoch",
        "batch_size",
        "replay_size",
        "replay_batch",
    )
    cases += ("eval_every", "odd size", "data", "backbone", "device", "backbone_weights")
    values = {name: value for case in cases for name, value in WRONG[case][0].items()}
    assert sorted(finding(**values).split("; ")) == sorted(WRONG[case][1] for case in cases)


def test_every_wrong_name_is_found():
    message = finding(order=("x", "seg", "y"))
    assert all(repr(name) in message for name in "xy")
