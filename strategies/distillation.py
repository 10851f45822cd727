"""Distillation that understands the outputs: each experience's part is kept in the way of its kind.

The teacher is the model as it was before the current experience, and what it taught is asked of the current images,
as in "Learning without Forgetting" (Li and Hoiem, ECCV 2016): no old sample is needed. Where old samples are replayed,
they are asked about too, but not alone: a network keeps what it knows of images in general by what it says of such that
it has not learned by heart. Experiences that share a part of the output are distilled as one. ImageNet is the first
that a pretrained backbone learned, and what it knows of classes is worth keeping for what is to come.
"""

import copy
from collections.abc import Iterator, Mapping, Sequence

import torch
from avalanche.core import SupervisedPlugin
from avalanche.models import avalanche_forward
from avalanche.training.templates import SupervisedTemplate
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from onehead_avl.model.layout import Layout, Part
from onehead_avl.model.parts import backbone_of, is_pretrained
from onehead_avl.system.labels import labels_of
from onehead_avl.system.ranks import RANKS
from strategies.optimisation import shared_learns

Features = Tensor | Sequence[Tensor]
"""What a backbone emits."""


class Distillation(SupervisedPlugin):
    """Adds the distillation loss of every part of the output that was learned, and of pretrained features.

    Any network will do that emits the layout's channels. Features are kept of one that has a ``backbone`` which says
    that it is ``pretrained`` and emits features ``(B, C, H, W)``, or a list of them, the coarsest last.

    Args:
        layout: The channels of the output.
        weights: How much the loss of each kind counts, by its name; 1 for a kind that is not there.
        features: How much the loss of the features of a pretrained backbone counts.
    """

    UNSAVED = frozenset(("_hook", "_features"))

    def __init__(self, layout: Layout, weights: Mapping[str, float], features: float = 0.0) -> None:
        super().__init__()
        self._layout = layout
        self._weights = dict(weights)
        self._features_weight = features
        self._learned: set[int] = set()
        self._hook: RemovableHandle | None = None
        self._features: Tensor | None = None
        self.teacher: nn.Module | None = None

    def before_training_exp(self, strategy: SupervisedTemplate, **kwargs) -> None:
        """Take the model as it is now for a teacher, if it knows anything yet that may be lost."""
        known = self._learned or (self._features_weight and is_pretrained(strategy.model))
        taught = known and shared_learns(strategy)
        self.teacher = copy.deepcopy(strategy.model).eval().requires_grad_(False) if taught else None

    def before_forward(self, strategy: SupervisedTemplate, **kwargs) -> None:
        """Have the features of this one forward pass remembered: hooks that stay would be copied with the model."""
        backbone = backbone_of(strategy.model)
        if self.teacher is not None and backbone is not None:
            self._hook = backbone.register_forward_hook(self._remember)

    def _remember(self, backbone: nn.Module, images: tuple, features: Features) -> None:
        self._features = _coarsest(features)

    def after_forward(self, strategy: SupervisedTemplate, **kwargs) -> None:
        """Stop to remember."""
        if self._hook is not None:
            self._hook.remove()
            self._hook = None

    def before_backward(self, strategy: SupervisedTemplate, **kwargs) -> None:
        """Add the loss of the current minibatch."""
        if self.teacher is None:
            return
        for term in self._terms(strategy, self.teacher):
            strategy.loss = strategy.loss + term
        self._features = None

    def _terms(self, strategy: SupervisedTemplate, teacher: nn.Module) -> Iterator[Tensor]:
        """What is added to the loss, weighted: a term for each part that was learned, and one for the features.

        As all losses, they are computed in float32, whatever the outputs' type.
        """
        parts = self._parts()
        features, wanted = _asked(teacher, strategy, with_output=bool(parts))
        output = strategy.mb_output.float()
        for part in parts:
            assert wanted is not None  # as there are parts
            yield self._weight(part) * part.kind.distillation(part.of(output), part.of(wanted.float()))
        if self._features_weight and is_pretrained(teacher):
            assert self._features is not None  # the hook of this forward pass has remembered them
            assert features is not None
            own = RANKS.whole(self._features.float(), len(strategy.mb_x), strategy.model)
            yield self._features_weight * feature_distillation(own, features.float())

    def after_training_exp(self, strategy: SupervisedTemplate, **kwargs) -> None:
        """Note what was learned."""
        self._learned |= labels_of(strategy.experience)

    def _weight(self, part: Part) -> float:
        return self._weights.get(part.kind.name, 1.0)

    def _parts(self) -> list[Part]:
        """The parts of the output that were learned and have a weight; what experiences share is one."""
        parts = {(part := self._layout.parts[task]).head: part for task in sorted(self._learned)}
        return [part for part in parts.values() if self._weight(part)]


@torch.no_grad()
def _asked(teacher: nn.Module, strategy: SupervisedTemplate, with_output: bool) -> tuple[Tensor | None, Tensor | None]:
    """What a teacher says of the current images: its backbone's features, if it has one, and its output, if asked."""
    backbone = backbone_of(teacher)
    if not with_output:
        if backbone is None:
            return None, None
        return RANKS.shared(lambda images: _coarsest(backbone(images)), strategy.mb_x, teacher), None
    seen: list[Tensor] = []
    hook = None
    if backbone is not None:
        hook = backbone.register_forward_hook(lambda module, images, out: seen.append(_coarsest(out)))
    output = avalanche_forward(teacher, strategy.mb_x, strategy.mb_task_id)
    if hook is not None:
        hook.remove()
    return (RANKS.whole(seen[-1], len(strategy.mb_x), teacher) if seen else None), output


def _coarsest(features: Features) -> Tensor:
    return features if isinstance(features, Tensor) else features[-1]


def feature_distillation(features: Tensor, teacher: Tensor) -> Tensor:
    """Squared distance of each image's mean features, relative to the square of the teacher's; a scalar.

    What an image shows is kept, and not where: to say where is what a new experience has to learn.

    Args:
        features: ``(B, C, H, W)`` of the model.
        teacher: The same of its teacher.
    """
    mean, wanted = features.mean(dim=(2, 3)), teacher.mean(dim=(2, 3))
    return ((mean - wanted).square().sum(dim=1) / wanted.square().sum(dim=1).clamp(min=1e-6)).mean()
