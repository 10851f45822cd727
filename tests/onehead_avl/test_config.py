import json
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from onehead_avl.config import ALL_ORDERS, EMBEDDED, REAL, Config
from onehead_avl.errors import UsageError

OPTIONS = {
    "data": (["--data", "pictures"], Path("pictures")),
    "backbone": (["--backbone", "efficientnet_b0"], "efficientnet_b0"),
    "backbone_weights": (["--backbone-weights", "start.pth"], "start.pth"),
    "strategy": (["--strategy", "naive", "replay"], ("naive", "replay")),
    "plugin": (["--plugin", "own:First", "own:Second"], ("own:First", "own:Second")),
    "set": (["--set", "ewc.lambda=100", "First.depth=2"], ("ewc.lambda=100", "First.depth=2")),
    "seeds": (["--seeds", "3", "1", "2"], (3, 1, 2)),
    "order": (["--order", "cls", "seg"], ("cls", "seg")),
    "epochs": (["--epochs", "5", "6", "7"], (5, 6, 7)),
    "image_size": (["--image-size", "96"], 96),
    "batch_size": (["--batch-size", "9"], 9),
    "replay_size": (["--replay-size", "50"], 50),
    "replay_batch": (["--replay-batch", "3"], 3),
    "eval_every": (["--eval-every", "4"], 4),
    "workers": (["--workers", "2"], 2),
    "checkpoint_every": (["--checkpoint-every", "5"], 5),
    "resume": (["--resume"], True),
    "deterministic": (["--deterministic"], True),
    "device": (["--device", "cpu"], "cpu"),
    "output": (["--output", "there"], Path("there")),
}

DEFAULTS = {
    "data": None,
    "backbone": "mobilenet_v3_small",
    "backbone_weights": None,
    "strategy": ("replay",),
    "plugin": (),
    "set": (),
    "seeds": (0,),
    "order": ("seg", "det", "cls"),
    "epochs": None,
    "image_size": None,
    "batch_size": None,
    "replay_size": 200,
    "replay_batch": None,
    "eval_every": 0,
    "workers": 0,
    "checkpoint_every": 100,
    "resume": False,
    "deterministic": False,
    "device": "auto",
    "output": None,
}


def finding(*found, **values):
    """What is wrong with a configuration, as one sentence."""
    with pytest.raises(UsageError) as caught:
        Config(**values).check(found)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_every_field_is_an_option():
    assert list(OPTIONS) == [field.name for field in fields(Config)]


@pytest.mark.parametrize("name", OPTIONS)
def test_an_option_sets_its_field_and_no_other(name):
    arguments, value = OPTIONS[name]
    assert vars(Config.from_arguments(arguments)) == DEFAULTS | {name: value}


def test_all_options_together():
    arguments = [argument for part, _ in OPTIONS.values() for argument in part]
    assert vars(Config.from_arguments(arguments)) == {name: value for name, (_, value) in OPTIONS.items()}


def test_without_arguments_the_defaults_of_command_line_and_python_agree():
    assert Config.from_arguments([]) == Config(**DEFAULTS) == Config()


