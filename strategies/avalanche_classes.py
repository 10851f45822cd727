"""Every strategy class of ``avalanche.training.supervised``: what it asks for, or why it cannot learn these streams.

Importing the table is cheap: no torch, no Avalanche.
"""

import importlib.util
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class AvalancheClass:
    """A strategy of Avalanche's, as its import path reaches it.

    Attributes:
        name: The name of the class.
        lacks: Why it cannot learn a stream of different kinds; empty if it can.
        ours: The name on our command line of the method; empty if there is none.
        settings: What ``--set`` has to give it, each with an example of a value.
        package: What has to be installed beside Avalanche.
        remark: What to know about it if it runs.
        short: A name by which somebody may ask for it, if it cannot run and none of ours does the same.
    """

    name: str
    lacks: str = ""
    ours: str = ""
    settings: tuple[str, ...] = ()
    package: str = ""
    remark: str = ""
    short: str = ""

    @property
    def refusal(self) -> str | None:
        """Why a run with it must not begin, a sentence without its end; ``None`` if it can."""
        if self.lacks:
            instead = f"; use {self.ours}" if self.ours else ""
            return f"Avalanche's {self.name} cannot learn this stream: {self.lacks}{instead}"
        return missing_package(f"Avalanche's {self.name}", self.package)


_PROTOTYPES = "it classifies by the nearest class mean, which masks and boxes do not have"
_CLASSIFIER = "its classifier and its loss are built in, and see one class label an image"
_ENTROPY = "its cross-entropy of class labels is built in"
_MODEL = "its model is {} built in"

_CLASSES = (
    AvalancheClass("Naive", ours="naive"),
    AvalancheClass("OnlineNaive", ours="naive"),
    AvalancheClass("SupervisedTemplate", ours="naive"),
    AvalancheClass("JointTraining", ours="joint"),
    AvalancheClass("Cumulative", ours="cumulative"),
    AvalancheClass("Replay", ours="replay-all"),
    AvalancheClass("GDumb", ours="gdumb"),
    AvalancheClass("EWC", ours="ewc", settings=("ewc_lambda=1",)),
    AvalancheClass("MAS", ours="mas"),
    AvalancheClass(
        "LwF",
        ours="lwf",
        settings=("alpha=1", "temperature=2"),
        remark="distils the experience that the stream defines first, no other, and its sum over cells grows with the "
        "resolution",
    ),
    AvalancheClass("GEM", ours="gem", settings=("patterns_per_exp=10",), package="quadprog"),
    AvalancheClass("AGEM", ours="agem", settings=("patterns_per_exp=100",)),
    AvalancheClass("CWRStar", ours="cwr-star", settings=("cwr_layer_name=head.4",)),
    AvalancheClass(
        "SynapticIntelligence",
        "on a CPU its copies of the weights are the weights themselves, so that none is ever found important",
        ours="si",
    ),
    AvalancheClass(
        "FromScratchTraining",
        "it resets an optimizer of a single group of parameters, and that of this benchmark has four",
        ours="from-scratch",
    ),
    AvalancheClass(
        "LFL", "it freezes the last linear layer, and the output layer of this network is a convolution", ours="lfl"
    ),
    AvalancheClass("MIR", "it goes by single class labels to tell what is old", ours="mir"),
    AvalancheClass("DER", _ENTROPY, ours="derpp"),
    AvalancheClass("LaMAML", "it overwrites the network's start with random weights", ours="lamaml"),
    AvalancheClass("ICaRL", _PROTOTYPES, short="icarl"),
    AvalancheClass("SCR", _PROTOTYPES, short="scr"),
    AvalancheClass("StreamingLDA", _PROTOTYPES, short="slda"),
    AvalancheClass("CoPE", _PROTOTYPES, short="cope"),
    AvalancheClass("BiC", "it corrects the bias between classes of one softmax", short="bic"),
    AvalancheClass("ER_ACE", _CLASSIFIER, short="er-ace"),
    AvalancheClass("ER_AML", _CLASSIFIER, short="er-aml"),
    AvalancheClass("GSS_greedy", "its memory compares the gradients of single class labels", short="gss"),
    AvalancheClass("MER", "its memory holds single class labels", short="mer"),
    AvalancheClass("GenerativeReplay", "its generator labels its images by a classifier", short="generative-replay"),
    AvalancheClass("FeatureReplay", "it recomputes class labels from stored features", short="feature-replay"),
    AvalancheClass("AR1", _MODEL.format("a classifier"), short="ar1"),
    AvalancheClass("ExpertGateStrategy", _MODEL.format("an AlexNet classifier"), short="expert-gate"),
    AvalancheClass("LearningToPrompt", _MODEL.format("a vision transformer"), short="l2p"),
    AvalancheClass("PNNStrategy", "it asks for a network that grows a column of layers for each task", short="pnn"),
    AvalancheClass("PackNet", "it asks for a network of layers that can be pruned for each task", short="packnet"),
    AvalancheClass("AETraining", "it trains an auto-encoder of images, and sees no annotation"),
    AvalancheClass("VAETraining", "it trains an auto-encoder of images, and sees no annotation"),
    AvalancheClass(
        "ObjectDetectionTemplate", "it asks for a network that returns its own losses, and detects only", ours="naive"
    ),
    AvalancheClass("BaseTemplate", "it is what others are made from, and trains nothing", ours="naive"),
    AvalancheClass(
        "SupervisedMetaLearningTemplate", "it is what others are made from, and trains nothing", ours="lamaml"
    ),
)

