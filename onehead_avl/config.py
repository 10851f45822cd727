"""The configuration of the benchmark, and the command line made from it. Importing it is cheap: no torch."""

import argparse
from collections.abc import Sequence
from dataclasses import MISSING, Field, asdict, dataclass, field, fields, replace
from itertools import permutations
from pathlib import Path
from typing import Any

from onehead_avl.errors import UsageError
from onehead_avl.tasks import Task

ALL_ORDERS = ("all",)
"""The value of ``--order`` that stands for the six permutations."""

BACKBONES = ("mobilenet_v3_small", "mobilenet_v3_large", "efficientnet_b0")


@dataclass(frozen=True)
class Defaults:
    """What depends on the data: drawn scenes are smaller and learned from scratch, in more but lighter steps.

    Attributes:
        backbone_weights: Start of the backbone.
        epochs: Epochs of segmentation, detection and classification.
        image_size: Side of the square the network is fed, in pixels.
        batch_size: Images of the current task a step.
        replay_batch: Segmentation samples replayed a step.
    """

    backbone_weights: str
    epochs: tuple[int, int, int]
    image_size: int
    batch_size: int
    replay_batch: int


REAL = Defaults("imagenet", epochs=(30, 40, 20), image_size=320, batch_size=16, replay_batch=8)
EMBEDDED = Defaults("none", epochs=(24, 20, 14), image_size=128, batch_size=8, replay_batch=4)

_LEAST = {
    "seeds": 0,
    "epochs": 1,
    "image_size": 32,
    "batch_size": 1,
    "replay_size": 1,
    "replay_batch": 1,
    "eval_every": 0,
    "workers": 0,
    "checkpoint_every": 1,
}
"""The smallest value of each number."""


def _option(default: Any, text: str, **argument: Any) -> Any:
    """A field that is also an option of the command line; ``argument`` goes to argparse."""
    return field(default=default, metadata={"help": text, **argument})