@pytest.mark.parametrize(
    "arguments",
    [
        ["--unknown"],
        ["--seeds", "one"],
        ["--epochs"],
        ["--strategy"],
        ["--plugin"],
        ["--set"],
        ["--image-size", "3.5"],
        ["--backbone", "vgg"],
        ["--device", "tpu"],
        ["stray"],
    ],
)
def test_what_argparse_cannot_read_ends_with_status_2(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        Config.from_arguments(arguments)
    assert caught.value.code == 2
    assert "error: " in capsys.readouterr().err


def test_help_names_every_option_and_its_default(capsys):
    with pytest.raises(SystemExit) as caught:
        Config.from_arguments(["--help"])
    assert caught.value.code == 0
    shown = " ".join(capsys.readouterr().out.split())
    for (option, *_), _ in OPTIONS.values():
        assert option in shown
    for default in ("replay", "0", "seg det cls", "200", "auto", "mobilenet_v3_small"):
        assert f"(default: {default})" in shown
    assert f"default: {' '.join(map(str, REAL.epochs))} for seg det cls with --data" in shown
    for name in ("image_size", "batch_size", "replay_batch"):
        assert f"default: {getattr(REAL, name)} with --data, {getattr(EMBEDDED, name)} without" in shown


@pytest.mark.parametrize(("data", "usual"), [(None, EMBEDDED), (Path("pictures"), REAL)])
def test_what_is_left_open_depends_on_the_data(data, usual):
    config = Config(data=data).resolved()
    assert vars(config) == vars(Config(data=data)) | vars(usual)
    assert None not in [value for name, value in vars(config).items() if name not in ("data", "output")]


def test_drawn_scenes_need_no_download_and_photographs_start_from_imagenet():
    assert (EMBEDDED.backbone_weights, REAL.backbone_weights) == ("none", "imagenet")


@pytest.mark.parametrize("usual", [EMBEDDED, REAL])
def test_the_defaults_are_possible_and_within_the_challenge(usual):
    Config(**vars(usual)).check()
    assert usual.replay_batch <= 10


def test_usual_epochs_follow_the_task_and_not_the_position(tmp_path):
    seg, det, cls = REAL.epochs
    assert Config(data=tmp_path, order=("cls", "seg", "det")).resolved().epochs == (cls, seg, det)
    assert Config(data=tmp_path, order=("cls", "det")).resolved().epochs == (cls, det)
    assert Config(order=("cls",)).resolved().epochs == (EMBEDDED.epochs[2],)


def test_one_number_of_epochs_is_for_every_stage():
    assert Config(epochs=(7,)).resolved().epochs == (7, 7, 7)
    assert Config(epochs=(7,), order=("det",)).resolved().epochs == (7,)
    assert Config(epochs=(1, 2, 3)).resolved().epochs == (1, 2, 3)


@pytest.mark.parametrize("data", [None, Path("pictures")])
def test_resolving_keeps_what_was_chosen(data):
    config = Config(
        data=data,
        epochs=(1, 2, 3),
        image_size=64,
        batch_size=3,
        replay_batch=2,
        backbone_weights="own.pth",
        seeds=(4, 5),
    )
    assert config.resolved() == config
    assert config.resolved().resolved() == config


def test_resolving_an_unknown_task_is_a_usage_error():
    with pytest.raises(UsageError, match="'depth'"):
        Config(order=("depth",)).resolved()


@pytest.mark.parametrize(
    "values",
    [
        {},
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
        {"image_size": 32, "batch_size": 1, "replay_size": 1, "replay_batch": 1, "eval_every": 0, "epochs": (1,)},
    ],
)
def test_what_is_possible_passes(values):
    Config(**values).check()
    for config in Config(**values).in_each_order():
        config.resolved().check()


WRONG = {
    "order": ({"order": ("seg", "depth")}, "unknown task 'depth', expected some of seg, det, cls"),
    "all and a task": ({"order": ("all", "seg")}, "unknown task 'all', expected some of seg, det, cls"),
    "too few epochs of all": (
        {"order": ALL_ORDERS, "epochs": (1, 2)},
        "--epochs expects one number or one for each of 3 stages, got 2",
    ),
    "twice a task": ({"order": ("seg", "det", "seg")}, "--order names seg more than once"),
    "twice a strategy": ({"strategy": ("naive", "naive")}, "--strategy names naive more than once"),
    "twice a seed": ({"seeds": (5, 3, 5, 3)}, "--seeds names 3 and 5 more than once"),
    "too few epochs": ({"epochs": (1, 2)}, "--epochs expects one number or one for each of 3 stages, got 2"),
    "no epoch": ({"epochs": (1, 0, 1)}, "--epochs expects at least 1, got 0"),
    "batch_size": ({"batch_size": 0}, "--batch-size expects at least 1, got 0"),
    "replay_size": ({"replay_size": -3}, "--replay-size expects at least 1, got -3"),
    "replay_batch": ({"replay_batch": 0}, "--replay-batch expects at least 1, got 0"),
    "eval_every": ({"eval_every": -1}, "--eval-every expects at least 0, got -1"),
    "seeds": ({"seeds": (0, -1)}, "--seeds expects at least 0, got -1"),
    "odd size": ({"image_size": 100}, "--image-size expects a multiple of 32, got 100"),
    "no size": ({"image_size": 0}, "--image-size expects at least 32, got 0"),
    "negative size": ({"image_size": -32}, "--image-size expects at least 32, got -32"),
    "data": ({"data": Path("nowhere")}, "--data expects a folder, found none at nowhere"),
    "backbone_weights": (
        {"backbone_weights": "no.pth"},
        "--backbone-weights expects imagenet, none or an existing file, found no file at no.pth",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_one_wrong_value_is_the_only_finding(case):
    values, message = WRONG[case]
    assert finding(**values) == message


def test_what_is_wrong_with_the_strategies_comes_first():
    assert finding("unknown strategy 'a'", "unknown strategy 'b'", batch_size=0) == (
        "unknown strategy 'a'; unknown strategy 'b'; --batch-size expects at least 1, got 0"
    )


def test_data_must_not_be_a_file(tmp_path):
    file = tmp_path / "file"
    file.touch()
    assert finding(data=file) == f"--data expects a folder, found none at {file}"


def test_all_wrong_values_are_found_at_once():
    cases = (
        "twice a strategy",
        "twice a task",
        "twice a seed",
        "no epoch",
        "batch_size",
        "replay_size",
        "replay_batch",
    )
    cases += ("eval_every", "odd size", "data", "backbone_weights")
    values = {name: value for case in cases for name, value in WRONG[case][0].items()}
    assert sorted(finding(**values).split("; ")) == sorted(WRONG[case][1] for case in cases)


def test_every_wrong_name_is_found():
    message = finding(order=("x", "seg", "y"))
    assert all(repr(name) in message for name in "xy")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, False),
        ({"order": ("cls", "seg")}, False),
        ({"strategy": ("naive", "replay")}, True),
        ({"seeds": (0, 1)}, True),
        ({"order": ALL_ORDERS}, True),
    ],
)
def test_more_than_one_run_is_a_comparison(values, expected):
    assert Config(**values).is_comparison is expected


