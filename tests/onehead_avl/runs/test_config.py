import json
import subprocess
import sys
from dataclasses import asdict, fields, replace
from itertools import permutations
from pathlib import Path

import pytest

from onehead_avl.errors import UsageError
from onehead_avl.kinds import KINDS
from onehead_avl.model.backbone_names import BACKBONES
from onehead_avl.runs.config import (
    ALL_ORDERS,
    DRAWN,
    REAL,
    Affects,
    Config,
    changed_options,
    options_that,
)
from onehead_avl.runs.soundness import require_sound

CHALLENGE = ("seg", "det", "cls")
SPLIT6 = ("seg-1", "det-1", "cls-1", "seg-2", "det-2", "cls-2")

OPTIONS = {
    "stream": (["--stream", "split6"], "split6"),
    "data": (["--data", "pictures"], Path("pictures")),
    "backbone": (["--backbone", "timm:resnet18"], "timm:resnet18"),
    "backbone_weights": (["--backbone-weights", "start.pth"], "start.pth"),
    "model": (["--model", "own:Network"], "own:Network"),
    "start_from": (["--start-from", "model.safetensors"], Path("model.safetensors")),
    "strategy": (["--strategy", "naive", "replay"], ("naive", "replay")),
    "plugin": (["--plugin", "own:First", "own:Second"], ("own:First", "own:Second")),
    "metric": (["--metric", "own:Metric"], ("own:Metric",)),
    "logger": (["--logger", "tensorboard", "own:Logger"], ("tensorboard", "own:Logger")),
    "set": (["--set", "ewc.lambda=100", "First.depth=2"], ("ewc.lambda=100", "First.depth=2")),
    "seeds": (["--seeds", "3", "1", "2"], (3, 1, 2)),
    "order": (["--order", "cls", "seg"], ("cls", "seg")),
    "epochs": (["--epochs", "5", "6", "7"], (5, 6, 7)),
    "image_size": (["--image-size", "96"], 96),
    "batch_size": (["--batch-size", "9"], 9),
    "replay_size": (["--replay-size", "50"], 50),
    "replay_batch": (["--replay-batch", "3"], 3),
    "holdout": (["--holdout", "0.2"], 0.2),
    "early_stopping": (["--early-stopping", "3"], 3),
    "eval_every": (["--eval-every", "4"], 4),
    "memory": (["--memory", "2.5"], 2.5),
    "workers": (["--workers", "2"], 2),
    "jobs": (["--jobs", "3"], 3),
    "scheduler": (["--scheduler", "tcp://host:8786"], "tcp://host:8786"),
    "threads": (["--threads", "4"], 4),
    "checkpoint_every": (["--checkpoint-every", "5"], 5),
    "keep_stages": (["--keep-stages"], True),
    "resume": (["--resume"], True),
    "add": (["--add", "one", "two"], (Path("one"), Path("two"))),
    "check": (["--check"], True),
    "precision": (["--precision", "bf16"], "bf16"),
    "deterministic": (["--deterministic"], True),
    "device": (["--device", "cuda:1"], "cuda:1"),
    "output": (["--output", "there"], Path("there")),
}

DEFAULTS = {
    "stream": "challenge",
    "data": None,
    "backbone": "mobilenet_v3_small",
    "backbone_weights": None,
    "model": None,
    "start_from": None,
    "strategy": ("replay",),
    "plugin": (),
    "metric": (),
    "logger": (),
    "set": (),
    "seeds": (0,),
    "order": None,
    "epochs": None,
    "image_size": None,
    "batch_size": 16,
    "replay_size": 200,
    "replay_batch": 8,
    "holdout": None,
    "early_stopping": 0,
    "eval_every": 0,
    "memory": None,
    "workers": None,
    "jobs": None,
    "scheduler": None,
    "threads": None,
    "checkpoint_every": 100,
    "keep_stages": False,
    "resume": False,
    "add": (),
    "check": False,
    "precision": "float32",
    "deterministic": False,
    "device": "auto",
    "output": None,
}


UNSET = (
    "data",
    "model",
    "start_from",
    "holdout",
    "memory",
    "workers",
    "jobs",
    "scheduler",
    "threads",
    "output",
)  # what a run may well be without


def chosen_by(usual):
    """The values of the options that are left open, but for the epochs."""
    return {name: value for name, value in vars(usual).items() if name not in ("epochs", "other_epochs")}


def test_every_field_is_an_option():
    assert list(OPTIONS) == [field.name for field in fields(Config)]


@pytest.mark.parametrize("name", OPTIONS)
def test_an_option_sets_its_field_and_no_other(name):
    arguments, value = OPTIONS[name]
    assert asdict(Config.from_arguments(arguments)) == DEFAULTS | {name: value}


