"""How weights are updated: one recipe for every strategy, so that only their methods differ.

What was tried on the way to it, and what it gave, is told in ``docs/recipe.md``.
"""

import math
from collections.abc import Collection, Mapping
from typing import Any

from avalanche.core import SupervisedPlugin
from avalanche.training.templates import SupervisedTemplate
from avalanche.training.templates.base import BaseTemplate
from torch import nn
from torch.optim import AdamW, Optimizer

from onehead_avl.model.parts import backbone_of, is_pretrained, layout_of
from onehead_avl.system.views import VIEWS

WARMUP = 0.05
"""The share of an experience's steps over which the learning rate rises; then it falls along a cosine to zero."""

PRETRAINED_RATES = (3e-3, 3e-4)
"""Step sizes of neck and head, and of a pretrained backbone, whose features are worth keeping."""

RANDOM_RATES = (2e-3, 2e-3)
"""The same for a random start, where everything has to move."""

CLIP_NORM = 5.0
"""Largest norm of the gradient."""

_HANDED = "handed_by_the_benchmark"
"""The attribute by which the optimizer that strategies are handed is known, with what it was handed with."""


class Optimisation(SupervisedPlugin):
    """AdamW, warm-up and cosine schedule, clipped gradients, frozen layers; all of it anew with every experience.

    AdamW is that of Loshchilov and Hutter, ICLR 2019, with a smaller step for the backbone. A plugin, so that any
    Avalanche strategy can train with it. It must come last among the plugins: replay replaces the data loader, and only
    then is the number of steps known. It stands aside if the strategy does not train with the optimizer that it was
    handed.

    Args:
        lr: Step size of everything but the backbone; by default as the start of the backbone asks for.
        backbone_lr: Step size of the backbone; likewise.
        weight_decay: Decay of convolution weights; biases and normalisation have none.
        freeze: What does not learn: ``none``, ``stem``, ``backbone``, or ``usual`` for what :func:`frozen` says.
    """

    def __init__(
        self,
        lr: float | None = None,
        backbone_lr: float | None = None,
        weight_decay: float = 0.05,
        freeze: str = "usual",
    ) -> None:
        super().__init__()
        self._rates = (lr, backbone_lr, weight_decay)
        self._freeze = freeze
        self._own: Optimizer | None = None
        self._frozen: list[str] = []
        self._epochs = 0
        self._steps = (0, 1)

    def optimizer(self, model: nn.Module) -> AdamW:
        """Make the optimizer of an experience; each group of parameters knows its highest step size, ``initial_lr``."""
        optimizer = AdamW(parameter_groups(model, *self._rates), fused=_can_be_fused(model))
        for group in optimizer.param_groups:
            group["initial_lr"] = group["lr"]
        return optimizer

    def is_used(self, strategy: BaseTemplate) -> bool:
        """Whether a strategy leaves its optimizer to this plugin."""
        optimizer = getattr(strategy, "optimizer", None)
        return is_as_handed(optimizer) or (optimizer is not None and optimizer is self._own)

    def freezes(self, strategy: SupervisedTemplate) -> list[str]:
        """Name the parameters that do not learn in the experience that begins."""
        # Not the experience's labels: some methods train on more than it.
        return frozen(strategy.model, set(strategy.adapted_dataset.targets_task_labels.uniques), self._freeze)

    def before_training_exp(self, strategy: SupervisedTemplate, **kwargs) -> None:
        """Freeze layers, and begin with a new optimizer: its momentum belongs to the task before."""
        if not self.is_used(strategy):
            return
        names = self.freezes(strategy)
        self._frozen = [name for name in names if strategy.model.get_parameter(name).requires_grad]
        self._set_learned(strategy.model, False)
        self._own = strategy.optimizer = self.optimizer(strategy.model)
        strategy.optimized_param_id = dict(strategy.model.named_parameters())
        self._epochs, self._steps = strategy.train_epochs, (0, 0)
        self._set_rates(strategy)

    def before_update(self, strategy: SupervisedTemplate, **kwargs) -> None:
        """Clip the gradient, after whatever else changed it."""
        if self.is_used(strategy):
            nn.utils.clip_grad_norm_(strategy.model.parameters(), CLIP_NORM)

    def after_training_iteration(self, strategy: SupervisedTemplate, **kwargs) -> None:
        """Advance the schedule: with every minibatch, however many of them make an update."""
        if self.is_used(strategy):
            epoch, step = self._steps
            self._steps = epoch, min(step + 1, len(strategy.dataloader))
            self._set_rates(strategy)

    def after_training_epoch(self, strategy: SupervisedTemplate, **kwargs) -> None:
        """Advance the schedule to the end of the epoch, whatever the strategy made of its minibatches."""
        if self.is_used(strategy):
            self._steps = self._steps[0] + 1, 0
            self._set_rates(strategy)

    def after_training_exp(self, strategy: SupervisedTemplate, **kwargs) -> None:
        """Release what was frozen for this experience, but nothing that a method froze."""
        self._set_learned(strategy.model, True)
        self._frozen = []

    def _set_rates(self, strategy: SupervisedTemplate) -> None:
        (epoch, step), length = self._steps, len(strategy.dataloader)
        factor = warmup_cosine((epoch * length + step) / max(self._epochs * length, 1))
        for group in strategy.optimizer.param_groups:
            group["lr"] = group["initial_lr"] * factor

    def _set_learned(self, model: nn.Module, learned: bool) -> None:
        for name in self._frozen:
            model.get_parameter(name).requires_grad_(learned)


