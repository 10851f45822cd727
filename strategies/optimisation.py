"""How weights are updated: one recipe for every strategy, so that only their methods differ.

What was tried on the way to it, and what it gave, is told in ``docs/recipe.md``.
"""

import math
from collections.abc import Collection

from avalanche.core import SupervisedPlugin
from avalanche.training.templates import SupervisedTemplate
from torch import nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR

from onehead_avl.model.network import OneHeadNet
from onehead_avl.system.views import VIEWS

WARMUP = 0.05
"""The share of an experience's steps over which the learning rate rises; then it falls along a cosine to zero."""

PRETRAINED_RATES = (3e-3, 3e-4)
"""Step sizes of neck and head, and of a pretrained backbone, whose features are worth keeping."""

RANDOM_RATES = (2e-3, 2e-3)
"""The same for a random start, where everything has to move."""

CLIP_NORM = 5.0
"""Largest norm of the gradient."""


class Optimisation(SupervisedPlugin):
    """AdamW, warm-up and cosine schedule, clipped gradients, frozen layers; all of it anew with every experience.

    AdamW is that of Loshchilov and Hutter, ICLR 2019, with a smaller step for the backbone. A plugin, so that any
    Avalanche strategy can train with it. It must come last among the plugins: replay replaces the data loader, and only
    then is the number of steps known.

    Args:
        lr: Step size of neck and head; by default as the start of the backbone asks for.
        backbone_lr: Step size of the backbone; likewise.
        weight_decay: Decay of convolution weights; biases and normalisation have none.
    """

    def __init__(self, lr: float | None = None, backbone_lr: float | None = None, weight_decay: float = 0.05) -> None:
        super().__init__()
        self._rates = (lr, backbone_lr, weight_decay)
        self._schedule: LambdaLR | None = None
        self._frozen: list[str] = []

    def before_training_exp(self, strategy: SupervisedTemplate, **kwargs) -> None:
        """Freeze layers, and begin with a new optimizer: its momentum belongs to the task before."""
        # Not the experience's: some methods train on more than it.
        tasks = set(strategy.adapted_dataset.targets_task_labels.uniques)
        self._frozen = [
            name for name in frozen(strategy.model, tasks) if strategy.model.get_parameter(name).requires_grad
        ]
        self._set_learned(strategy.model, False)
        strategy.optimizer = AdamW(parameter_groups(strategy.model, *self._rates))
        strategy.optimized_param_id = dict(strategy.model.named_parameters())
        steps = strategy.train_epochs * len(strategy.dataloader)
        self._schedule = LambdaLR(strategy.optimizer, lambda step: warmup_cosine(step / max(steps, 1)))

    def before_update(self, strategy: SupervisedTemplate, **kwargs) -> None:
        """Clip the gradient, after whatever else changed it."""
        nn.utils.clip_grad_norm_(strategy.model.parameters(), CLIP_NORM)

    def after_update(self, strategy: SupervisedTemplate, **kwargs) -> None:
        """Advance the schedule."""
        assert self._schedule is not None
        self._schedule.step()

    def after_training_exp(self, strategy: SupervisedTemplate, **kwargs) -> None:
        """End the schedule, and release what was frozen for this experience, but nothing that a method froze."""
        self._schedule = None
        self._set_learned(strategy.model, True)

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


def frozen(model: OneHeadNet, tasks: Collection[int]) -> list[str]:
    """Name the parameters that training on the images of some experiences leaves as they are.

    The layers of a pretrained backbone up to stride 8 see edges and textures, which every kind can use as they are, and
    take half of the time that learning the backbone takes. The whole backbone is frozen if all that is learned is of
    kinds that ask for it. A random start learns everything.

    Args:
        model: The network.
        tasks: The task labels of the experiences.
    """
    if not model.backbone.pretrained:
        return []
    part = (
        model.backbone if all(model.layout.parts[task].kind.freezes_backbone for task in tasks) else model.backbone.stem
    )
    inside = {id(parameter) for parameter in part.parameters()}
    return [name for name, parameter in model.named_parameters() if id(parameter) in inside]


def starting_optimizer(model: nn.Module) -> AdamW:
    """An optimizer to build a strategy with, until :class:`Optimisation` replaces it in the first experience.

    Avalanche insists on a single group of parameters before that.
    """
    return AdamW(model.parameters())


def parameter_groups(
    model: OneHeadNet, lr: float | None = None, backbone_lr: float | None = None, weight_decay: float = 0.05
) -> list[dict]:
    """Group parameters by step size and decay; frozen ones too, for they may be released later.

    The arguments are those of :class:`Optimisation`.
    """
    usual = PRETRAINED_RATES if model.backbone.pretrained else RANDOM_RATES
    rates = (usual[0] if lr is None else lr, usual[1] if backbone_lr is None else backbone_lr)
    groups = []
    for module, rate in zip((nn.ModuleList([model.neck, model.head]), model.backbone), rates, strict=True):
        weights = [p for p in module.parameters() if p.dim() > 1]
        others = [p for p in module.parameters() if p.dim() <= 1]
        groups.append({"params": weights, "lr": rate, "weight_decay": weight_decay})
        groups.append({"params": others, "lr": rate, "weight_decay": 0.0})
    return groups


def warmup_cosine(progress: float) -> float:
    """The factor of the learning rate at a share of the experience between 0 and 1."""
    if progress < WARMUP:
        return (progress + 0.01) / (WARMUP + 0.01)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (progress - WARMUP) / (1 - WARMUP))))