def test_all_options_together():
    arguments = [argument for part, _ in OPTIONS.values() for argument in part]
    assert asdict(Config.from_arguments(arguments)) == {name: value for name, (_, value) in OPTIONS.items()}


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
    for default in ("challenge", "replay", "0", "16", "8", "200", "auto", "mobilenet_v3_small"):
        assert f"(default: {default})" in shown
    assert "default: as the stream defines them" in shown
    epochs = [" ".join(map(str, usual.epochs.values())) for usual in (REAL, DRAWN)]
    assert (
        f"{', '.join(KINDS)}".replace(", c", " and c") + f": {epochs[0]} for images on disk, {epochs[1]} for " in shown
    )
    assert f"default: {REAL.image_size} for images on disk, {DRAWN.image_size} for drawn ones" in shown
    for stream in ("challenge", "domains", "segmentation-10-10", "split6"):
        assert stream in shown
    for backbone in (*BACKBONES, "timm:NAME"):
        assert backbone in shown
    for device in ("cpu", "cuda:N", "mps"):
        assert device in shown


@pytest.mark.parametrize(("data", "usual"), [(None, DRAWN), (Path("pictures"), REAL)])
def test_what_is_left_open_depends_on_the_data(data, usual):
    config = Config(data=data).resolved()
    settled = {"order": CHALLENGE, "epochs": tuple(usual.epochs.values())} | chosen_by(usual)
    assert asdict(config) == asdict(Config(data=data)) | settled
    assert None not in [value for name, value in asdict(config).items() if name not in UNSET]


def test_a_stream_of_ones_own_is_drawn_or_on_disk_as_it_says(file, tmp_path):
    assert Config(stream=file()).resolved().image_size == DRAWN.image_size
    (tmp_path / "pictures").mkdir()
    on_disk = "{name: far, kind: detection, path: pictures}"
    assert Config(stream=file(on_disk)).resolved().image_size == REAL.image_size
    mixed = file("{name: near, kind: detection, format: drawn}", on_disk)
    assert Config(stream=mixed).resolved().image_size == REAL.image_size


@pytest.mark.parametrize("usual", [DRAWN, REAL])
def test_the_defaults_are_possible_and_within_the_challenge(usual):
    require_sound(Config(epochs=tuple(usual.epochs.values()), **chosen_by(usual)))
    assert Config().replay_batch <= 10


def test_drawn_scenes_need_no_download_and_photographs_start_from_imagenet():
    assert (DRAWN.backbone_weights, REAL.backbone_weights) == ("none", "imagenet")


@pytest.mark.parametrize("usual", [DRAWN, REAL])
def test_every_kind_with_a_name_has_epochs_of_its_own(usual):
    assert list(usual.epochs) == list(KINDS)
    assert [usual.epochs_of(kind) for kind in KINDS] == list(usual.epochs.values())
    assert usual.epochs_of("somebodys.kinds:Depth") == usual.other_epochs


def test_usual_epochs_follow_the_kind_and_not_the_position(tmp_path):
    seg, det, cls = REAL.epochs.values()
    assert Config(data=tmp_path, order=("cls", "seg", "det")).resolved().epochs == (cls, seg, det)
    assert Config(data=tmp_path, order=("cls", "det")).resolved().epochs == (cls, det)
    assert Config(order=("cls",)).resolved().epochs == (DRAWN.epochs["classification"],)
    assert Config(stream="split6", data=tmp_path).resolved().epochs == (seg, det, cls) * 2
    assert Config(stream="split6", data=tmp_path, order=("cls-2", "seg-1")).resolved().epochs == (cls, seg)


def test_a_kind_of_ones_own_has_the_other_epochs(file):
    own = '{name: depth, kind: "examples.depth:Depth", format: "examples.depth:scenes"}'
    assert Config(stream=file(own)).resolved().epochs == (DRAWN.other_epochs,)


def test_without_an_order_it_is_that_of_the_streams_definition(file):
    assert Config().resolved().order == CHALLENGE
    assert Config(stream="split6").resolved().order == SPLIT6
    assert Config(stream=file()).resolved().order == ("near", "far")
    assert Config(order=("cls", "seg")).resolved().order == ("cls", "seg")


def test_one_number_of_epochs_is_for_every_stage():
    assert Config(epochs=(7,)).resolved().epochs == (7, 7, 7)
    assert Config(epochs=(7,), order=("det",)).resolved().epochs == (7,)
    assert Config(epochs=(1, 2, 3)).resolved().epochs == (1, 2, 3)


@pytest.mark.parametrize("data", [None, Path("pictures")])
def test_resolving_keeps_what_was_chosen(data):
    config = Config(
        data=data,
        order=("cls", "seg", "det"),
        epochs=(1, 2, 3),
        image_size=64,
        batch_size=3,
        replay_batch=2,
        backbone_weights="own.pth",
        seeds=(4, 5),
    )
    assert asdict(config.resolved()) == asdict(config)
    assert config.resolved().resolved() == config.resolved()


def test_resolving_an_unknown_experience_is_a_usage_error():
    with pytest.raises(UsageError, match="'depth'"):
        Config(order=("depth",)).resolved()