class FreshViews(SupervisedPlugin):
    """Has every training picture augmented anew in each epoch, in the same way whichever process loads it."""

    def before_training_epoch(self, strategy: SupervisedTemplate, **kwargs) -> None:
        """Draw the seed of the epoch's views."""
        VIEWS.draw()

    def after_training(self, strategy: SupervisedTemplate, **kwargs) -> None:
        """Leave no seed behind."""
        VIEWS.seed = None


def optimisation_of(strategy: BaseTemplate) -> Optimisation | None:
    """The plugin that trains a strategy; ``None`` for a strategy that does so by itself."""
    found = [plugin for plugin in strategy.plugins if isinstance(plugin, Optimisation)]
    return next((plugin for plugin in found if plugin.is_used(strategy)), None)


def shared_learns(strategy: SupervisedTemplate) -> bool:
    """Whether weights learn, in the experience that begins, that earlier experiences need: any but those of columns.

    Columns of earlier experiences are frozen, and a new one serves the current experience alone.
    """
    optimisation = optimisation_of(strategy)
    frozen_now = frozenset() if optimisation is None else frozenset(optimisation.freezes(strategy))
    columns = getattr(strategy.model, "columns", ())
    own = {id(parameter) for column in columns for parameter in column.parameters()}
    return any(
        parameter.requires_grad and name not in frozen_now and id(parameter) not in own
        for name, parameter in strategy.model.named_parameters()
    )


def is_as_handed(optimizer: object) -> bool:
    """Whether an optimizer is the one of :func:`starting_optimizer`, and nobody has changed it.

    Other hyper-parameters, more parameters and a schedule of PyTorch's, which marks the optimizer's step, are changes.
    """
    if not isinstance(optimizer, Optimizer) or hasattr(optimizer.step, "_wrapped_by_lr_sched"):
        return False
    return getattr(optimizer, _HANDED, None) == _settings(optimizer)


def _can_be_fused(model: nn.Module) -> bool:
    """Whether PyTorch can update the weights in one pass over them, a third of the time that several take."""
    return all(each.is_floating_point() and each.device.type in ("cpu", "cuda") for each in model.parameters())


def _settings(optimizer: Optimizer) -> list[dict]:
    return [{name: value for name, value in group.items() if name != "params"} for group in optimizer.param_groups]


