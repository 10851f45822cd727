"""Distillation that understands the outputs: each task's part is kept in its own way.

The teacher is the model as it was before the current experience, and what it taught is asked of the current pictures,
as in "Learning without Forgetting" (Li and Hoiem, ECCV 2016): no old sample is needed. A task of which samples are
replayed is distilled on these alone: what the teacher guesses of other pictures hinders the new task more than it
helps. ImageNet is the first that a pretrained backbone learned, and what it knows of classes is worth keeping for a
task to come.
"""

import copy
from collections.abc import Mapping

import torch
from avalanche.core import SupervisedPlugin
from avalanche.training.templates import SupervisedTemplate
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, kl_div, log_softmax
from torch.utils.hooks import RemovableHandle
from torchvision.ops import generalized_box_iou_loss

from onehead_avl.model.boxes import boxes_of
from onehead_avl.model.layout import Layout
from onehead_avl.model.network import OneHeadNet
from onehead_avl.tasks import Task

TEMPERATURE = 2.0
"""Of the two softmaxes: above 1, the teacher's second guesses count too (Hinton et al., 2015)."""


class Distillation(SupervisedPlugin):
    """Adds the distillation loss of every task that an earlier experience taught, and of pretrained features.

    Args:
        weights: How much each task's loss counts.
        features: How much the loss of the features of a pretrained backbone counts.
    """

    UNSAVED = frozenset(("_hook", "_features"))

    def __init__(self, weights: Mapping[Task, float], features: float = 0.0) -> None:
        super().__init__()
        self._weights = dict(weights)
        self._features_weight = features
        self._learned: set[Task] = set()
        self._hook: RemovableHandle | None = None
        self._features: Tensor | None = None
        self.teacher: OneHeadNet | None = None

    def before_training_exp(self, strategy: SupervisedTemplate, **kwargs) -> None:
        """Take the model as it is now for a teacher, if it knows anything yet."""
        if self._learned or (self._features_weight and strategy.model.backbone.pretrained):
            self.teacher = copy.deepcopy(strategy.model).eval().requires_grad_(False)

    def before_forward(self, strategy: SupervisedTemplate, **kwargs) -> None:
        """Have the features of this one forward pass remembered: hooks that stay would be copied with the model."""
        if self.teacher is not None:
            self._hook = strategy.model.backbone.register_forward_hook(self._remember)

    def _remember(self, backbone: nn.Module, images: tuple, features: list[Tensor]) -> None:
        self._features = features[-1]

    def after_forward(self, strategy: SupervisedTemplate, **kwargs) -> None:
        """Stop to remember."""
        if self._hook is not None:
            self._hook.remove()
            self._hook = None

    def before_backward(self, strategy: SupervisedTemplate, **kwargs) -> None:
        """Add the loss of the current minibatch."""
        if self.teacher is None:
            return
        tasks = [task for task in sorted(self._learned) if self._weights[task]]
        with torch.no_grad():
            features = self.teacher.backbone(strategy.mb_x)
            wanted = self.teacher.head(self.teacher.neck(features)) if tasks else None
        layout = self.teacher.layout
        for task in tasks:
            own = strategy.mb_y.of(task)
            chosen = own if own.any() else torch.ones_like(own)
            loss = LOSSES[task](strategy.mb_output[chosen], wanted[chosen], layout)
            strategy.loss = strategy.loss + self._weights[task] * loss
        if self._features_weight and self.teacher.backbone.pretrained:
            strategy.loss = strategy.loss + self._features_weight * feature_distillation(self._features, features[-1])
        self._features = None

    def after_training_exp(self, strategy: SupervisedTemplate, **kwargs) -> None:
        """Note what was learned."""
        self._learned |= {Task(label) for label in strategy.experience.task_labels}


def feature_distillation(features: Tensor, teacher: Tensor) -> Tensor:
    """Squared distance of each picture's mean features, relative to the square of the teacher's; a scalar.

    What a picture shows is kept, and not where: to say where is what a new task has to learn.

    Args:
        features: ``(B, C, H, W)`` of the model.
        teacher: The same of its teacher.
    """
    mean, wanted = features.mean(dim=(2, 3)), teacher.mean(dim=(2, 3))
    return ((mean - wanted).square().sum(dim=1) / wanted.square().sum(dim=1).clamp(min=1e-6)).mean()


def segmentation_distillation(output: Tensor, teacher: Tensor, layout: Layout) -> Tensor:
    """Kullback-Leibler divergence of the class distribution of each cell, the mean over cells; a scalar."""
    return _divergence(layout.segmentation(output), layout.segmentation(teacher))


def detection_distillation(output: Tensor, teacher: Tensor, layout: Layout) -> Tensor:
    """Keep what the teacher detects, where it detects it, and that it detects nothing elsewhere; a scalar.

    Class probabilities are learned by the quality focal loss (Li et al., NeurIPS 2020) with the teacher's as its soft
    labels, and GIoU and confidence losses count for a cell as much as the teacher's best class probability there. All
    three are divided by the sum of these probabilities, as the detection loss is by the number of cells that learn a
    box: a picture in which the teacher sees little has a small say.
    """
    parameters, confidence, classes = layout.detection(output)
    old_parameters, old_confidence, old_classes = layout.detection(teacher)
    probability = old_classes.sigmoid()
    sure = probability.amax(dim=1)
    cross_entropy = binary_cross_entropy_with_logits(classes, probability, reduction="none")
    loss = ((classes.sigmoid() - probability).detach().square() * cross_entropy).sum()
    overlap = generalized_box_iou_loss(boxes_of(parameters), boxes_of(old_parameters))
    loss = loss + 2 * (sure.flatten(1) * overlap).sum()
    known = binary_cross_entropy_with_logits(confidence, old_confidence.sigmoid(), reduction="none")
    return (loss + (sure * known).sum()) / sure.sum().clamp(min=1)


def classification_distillation(output: Tensor, teacher: Tensor, layout: Layout) -> Tensor:
    """Kullback-Leibler divergence of the class distribution of each picture, the mean over pictures; a scalar."""
    return _divergence(layout.classification(output), layout.classification(teacher))


def _divergence(logits: Tensor, teacher: Tensor) -> Tensor:
    """The mean divergence of the distributions along dimension 1, at :data:`TEMPERATURE`."""
    divergence = kl_div(
        log_softmax(logits / TEMPERATURE, dim=1),
        log_softmax(teacher / TEMPERATURE, dim=1),
        reduction="none",
        log_target=True,
    ).sum(dim=1)
    return divergence.mean() * TEMPERATURE**2


LOSSES = {
    Task.SEG: segmentation_distillation,
    Task.DET: detection_distillation,
    Task.CLS: classification_distillation,
}
"""The distillation loss of each task: ``(B, C, H/8, W/8)`` of the model and of its teacher, and the layout."""
