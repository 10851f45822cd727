"""The strategies that the command line knows by name. Importing the table is cheap: no torch, no Avalanche."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from strategies.avalanche_classes import CLASSES, UNFIT, missing_package, problems_of_path

Option = int | float | str
"""The value of a hyper-parameter."""


@dataclass(frozen=True)
class Method:
    """A way to learn a stream, built by the function of the same name (``-`` becomes ``_``) in its module.

    Attributes:
        name: The name on the command line.
        summary: What it does, in a line.
        stores: What it keeps beside the model from one experience to the next.
        breaks: Which of the challenge's rules it does not keep; empty if it keeps them all.
        paper: Where it was published.
        options: Its hyper-parameters with their values for this stream.
        grows: What the model has more of after each experience but the first; empty if it does not grow.
        fixed: It counts on a network that does not grow.
        keeps_samples: It has a memory of samples; no two of these can be combined.
        separate: It learns a network of its own at each stage.
        baseline: It is what others are measured against; the order of the experiences means nothing to it.
        whole: It is a strategy of its own, and not plugins that can be combined with others.
        needs: A package that is installed with ``onehead-avl[strategies]`` only.
        alike: Several processes that learn together, as :mod:`~onehead_avl.system.ranks` says, learn what one does.
        unseen: It trains on stored samples that are in no minibatch, so that they cannot be counted there.
        asks: What it needs of the network beside its output, by the attributes of
            :class:`~onehead_avl.model.network.OneHeadNet`.
        module: Where its function is.
    """

    name: str
    summary: str
    stores: str
    breaks: str = ""
    paper: str = ""
    options: Mapping[str, Option] = field(default_factory=dict)
    grows: str = ""
    fixed: bool = False
    keeps_samples: bool = False
    separate: bool = False
    baseline: bool = False
    whole: bool = False
    alike: bool = False
    unseen: bool = False
    needs: str = ""
    asks: tuple[str, ...] = ()
    module: str = "strategies.methods"


_ALL_MEMORY = "its memory holds samples of every task"
_SAMPLES = "samples of every task"
_SEGMENTATION = "segmentation samples"
_PREVIOUS = "the previous model"
_IMPORTANCE = "importance and old value of every weight"
_COLUMNS = "channels of neck and head"
_DISTILLATION = {"segmentation": 0.2, "detection": 2.0, "classification": 1.0, "features": 0.3}

_METHODS = (
    Method("naive", "fine-tuning on each task in turn", "nothing", alike=True),
    Method(
        "from-scratch",
        "each task alone, from the same start: the single-task baseline",
        "nothing",
        "it is one model for each task",
        separate=True,
        baseline=True,
        whole=True,
        alike=True,
    ),
    Method(
        "joint",
        "all tasks at once: the upper bound",
        _SAMPLES,
        "it does not learn in sequence",
        keeps_samples=True,
        baseline=True,
        whole=True,
        unseen=True,
        alike=True,
    ),
    Method(
        "cumulative",
        "at each stage, all tasks so far",
        _SAMPLES,
        "it keeps the data of old tasks",
        whole=True,
        keeps_samples=True,
        alike=True,
    ),
    Method(
        "replay",
        "replay of segmentation samples",
        _SEGMENTATION,
        paper="Chaudhry et al., 2019",
        keeps_samples=True,
        alike=True,
    ),
    Method(
        "onehead",
        "isolation of neck and head; replay of segmentation samples and distillation hold the backbone; "
        "replayed outlines help detection",
        f"{_SEGMENTATION}, {_PREVIOUS}",
        paper="after Rusu et al., 2016, Li and Hoiem, ECCV 2016, and Ghiasi et al., CVPR 2021",
        options=_DISTILLATION | {"segmentation": 2.0, "outlines": 0.2},
        grows=_COLUMNS,
        asks=("grow",),
        keeps_samples=True,
        alike=True,
    ),
    Method(
        "distillation",
        "distillation of each old task in its own way",
        _PREVIOUS,
        paper="after Li and Hoiem, ECCV 2016",
        options=_DISTILLATION,
    ),
    Method(
        "isolation",
        "channels of its own for each task after the first, and all else frozen",
        "nothing",
        paper="after Rusu et al., 2016",
        grows=_COLUMNS,
        asks=("grow",),
        alike=True,
    ),
    Method(
        "replay-all",
        "replay of samples of every task",
        _SAMPLES,
        _ALL_MEMORY,
        "Chaudhry et al., 2019",
        keeps_samples=True,
        alike=True,
    ),
    Method(
        "ewc",
        "elastic weight consolidation, a penalty for each old task",
        f"{_IMPORTANCE}, for each task",
        paper="Kirkpatrick et al., PNAS 2017",
        options={"lambda": 100000.0},
        alike=True,
    ),
    Method(
        "ewc-online",
        "elastic weight consolidation, one penalty that decays",
        _IMPORTANCE,
        paper="Schwarz et al., ICML 2018",
        options={"lambda": 100000.0, "decay": 0.9},
        alike=True,
    ),
    Method("si", "synaptic intelligence", _IMPORTANCE, paper="Zenke et al., ICML 2017", options={"lambda": 1.0}),
    Method(
        "mas",
        "memory-aware synapses",
        _IMPORTANCE,
        paper="Aljundi et al., ECCV 2018",
        options={"lambda": 1.0, "alpha": 0.5},
        alike=True,
    ),
    Method(
        "rwalk",
        "Riemannian walk",
        _IMPORTANCE,
        paper="Chaudhry et al., ECCV 2018",
        options={"lambda": 1.0, "alpha": 0.9, "delta": 10},
        fixed=True,
    ),
    Method(
        "lwf",
        "learning without forgetting: a softmax over the channels of each old task is distilled",
        _PREVIOUS,
        paper="Li and Hoiem, ECCV 2016",
        options={"alpha": 1.0, "temperature": 2.0},
        alike=True,
    ),
    Method(
        "lfl",
        "less-forgetful learning: features are kept and the output layer is frozen after the first task",
        _PREVIOUS,
        paper="Jung et al., 2016",
        options={"lambda": 1.0},
        asks=("get_features", "last"),
        alike=True,
    ),
    Method(
        "feature-distillation",
        "the features that the head sees keep their direction",
        _PREVIOUS,
        options={"alpha": 1.0},
        asks=("head",),
        alike=True,
    ),
    Method(
        "gem",
        "gradient episodic memory",
        _SAMPLES,
        _ALL_MEMORY,
        "Lopez-Paz and Ranzato, NeurIPS 2017",
        {"patterns": 10, "strength": 0.5},
        unseen=True,
        needs=CLASSES["GEM"].package,
        keeps_samples=True,
        alike=True,
    ),
    Method(
        "agem",
        "averaged gradient episodic memory",
        _SAMPLES,
        _ALL_MEMORY,
        "Chaudhry et al., ICLR 2019",
        {"patterns": 100, "sample": 10},
        unseen=True,
        keeps_samples=True,
        alike=True,
    ),
    Method(
        "gdumb",
        "a balanced memory, and training from scratch on it alone",
        _SAMPLES,
        _ALL_MEMORY,
        "Prabhu et al., ECCV 2020",
        fixed=True,
        unseen=True,
        keeps_samples=True,
        alike=True,
    ),
    Method(
        "mir",
        "replay of the samples that the next step would harm most",
        _SAMPLES,
        _ALL_MEMORY,
        "Aljundi et al., NeurIPS 2019",
        {"subsample": 16},
        unseen=True,
        keeps_samples=True,
    ),
    Method(
        "rar",
        "retrospective adversarial replay, without its adversarial samples",
        _SAMPLES,
        _ALL_MEMORY,
        "Kumari et al., NeurIPS 2022",
        keeps_samples=True,
        alike=True,
    ),
    Method(
        "der",
        "dark experience replay: stored outputs are replayed",
        f"{_SAMPLES} with their outputs",
        _ALL_MEMORY,
        "Buzzega et al., NeurIPS 2020",
        {"alpha": 0.1},
        whole=True,
        keeps_samples=True,
        alike=True,
    ),
    Method(
        "derpp",
        "dark experience replay++: stored outputs and annotations are replayed",
        f"{_SAMPLES} with their outputs",
        _ALL_MEMORY,
        "Buzzega et al., NeurIPS 2020",
        {"alpha": 0.1, "beta": 0.5},
        whole=True,
        keeps_samples=True,
        alike=True,
    ),
    Method(
        "cwr-star",
        "CWR*: features frozen after the first task, output rows consolidated",
        "the output layer",
        paper="Lomonaco et al., CVPR workshops 2020",
        asks=("output_layer",),
        fixed=True,
        alike=True,
    ),
    Method(
        "lamaml",
        "look-ahead meta-learning with learned step sizes, first order",
        _SEGMENTATION,
        paper="Gupta et al., NeurIPS 2020",
        options={"updates": 2, "rate": 0.001},
        whole=True,
        needs="higher",
        keeps_samples=True,
    ),
)

STRATEGIES: dict[str, Method] = {method.name: method for method in _METHODS}
"""Strategies by name; ``a+b`` combines those that are plugins."""

SINGLE_TASK = next(method.name for method in _METHODS if method.separate)
"""The strategy that gives the single-task baseline."""


def parts_of(name: str) -> list[Method]:
    """The methods of ``a`` or ``a+b``; the names must exist."""
    return [STRATEGIES[part] for part in name.split("+")]


def is_baseline(name: str) -> bool:
    """Whether a strategy is what others are measured against."""
    return name in STRATEGIES and STRATEGIES[name].baseline


def problems_of(name: str) -> list[str]:
    """What is wrong with the name of a strategy, a sentence each; of import paths, Avalanche's own are known.

    Example:
        >>> problems_of("replay+lwf")
        []
        >>> problems_of("replay+gem")
        ["'replay+gem' combines two memories of samples, expected one at most"]
    """
    if ":" in name:
        return problems_of_path(name)
    parts = name.split("+")
    wrong = [_unknown(part) for part in parts if part not in STRATEGIES]
    if wrong:
        return wrong
    missing = [missing_package(f"strategy {part!r}", STRATEGIES[part].needs) for part in parts]
    wrong = [sentence for sentence in missing if sentence is not None]
    if len(parts) == 1:
        return wrong
    wrong += [f"{part} cannot be combined with others, but {name!r} does" for part in parts if STRATEGIES[part].whole]
    if len(set(parts)) < len(parts):
        wrong.append(f"{name!r} names a strategy twice")
    if any(STRATEGIES[part].grows for part in parts):
        wrong += [
            f"{part} cannot follow a network that grows, as it does in {name!r}"
            for part in parts
            if STRATEGIES[part].fixed
        ]
    if sum(STRATEGIES[part].keeps_samples for part in parts) > 1:
        wrong.append(f"{name!r} combines two memories of samples, expected one at most")
    return wrong


def _unknown(part: str) -> str:
    if part in UNFIT:
        return f"strategy {part!r} cannot learn this stream: {UNFIT[part]}"
    return f"unknown strategy {part!r}, expected some of {', '.join(STRATEGIES)}, a+b or module:Class"