def test_the_images_of_a_ready_made_stream_are_in_the_data_folder_or_drawn():
    placed = Config(data=Path("pictures"), image_size=64).resolved().placed()
    assert [each.source.path for each in placed.experiences] == [
        Path("pictures").absolute() / name for name in ("mini_voc_seg", "mini_coco_det", "imagenette_160")
    ]
    drawn = Config(image_size=64).resolved().placed()
    assert drawn.is_drawn
    assert {each.source.size for each in drawn.experiences} == {64}


def test_the_canonical_order_takes_the_epochs_along():
    config = Config(epochs=(3, 2, 1)).resolved()
    assert replace(config, order=("cls", "seg", "det"), epochs=(1, 3, 2)).canonical() == config == config.canonical()
    two = replace(config, order=("cls", "det"), epochs=(7, 8)).canonical()
    assert (two.order, two.epochs) == (("det", "cls"), (8, 7))
    six = Config(stream="split6", order=SPLIT6[::-1], epochs=(6, 5, 4, 3, 2, 1)).resolved().canonical()
    assert (six.order, six.epochs) == (SPLIT6, (1, 2, 3, 4, 5, 6))


def test_a_file_that_is_edited_while_its_stream_is_learned_changes_nothing(file):
    path = file()
    config = Config(stream=path, image_size=64)
    require_sound(config)
    Path(path).unlink()
    copies = [config.but(order=ALL_ORDERS).in_each_order()[1].resolved(), config.but(seeds=(1,)).resolved()]
    assert [copy.order for copy in copies] == [("far", "near"), ("near", "far")]
    for copy in [*copies, copies[0].canonical(), copies[1].but(strategy=("naive",))]:
        assert copy.placed().names == ("near", "far")
    assert config.but(stream="split6").resolved().order == SPLIT6  # another stream is read


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
    assert len(configs) == 6
    assert {config.order for config in configs} == set(permutations(CHALLENGE))
    assert configs[0].order == CHALLENGE
    usual = tuple(DRAWN.epochs.values())
    of = dict(zip(CHALLENGE, {None: usual, (4,): (4, 4, 4)}.get(epochs, epochs), strict=True))
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


def test_each_option_has_a_bearing_on_exactly_one_thing():
    groups = [options_that(affects) for affects in Affects]
    assert sorted(name for group in groups for name in group) == sorted(DEFAULTS)
    assert sorted(options_that(*Affects)) == sorted(DEFAULTS)


@pytest.mark.parametrize(
    ("affects", "names"),
    [
        (
            Affects.RESULTS,
            {
                *("backbone", "model", "image_size", "batch_size", "holdout", "early_stopping", "precision"),
                *("deterministic", "device"),
            },
        ),
        (Affects.COURSE, {"order", "epochs"}),
        (Affects.CONTENT, {"stream", "data", "backbone_weights", "start_from"}),
        (Affects.METHODS, {"plugin", "metric", "replay_size", "replay_batch"}),
        (Affects.ENTRIES, {"strategy", "set", "seeds", "add"}),
        (Affects.LOGS, {"logger", "eval_every", "keep_stages"}),
        (
            Affects.NOTHING,
            {"memory", "workers", "jobs", "scheduler", "threads", "checkpoint_every", "resume", "check", "output"},
        ),
    ],
)
def test_what_an_option_has_a_bearing_on(affects, names):
    assert set(options_that(affects)) == names


def test_options_with_other_values_are_named_as_the_command_line_has_them():
    config = Config(data=Path("pictures"), epochs=(1, 2, 3))
    before = json.loads(json.dumps(config.as_dict()))
    changed = replace(config, epochs=(1, 2, 4), replay_size=3, seeds=(1,), output=Path("there"))
    assert changed_options(config, before, ()) == ""
    assert changed_options(changed, before, ()) == "--epochs, --output, --replay-size, --seeds"
    assert changed_options(changed, before, (Affects.NOTHING,)) == "--epochs, --replay-size, --seeds"
    assert changed_options(changed, before, (Affects.NOTHING, Affects.COURSE, Affects.ENTRIES)) == "--replay-size"
    assert changed_options(changed, before, tuple(Affects)) == ""


def test_an_option_that_was_not_written_has_another_value():
    before = json.loads(json.dumps(Config().as_dict()))
    del before["stream"]
    assert changed_options(Config(), before, ()) == "--stream"


def test_importing_the_command_line_imports_nothing_slow():
    code = (
        "import sys, onehead_avl.runs.config, onehead_avl.benchmark, onehead_avl.evaluate, strategies.named;"
        "onehead_avl.benchmark.require_sound(onehead_avl.runs.config.Config(stream='split6'));"
        "print(sorted({name.split('.')[0] for name in sys.modules} & {'torch', 'avalanche', 'torchvision', 'numpy'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=_checkout())
    assert done.stdout.strip() == "[]"


def _checkout() -> Path:
    return Path(__file__).resolve().parents[3]
