"""The configuration of the benchmark, and the command line made from it. Importing it is cheap: no torch."""

import argparse
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from itertools import permutations
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from onehead_avl.errors import UsageError
from onehead_avl.logs.named import LOGGERS
from onehead_avl.model.backbone_names import BACKBONES, TIMM
from onehead_avl.runs.defaults import DRAWN, REAL, Defaults
from onehead_avl.runs.options import Affects, argument_of, option
from onehead_avl.system.called import called
from onehead_avl.system.device_names import DEVICES, PRECISIONS
from scenarios.described import Description
from scenarios.description import READY_MADE, read_description
from strategies.hyperparameters import is_grid

ALL_ORDERS = ("all",)
"""The value of ``--order`` that stands for all permutations."""

MOST_PERMUTED = 4
"""Experiences of which all orders are compared: four have 24, six would have 720."""

MIN_SIZE = 32
"""Side of the smallest square the network takes, and the number of which every side is a multiple."""

Same = TypeVar("Same", bound="Config")


@dataclass(frozen=True)
class Config:
    """One invocation of the benchmark; every field is the command-line option of the same name.

    What is ``None`` depends on the data and is settled by :meth:`resolved`.
    """

    stream: str = option(
        "challenge",
        f"what is learned: {', '.join(READY_MADE)}, or a description FILE.yaml of your own",
        Affects.CONTENT,
        metavar="NAME|FILE",
    )
    data: Path | None = option(
        None,
        "folder with the three data sets for the streams that have a name; without it the embedded data set is used",
        Affects.CONTENT,
        type=Path,
        metavar="DIR",
    )
    backbone: str = option(
        BACKBONES[0],
        f"backbone: {', '.join(BACKBONES)}, or {TIMM}NAME, any network of timm with features at strides 8, 16 and 32 "
        "(its imagenet weights are timm's)",
        metavar="NAME",
    )
    backbone_weights: str | None = option(
        None,
        "imagenet (downloads them, from torchvision or timm), none (random start) or a .safetensors/.pth file; "
        "default: imagenet for images on disk, none for drawn ones",
        Affects.CONTENT,
        metavar="imagenet|none|FILE",
    )
    model: str | None = option(
        None,
        "a network of your own in place of this package's, as module:Class; it is called with the layout of the output",
        Affects.RESULTS,
        metavar="MODULE:CLASS",
    )
    start_from: Path | None = option(
        None,
        "begin with the weights of a finished run, its model.safetensors",
        Affects.CONTENT,
        type=Path,
        metavar="FILE",
    )
    strategy: tuple[str, ...] = option(
        ("replay",),
        "strategies to run: names, names joined by + such as replay+lwf, or module:Class for your own; "
        "an unknown name lists those that there are",
        Affects.ENTRIES,
        nargs="+",
        metavar="NAME",
    )
    plugin: tuple[str, ...] = option(
        (),
        "Avalanche plugins that every strategy is given, as module:Class",
        Affects.METHODS,
        nargs="+",
        action="extend",
        metavar="PLUGIN",
    )
    metric: tuple[str, ...] = option(
        (),
        "Avalanche metrics that are measured beside the benchmark's, as module:Class",
        Affects.METHODS,
        nargs="+",
        action="extend",
        metavar="METRIC",
    )
    logger: tuple[str, ...] = option(
        (),
        f"loggers beside the benchmark's: {', '.join(LOGGERS)}, or Avalanche's and your own as module:Class",
        Affects.LOGS,
        nargs="+",
        action="extend",
        metavar="LOGGER",
    )
    set: tuple[str, ...] = option(
        (),
        "hyper-parameters, such as ewc.lambda=100, or for every strategy optimisation.lr=1e-3; several values, as in "
        "ewc.lambda=1,10,100, are compared",
        Affects.ENTRIES,
        nargs="+",
        action="extend",
        metavar="NAME.KEY=VALUE",
    )
    seeds: tuple[int, ...] = option(
        (0,), "random seeds; each strategy runs with each", Affects.ENTRIES, nargs="+", type=int, metavar="N"
    )
    order: tuple[str, ...] | None = option(
        None,
        "experiences to learn, in this order; one alone is a single-task baseline; all compares all orders of at most "
        f"{MOST_PERMUTED}; default: as the stream defines them",
        Affects.COURSE,
        nargs="+",
        metavar="EXPERIENCE",
    )
    epochs: tuple[int, ...] | None = option(
        None,
        "epochs of each stage, or one number for all; default for segmentation, detection and classification: "
        f"{' '.join(map(str, REAL.epochs.values()))} for images on disk, "
        f"{' '.join(map(str, DRAWN.epochs.values()))} for drawn ones",
        Affects.COURSE,
        nargs="+",
        type=int,
        metavar="N",
    )
    image_size: int | None = option(
        None,
        f"side of the square the network is fed, a multiple of {MIN_SIZE}; "
        f"default: {REAL.image_size} for images on disk, "
        f"{DRAWN.image_size} for drawn ones",
        type=int,
        metavar="N",
    )
    batch_size: int = option(16, "images of the current experience a step", type=int, metavar="N")
    replay_size: int = option(200, "segmentation samples that the memory keeps", Affects.METHODS, type=int, metavar="N")
    replay_batch: int = option(
        8,
        "segmentation samples replayed a step, of which the challenge allows 10",
        Affects.METHODS,
        type=int,
        metavar="N",
    )
    holdout: float | None = option(
        None,
        "share of each experience's training images, drawn by the seed, that is not learned but measured after every "
        "epoch: for tuning, and for --early-stopping",
        type=float,
        metavar="SHARE",
    )
    early_stopping: int = option(
        0,
        "end a stage when the primary metric of its experience on the --holdout has not improved for so many epochs, "
        "and go back to the best of them; 0: never",
        type=int,
        metavar="EPOCHS",
    )
    eval_every: int = option(
        0,
        "also evaluate after every so many epochs of a stage, which changes nothing else; 0: only after each stage",
        Affects.LOGS,
        type=int,
        metavar="EPOCHS",
    )
    memory: float | None = option(
        None,
        "gigabytes of decoded images that are kept in memory, the others being decoded each time; results are the same "
        "with any number; default: an eighth of what is free",
        Affects.NOTHING,
        type=float,
        metavar="GB",
    )
    workers: int | None = option(
        None,
        "processes that load images beside the training; results are the same with any number; default: none on a CPU, "
        "whose cores all compute, and one for each core but one, 8 at most, on a GPU",
        Affects.NOTHING,
        type=int,
        metavar="N",
    )
    jobs: int | None = option(
        None,
        "runs of a comparison at a time, each a process of its own, on a GPU of its own where there are some; needs "
        'pip install -e ".[cluster]"; default: one after the other, in one process',
        Affects.NOTHING,
        type=int,
        metavar="N",
    )
    scheduler: str | None = option(
        None,
        "address of a Dask scheduler, such as tcp://host:8786, whose workers do the runs of a comparison",
        Affects.NOTHING,
        metavar="ADDRESS",
    )
    threads: int | None = option(
        None,
        "threads that a run computes with, on which the last digits of its numbers depend; default: 1, or "
        "OMP_NUM_THREADS",
        Affects.NOTHING,
        type=int,
        metavar="N",
    )
    checkpoint_every: int = option(
        100,
        "iterations between checkpoints, beside those of each epoch and stage",
        Affects.NOTHING,
        type=int,
        metavar="N",
    )
    keep_stages: bool = option(
        False, "also keep the weights after each stage, in stages/", Affects.LOGS, action="store_true"
    )
    resume: bool = option(
        False,
        "continue the run in --output from its last checkpoint, as if never interrupted",
        Affects.NOTHING,
        action="store_true",
    )
    add: tuple[Path, ...] = option(
        (),
        "folders of finished runs, made by hand or on another machine, that join the comparison in --output if they "
        "are of the same configuration, data and program",
        Affects.ENTRIES,
        nargs="+",
        action="extend",
        type=Path,
        metavar="DIR",
    )
    check: bool = option(
        False,
        "train nothing: read the stream, print what each experience holds, and draw ten annotated images of each",
        Affects.NOTHING,
        action="store_true",
    )
    precision: str = option(
        PRECISIONS[0],
        "numbers that the network computes with: float32, or bf16, which is bfloat16 where PyTorch holds it to be safe "
        "and faster on recent GPUs; the loss and the weights are float32 in any case",
        metavar="|".join(PRECISIONS),
    )
    deterministic: bool = option(
        False, "refuse operations that give other results each time, as some do on GPUs", action="store_true"
    )
    device: str = option(
        "auto",
        "cpu, cuda, the GPU cuda:N, mps on a Mac, or auto: the first GPU where there is one",
        metavar="|".join(DEVICES),
    )
    output: Path | None = option(
        None, "folder to write; default: runs/ and the date and time", Affects.NOTHING, type=Path, metavar="DIR"
    )

    @classmethod
    def from_arguments(cls, arguments: Sequence[str] | None = None) -> "Config":
        """Parse a command line; argparse leaves with status 2 on what it does not know."""
        parser = argparse.ArgumentParser(
            prog=called("benchmark"),
            description="Learn vision tasks of different kinds one after the other with one head, and report what was "
            "learned and what was forgotten.",
        )
        for each in fields(cls):
            parser.add_argument(f"--{each.name.replace('_', '-')}", **argument_of(each))
        values: dict[str, Any] = vars(parser.parse_args(arguments))
        values = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
        return cls(**values)

    @property
    def is_comparison(self) -> bool:
        """Whether it asks for more than one run."""
        several = len(self.strategy) * len(self.seeds) > 1 or self.order == ALL_ORDERS or is_grid(self.set)
        return several or bool(self.add)

    @property
    def is_parallel(self) -> bool:
        """Whether runs are done by other processes."""
        return self.jobs is not None or self.scheduler is not None

    @cached_property
    def described(self) -> Description:
        """The description of the stream.

        Raises:
            UsageError: There is none of that name, or the file is wrong.
        """
        return read_description(self.stream)

    @property
    def imported(self) -> tuple[str, ...]:
        """What is called by its import path, with options of its own: in the order of the options."""
        named = [*self.strategy, *self.plugin, *self.metric, *self.logger, *([self.model] if self.model else [])]
        return tuple(name for name in named if ":" in name)

    def but(self: Same, **values: Any) -> Same:
        """A copy with other values of some options; the description of the stream is not read again.

        So a file that is edited while its stream is learned changes nothing.
        """
        return self._same_stream(replace(self, **values))

    def _same_stream(self, made: Same) -> Same:
        """Hand on the description of the stream, if it was read."""
        if "described" in vars(self) and made.stream == self.stream:
            vars(made)["described"] = self.described
        return made

    @property
    def usual(self) -> Defaults:
        """What is usual for the images of the stream."""
        return DRAWN if self.described.on(self.data, MIN_SIZE).is_drawn else REAL

    def in_each_order(self) -> list["Config"]:
        """This configuration for each order that it asks for: its own, or with ``all`` every permutation.

        With ``all``, epochs are those of the experiences as the stream defines them, wherever they stand.
        """
        if self.order != ALL_ORDERS:
            return [self]
        names = self.described.names
        per_name = self.epochs and dict(zip(names, self.epochs * (len(names) // len(self.epochs)), strict=True))
        return [
            self.but(order=order, epochs=per_name and tuple(per_name[name] for name in order))
            for order in permutations(names)
        ]

    def resolved(self) -> "Resolved":
        """Settle what depends on the stream and its images, as :class:`~onehead_avl.runs.defaults.Defaults` says.

        Raises:
            UsageError: An experience is named that the stream does not have.
        """
        if wrong := self.wrong_order():
            raise UsageError("; ".join(wrong))
        usual = self.usual
        order = self.order or self.described.names
        kinds = {each.name: each.kind for each in self.described.experiences}
        epochs = self.epochs or tuple(usual.epochs_of(kinds[name]) for name in order)
        values = {each.name: getattr(self, each.name) for each in fields(self)} | {
            "order": order,
            "epochs": epochs * len(order) if len(epochs) == 1 else epochs,
            "backbone_weights": self.backbone_weights
            or ("none" if self.model or self.start_from else usual.backbone_weights),
            "image_size": self.image_size or usual.image_size,
        }
        return self._same_stream(Resolved(**values))

    def wrong_order(self) -> list[str]:
        """What is wrong with the order: it names what is not there, or asks for too many."""
        names = self.described.names
        if self.order == ALL_ORDERS and len(names) > MOST_PERMUTED:
            return [
                f"--order all expects at most {MOST_PERMUTED} experiences, but {self.stream} has {len(names)}; name one"
            ]
        if self.order in (None, ALL_ORDERS):
            return []
        unknown = [name for name in self.order if name not in names]
        return [f"unknown experience {name!r}, expected some of {', '.join(names)}" for name in unknown]

    def as_dict(self) -> dict[str, Any]:
        """The configuration as JSON can hold it."""
        values = asdict(self) | {"add": tuple(map(str, self.add))}
        return {name: str(value) if isinstance(value, Path) else value for name, value in values.items()}


class Resolved(Config):
    """A configuration in which everything that depends on the data has its value: of these, none is ``None``."""

    if TYPE_CHECKING:
        order: tuple[str, ...]
        epochs: tuple[int, ...]
        backbone_weights: str
        image_size: int

    def placed(self) -> Description:
        """The description with all that the images depend on."""
        return self.described.on(self.data and self.data.absolute(), self.image_size)

    def canonical(self) -> "Resolved":
        """This configuration with its experiences in the order of the stream's definition."""
        names = self.described.names
        pairs = sorted(zip(self.order, self.epochs, strict=True), key=lambda pair: names.index(pair[0]))
        return self.but(order=tuple(name for name, _ in pairs), epochs=tuple(epochs for _, epochs in pairs))


def options_that(*affect: Affects) -> list[str]:
    """The names of the options that have a bearing on some things."""
    return [each.name for each in fields(Config) if each.metadata["affects"] in affect]


def changed_options(config: Config, before: Mapping[str, Any], free: Collection[Affects]) -> str:
    """Name the options with other values than in a configuration that was written, but for those that may change.

    Args:
        config: The configuration of now.
        before: What :meth:`Config.as_dict` made, read from JSON.
        free: What may change.
    """
    now = json.loads(json.dumps(config.as_dict()))
    fixed = options_that(*(affects for affects in Affects if affects not in free))
    changed = sorted(name for name in fixed if now[name] != before.get(name))
    return ", ".join(f"--{name.replace('_', '-')}" for name in changed)