CLASSES: dict[str, AvalancheClass] = {each.name: each for each in _CLASSES}
"""All of them by the name of the class."""

UNFIT: dict[str, str] = {each.short: each.lacks for each in _CLASSES if each.short}
"""Names that somebody may ask for and none of our strategies has, and why."""


def refusal(attribute: Any) -> str | None:
    """Why what an import path leads to cannot learn; ``None`` if it can, or is not one of Avalanche's classes.

    A user's own subclass is not Avalanche's: it may mend what its base lacks.
    """
    return _refusal(getattr(attribute, "__module__", None) or "", getattr(attribute, "__name__", ""))


PLUGINS: dict[str, str] = {
    "SynapticIntelligencePlugin": "on a CPU its copies of the weights are the weights themselves, so that none is ever "
    "found important; use --strategy si, alone or joined to others by +",
}
"""Avalanche's plugins that would do nothing, and why."""


def plugin_refusal(attribute: Any) -> str | None:
    """Why a plugin of Avalanche's cannot be used; ``None`` if it can, or is not one of Avalanche's."""
    name = getattr(attribute, "__name__", "")
    ours = _is_avalanches(getattr(attribute, "__module__", None) or "") and name in PLUGINS
    return f"Avalanche's {name} cannot be used: {PLUGINS[name]}" if ours else None


def problems_of_path(path: str) -> list[str]:
    """What is wrong with an import path by its text alone, a sentence each."""
    module, _, name = path.partition(":")
    sentence = _refusal(module, name)
    return [] if sentence is None else [f"{path}: {sentence}"]


def missing_settings(path: str, given: Collection[str]) -> list[str]:
    """What is wrong with the options of an import path, a sentence each.

    Args:
        path: ``module:Class``.
        given: The names of the options that it is given.
    """
    module, _, name = path.partition(":")
    settings = CLASSES[name].settings if _is_avalanches(module) and name in CLASSES else ()
    missing = [setting for setting in settings if setting.partition("=")[0] not in given]
    if not missing:
        return []
    names = " and ".join(setting.partition("=")[0] for setting in missing)
    return [f"{path} expects {names}, found none; give it such as --set {shown_settings(name, missing)}"]


def shown_settings(name: str, settings: Collection[str]) -> str:
    """The settings of a class as ``--set`` takes them."""
    return " ".join(f"{name}.{setting}" for setting in settings)


def missing_package(what: str, package: str) -> str | None:
    """Why something needs a package, a sentence without its end; ``None`` if it is there, or none is needed."""
    if not package or importlib.util.find_spec(package) is not None:
        return None
    return (
        f"{what} needs the package {package}, which is not installed; install all that strategies need with "
        'pip install "onehead-avl[strategies]"'
    )


def _refusal(module: str, name: str) -> str | None:
    return CLASSES[name].refusal if _is_avalanches(module) and name in CLASSES else None


def _is_avalanches(module: str) -> bool:
    return module.startswith("avalanche.training")
