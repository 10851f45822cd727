"""What is wrong with the values of a command line, all of it at once. Importing it is cheap: no torch."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from onehead_avl.errors import UsageError
from onehead_avl.logs.named import LOGGERS
from onehead_avl.model.backbone_names import wrong_backbone
from onehead_avl.runs.config import ALL_ORDERS, MIN_SIZE, Config
from onehead_avl.system.device_names import PRECISIONS, wrong_device
from onehead_avl.system.launched import processes
from strategies.named import STRATEGIES

_LEAST = {
    "seeds": 0,
    "epochs": 1,
    "image_size": MIN_SIZE,
    "batch_size": 1,
    "replay_size": 1,
    "replay_batch": 1,
    "early_stopping": 0,
    "eval_every": 0,
    "memory": 0,
    "workers": 0,
    "jobs": 1,
    "threads": 1,
    "checkpoint_every": 1,
}
"""The smallest value of each number."""


def require_sound(config: Config, found: Sequence[str] = ()) -> None:
    """Check every value at once, before anything is read or trained.

    Args:
        config: As the command line has it.
        found: What is wrong with the strategies and their options.

    Raises:
        UsageError: Something is wrong; the message names each finding.
    """
    names = config.described.names
    wrong = [
        *found,
        *config.wrong_order(),
        *_repeats("--order", config.order or ()),
        *_repeats("--strategy", config.strategy),
        *_repeats("--seeds", config.seeds),
        *_repeats("--plugin", config.plugin),
        *_repeats("--metric", config.metric),
        *_repeats("--logger", config.logger),
    ]
    for name, least in _LEAST.items():
        value = getattr(config, name)
        for number in value if isinstance(value, tuple) else (value,):
            if number is not None and number < least:
                wrong.append(f"--{name.replace('_', '-')} expects at least {least}, got {number}")
    stages = len(names if config.order in (None, ALL_ORDERS) else config.order)
    if config.epochs is not None and len(config.epochs) not in (1, stages):
        wrong.append(f"--epochs expects one number or one for each of {stages} stages, got {len(config.epochs)}")
    if config.image_size is not None and config.image_size % MIN_SIZE:
        wrong.append(f"--image-size expects a multiple of {MIN_SIZE}, got {config.image_size}")
    if config.data is not None and config.described.file is not None:
        wrong.append(
            f"--data is for the streams that have a name, but {config.stream} says itself where its images are"
        )
    elif config.data is not None and not config.data.is_dir():
        wrong.append(f"--data expects a folder, found none at {config.data}")
    wrong += wrong_backbone(config.backbone)
    weights = config.backbone_weights
    if weights not in (None, "imagenet", "none") and not Path(weights).is_file():
        wrong.append(f"--backbone-weights expects imagenet, none or an existing file, found no file at {weights}")
    wrong += [
        f"--{name} expects module:attribute, got {path!r}"
        for name, paths in (("plugin", config.plugin), ("metric", config.metric), ("model", [config.model or ":"]))
        for path in paths
        if ":" not in path
    ]
    wrong += [
        f"--logger expects {', '.join(LOGGERS)} or module:attribute, got {name!r}"
        for name in config.logger
        if ":" not in name and name not in LOGGERS
    ]
    own_weights = config.backbone_weights not in (None, "none") or config.backbone != Config.backbone
    for name, value in (("model", config.model), ("start-from", config.start_from)):
        if value and own_weights:
            wrong.append(
                f"--{name} brings a network of its own: --backbone and --backbone-weights mean nothing with it"
            )
    if config.start_from is not None and not config.start_from.is_file():
        wrong.append(f"--start-from expects the model.safetensors of a run, found no file at {config.start_from}")
    if config.holdout is not None and not 0 < config.holdout < 1:
        wrong.append(f"--holdout expects a share between 0 and 1, got {config.holdout:g}")
    if config.early_stopping and config.holdout is None:
        wrong.append("--early-stopping expects a --holdout to measure on, got none")
    if config.early_stopping and "joint" in config.strategy:
        wrong.append(
            "--early-stopping goes by the one experience of a stage, but joint learns all at once; leave it out"
        )
    wrong += wrong_device(config.device)
    if config.precision not in PRECISIONS:
        wrong.append(f"--precision expects {' or '.join(PRECISIONS)}, got {config.precision}")
    elif config.model and config.precision != Config.precision:
        wrong.append(
            "--model brings a network of its own, which says itself what it computes with: leave out --precision"
        )
    if config.is_parallel:
        wrong += _wrong_parallel(config)
    if processes() > 1:
        wrong += _wrong_together(config)
    if config.resume and config.output is None:
        wrong.append("--resume expects the folder of the interrupted run as --output, got none")
    if wrong:
        raise UsageError("; ".join(wrong))


def _wrong_parallel(config: Config) -> list[str]:
    """What is wrong with having the runs done by other processes."""
    option = "--jobs" if config.jobs is not None else "--scheduler"
    wrong = [] if find_spec("distributed") else [f'{option} needs Dask: pip install -e ".[cluster]"']
    if config.jobs is not None and config.scheduler is not None:
        wrong.append("--jobs starts processes of this machine, --scheduler asks those of a cluster; give one of them")
    if not config.is_comparison:
        wrong.append(f"{option} is for the runs of a comparison, but this is a single run; leave it out")
    if config.device.startswith("cuda:"):
        wrong.append(
            f"{option} expects --device auto, cpu or cuda, as each process has a GPU of its own, got {config.device}"
        )
    return wrong


def _wrong_together(config: Config) -> list[str]:
    """What is wrong with having several processes learn one network."""
    wrong = []
    if config.is_comparison:
        wrong.append("torchrun with several processes expects a single run, got a comparison; see --jobs for those")
    if config.device not in ("auto", "cpu", "cuda"):
        wrong.append(f"torchrun expects --device auto, cpu or cuda, as it numbers the GPUs itself, got {config.device}")
    alike = [name for name, method in STRATEGIES.items() if method.alike]
    named = [name for strategy in config.strategy for name in strategy.split("+") if name not in alike]
    named += [*config.plugin, *([config.model] if config.model else [])]
    if named:
        wrong.append(
            f"several processes are not known to learn what one does with {', '.join(named)}: torchrun expects some of "
            f"{', '.join(alike)}"
        )
    return wrong


def _repeats(option: str, values: Sequence) -> list[str]:
    repeated = sorted({str(value) for value in values if list(values).count(value) > 1})
    return [f"{option} names {' and '.join(repeated)} more than once"] if repeated else []