@dataclass(frozen=True)
class Config:
    """One invocation of the benchmark; every field is the command-line option of the same name.

    What is ``None`` depends on the data and is settled by :meth:`resolved`.
    """

    data: Path | None = _option(
        None, "folder with the three data sets; without it the embedded data set is used", type=Path, metavar="DIR"
    )
    backbone: str = _option("mobilenet_v3_small", "backbone, a torchvision model", choices=BACKBONES)
    backbone_weights: str | None = _option(
        None,
        "imagenet (downloads torchvision's weights), none (random start) or a .safetensors/.pth file; "
        "default: imagenet with --data, none without",
        metavar="imagenet|none|FILE",
    )
    strategy: tuple[str, ...] = _option(
        ("replay",),
        "strategies to run: names, names joined by + such as replay+lwf, or module:Class for your own; "
        "an unknown name lists those that there are",
        nargs="+",
        metavar="NAME",
    )
    plugin: tuple[str, ...] = _option(
        (),
        "Avalanche plugins that every strategy is given, as module:Class",
        nargs="+",
        action="extend",
        metavar="PLUGIN",
    )
    set: tuple[str, ...] = _option(
        (), "hyper-parameters, such as ewc.lambda=100", nargs="+", action="extend", metavar="NAME.KEY=VALUE"
    )
    seeds: tuple[int, ...] = _option(
        (0,), "random seeds; each strategy runs with each", nargs="+", type=int, metavar="N"
    )
    order: tuple[str, ...] = _option(
        ("seg", "det", "cls"),
        "tasks to learn, in this order; one alone is a single-task baseline; all compares the six orders",
        nargs="+",
        metavar="TASK",
    )
    epochs: tuple[int, ...] | None = _option(
        None,
        "epochs of each stage, or one number for all; "
        f"default: {' '.join(map(str, REAL.epochs))} for seg det cls with --data, "
        f"{' '.join(map(str, EMBEDDED.epochs))} without",
        nargs="+",
        type=int,
        metavar="N",
    )
    image_size: int | None = _option(
        None,
        f"side of the square the network is fed, a multiple of 32; default: {REAL.image_size} with --data, "
        f"{EMBEDDED.image_size} without",
        type=int,
        metavar="N",
    )
    batch_size: int | None = _option(
        None,
        f"images of the current task a step; default: {REAL.batch_size} with --data, {EMBEDDED.batch_size} without",
        type=int,
        metavar="N",
    )
    replay_size: int = _option(200, "segmentation samples that the memory keeps", type=int, metavar="N")
    replay_batch: int | None = _option(
        None,
        "segmentation samples replayed a step, of which the challenge allows 10; "
        f"default: {REAL.replay_batch} with --data, {EMBEDDED.replay_batch} without",
        type=int,
        metavar="N",
    )
    eval_every: int = _option(
        0, "also evaluate every so many epochs; 0: only after each stage", type=int, metavar="EPOCHS"
    )
    workers: int = _option(
        0,
        "processes that load pictures beside the training; results are the same with any number",
        type=int,
        metavar="N",
    )
    checkpoint_every: int = _option(
        100, "iterations between checkpoints, beside those of each epoch and stage", type=int, metavar="N"
    )
    resume: bool = _option(
        False, "continue the run in --output from its last checkpoint, as if never interrupted", action="store_true"
    )
    deterministic: bool = _option(
        False, "refuse operations that give other results each time, as some do on GPUs", action="store_true"
    )
    device: str = _option("auto", "auto, cpu or cuda", choices=("auto", "cpu", "cuda"))
    output: Path | None = _option(
        None, "folder to write; default: runs/ and the date and time", type=Path, metavar="DIR"
    )

    @classmethod
    def from_arguments(cls, arguments: Sequence[str] | None = None) -> "Config":
        """Parse a command line; argparse leaves with status 2 on what it does not know."""
        parser = argparse.ArgumentParser(
            prog="python -m onehead_avl.benchmark",
            description="Learn segmentation, detection and classification one after the other with one head, and "
            "report what was learned and what was forgotten.",
        )
        for each in fields(cls):
            parser.add_argument(f"--{each.name.replace('_', '-')}", **_argument(each))
        values = vars(parser.parse_args(arguments))
        return cls(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})

    @property
    def is_comparison(self) -> bool:
        """Whether it asks for more than one run."""
        return len(self.strategy) * len(self.seeds) > 1 or self.order == ALL_ORDERS

    def in_each_order(self) -> list["Config"]:
        """This configuration for each order of the tasks that it asks for: its own, or with ``all`` the six of them.

        With ``all``, epochs are those of segmentation, detection and classification, wherever they stand.
        """
        if self.order != ALL_ORDERS:
            return [self]
        keys = [task.key for task in Task]
        of_each = self.epochs and dict(zip(keys, self.epochs * (3 if len(self.epochs) == 1 else 1), strict=True))
        return [
            replace(self, order=order, epochs=of_each and tuple(of_each[key] for key in order))
            for order in permutations(keys)
        ]

    def resolved(self) -> "Config":
        """Settle what depends on the data, as :class:`Defaults` says."""
        tasks = [Task.from_key(key) for key in self.order]
        usual = EMBEDDED if self.data is None else REAL
        epochs = self.epochs or tuple(usual.epochs[task] for task in tasks)
        return replace(
            self,
            epochs=epochs * len(tasks) if len(epochs) == 1 else epochs,
            backbone_weights=self.backbone_weights or usual.backbone_weights,
            image_size=self.image_size or usual.image_size,
            batch_size=self.batch_size or usual.batch_size,
            replay_batch=self.replay_batch or usual.replay_batch,
        )

    def check(self, found: Sequence[str] = ()) -> None:
        """Check every value at once, before anything is read or trained.

        Args:
            found: What is wrong with the strategies and their options.

        Raises:
            UsageError: Something is wrong; the message names each finding.
        """
        wrong = [
            *found,
            *([] if self.order == ALL_ORDERS else _unknown("task", self.order, [task.key for task in Task])),
            *_repeats("--order", self.order),
            *_repeats("--strategy", self.strategy),
            *_repeats("--seeds", self.seeds),
        ]
        for name, least in _LEAST.items():
            value = getattr(self, name)
            for number in value if isinstance(value, tuple) else (value,):
                if number is not None and number < least:
                    wrong.append(f"--{name.replace('_', '-')} expects at least {least}, got {number}")
        stages = len(Task) if self.order == ALL_ORDERS else len(self.order)
        if self.epochs is not None and len(self.epochs) not in (1, stages):
            wrong.append(f"--epochs expects one number or one for each of {stages} stages, got {len(self.epochs)}")
        if self.image_size is not None and self.image_size % 32:
            wrong.append(f"--image-size expects a multiple of 32, got {self.image_size}")
        if self.data is not None and not self.data.is_dir():
            wrong.append(f"--data expects a folder, found none at {self.data}")
        weights = self.backbone_weights
        if weights not in (None, "imagenet", "none") and not Path(weights).is_file():
            wrong.append(f"--backbone-weights expects imagenet, none or an existing file, found no file at {weights}")
        if self.resume and self.output is None:
            wrong.append("--resume expects the folder of the interrupted run as --output, got none")
        if wrong:
            raise UsageError("; ".join(wrong))

    def as_dict(self) -> dict[str, Any]:
        """The configuration as JSON can hold it."""
        return {name: str(value) if isinstance(value, Path) else value for name, value in asdict(self).items()}


def _argument(each: Field) -> dict[str, Any]:
    """What argparse needs to know of a field."""
    assert each.default is not MISSING
    argument = dict(each.metadata)
    if each.default not in (None, (), False) and "default" not in argument["help"]:
        shown = " ".join(map(str, each.default)) if isinstance(each.default, tuple) else each.default
        argument["help"] += f" (default: {shown})"
    extends = argument.get("action") == "extend"  # which changes its default in place
    return {"default": [*each.default] if extends else each.default, **argument}


def _unknown(kind: str, names: Sequence[str], known: Sequence[str]) -> list[str]:
    return [f"unknown {kind} {name!r}, expected some of {', '.join(known)}" for name in names if name not in known]


def _repeats(option: str, values: Sequence) -> list[str]:
    repeated = sorted({str(value) for value in values if list(values).count(value) > 1})
    return [f"{option} names {' and '.join(repeated)} more than once"] if repeated else []