def test_an_order_of_its_own_is_the_only_one():
    config = Config(order=("cls", "seg"), epochs=(1, 2))
    assert config.in_each_order() == [config]


@pytest.mark.parametrize("epochs", [None, (4,), (1, 2, 3)])
def test_all_orders_are_six_with_the_epochs_of_each_task_wherever_it_stands(epochs):
    configs = Config(order=ALL_ORDERS, epochs=epochs, seeds=(3,)).in_each_order()
    assert len({config.order for config in configs}) == 6
    assert configs[0].order == ("seg", "det", "cls")
    of = dict(zip(("seg", "det", "cls"), {None: EMBEDDED.epochs, (4,): (4, 4, 4)}.get(epochs, epochs), strict=True))
    for config in configs:
        assert sorted(config.order) == ["cls", "det", "seg"]
        assert config.seeds == (3,)
        assert config.resolved().epochs == tuple(of[key] for key in config.order)


@pytest.mark.parametrize(
    "config", [Config(), Config(data=Path("pictures"), output=Path("there"), epochs=(1, 2, 3)).resolved()]
)
def test_as_dict_is_json(config):
    found = json.loads(json.dumps(config.as_dict(), allow_nan=False))
    assert list(found) == [field.name for field in fields(Config)]
    for name, value in found.items():
        expected = getattr(config, name)
        if isinstance(expected, Path):
            expected = str(expected)
        assert value == (list(expected) if isinstance(expected, tuple) else expected)


def test_importing_the_command_line_imports_nothing_slow():
    code = (
        "import sys, onehead_avl.config, onehead_avl.benchmark, onehead_avl.evaluate, strategies.named;"
        "print(sorted({name.split('.')[0] for name in sys.modules} & {'torch', 'avalanche', 'torchvision', 'numpy'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=_checkout())
    assert done.stdout.strip() == "[]"


def _checkout() -> Path:
    return Path(__file__).resolve().parents[2]