def frozen(model: nn.Module, tasks: Collection[int], freeze: str = "usual") -> list[str]:
    """Name the parameters that training on the images of some experiences leaves as they are.

    Usually, the layers of a pretrained backbone up to stride 8 see edges and textures, which every kind can use as they
    are, and take half of the time that learning the backbone takes. The whole backbone is frozen if all that is learned
    is of kinds that ask for it. A random start learns everything.

    Args:
        model: The network.
        tasks: The task labels of the experiences that are learned.
        freeze: ``none``, ``stem``, ``backbone`` or ``usual``.
    """
    backbone = backbone_of(model)
    if freeze == "usual":
        freeze = "none" if not is_pretrained(model) else "backbone" if _whole_backbone(model, tasks) else "stem"
    if backbone is None or freeze == "none":
        return []
    part = backbone if freeze == "backbone" else getattr(backbone, "stem", None)
    inside = {id(parameter) for parameter in part.parameters()} if isinstance(part, nn.Module) else set()
    return [name for name, parameter in model.named_parameters() if id(parameter) in inside]


def absent_part(model: nn.Module, chosen: Mapping[str, Any]) -> tuple[str, str] | None:
    """The first of some arguments of :class:`Optimisation` that is for a part which a network lacks, and the part."""
    backbone = backbone_of(model)
    parts = {"backbone": backbone, "stem": getattr(backbone, "stem", None)}
    for key, part in (("backbone_lr", "backbone"), ("freeze", chosen.get("freeze"))):
        if key in chosen and part in parts and not isinstance(parts[part], nn.Module):
            return key, part
    return None


def _whole_backbone(model: nn.Module, tasks: Collection[int]) -> bool:
    layout = layout_of(model)
    return layout is not None and all(layout.parts[task].kind.freezes_backbone for task in tasks)


def starting_optimizer(model: nn.Module) -> AdamW:
    """An optimizer to build a strategy with, until :class:`Optimisation` replaces it in the first experience.

    Avalanche insists on a single group of parameters before that.
    """
    optimizer = AdamW(model.parameters())
    setattr(optimizer, _HANDED, _settings(optimizer))
    return optimizer


def parameter_groups(
    model: nn.Module, lr: float | None = None, backbone_lr: float | None = None, weight_decay: float = 0.05
) -> list[dict]:
    """Group parameters by step size and decay; frozen ones too, for they may be released later.

    The arguments are those of :class:`Optimisation`. A network without a backbone has a single step size.
    """
    usual = PRETRAINED_RATES if is_pretrained(model) else RANDOM_RATES
    rates = (usual[0] if lr is None else lr, usual[1] if backbone_lr is None else backbone_lr)
    backbone = backbone_of(model)
    of_backbone = [] if backbone is None else list(backbone.parameters())
    inside = {id(parameter) for parameter in of_backbone}
    others = [parameter for parameter in model.parameters() if id(parameter) not in inside]
    groups = []
    for parameters, rate in zip((others, of_backbone), rates, strict=True):
        weights = [p for p in parameters if p.dim() > 1]
        rest = [p for p in parameters if p.dim() <= 1]
        groups.append({"params": weights, "lr": rate, "weight_decay": weight_decay})
        groups.append({"params": rest, "lr": rate, "weight_decay": 0.0})
    return [group for group in groups if group["params"]]


def warmup_cosine(progress: float) -> float:
    """The factor of the learning rate at a share of the experience between 0 and 1."""
    if progress < WARMUP:
        return (progress + 0.01) / (WARMUP + 0.01)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (progress - WARMUP) / (1 - WARMUP))))


def whose(strategy: BaseTemplate) -> dict[str, str]:
    """Say for the results who updates the weights of a strategy: ``by`` whom, and with which ``optimizer``."""
    if optimisation_of(strategy) is not None:
        return {"by": "benchmark", "optimizer": AdamW.__name__}
    optimizer = getattr(strategy, "optimizer", None)
    return {"by": "strategy", "optimizer": "none" if optimizer is None else type(optimizer).__name__}
