"""The strategy that trains the network on minibatches of any mixture of tasks."""

import math

from avalanche.training.templates import SupervisedTemplate
from torch import nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR

from onehead_avl.model.network import OneHeadNet

WARMUP = 0.05
"""The share of an experience's steps over which the learning rate rises; then it falls along a cosine to zero."""

PRETRAINED_RATES = (1e-3, 1e-4)
"""Step sizes of neck and head, and of a pretrained backbone, whose features are worth keeping."""

RANDOM_RATES = (2e-3, 2e-3)
"""The same for a random start, where everything has to move."""

CLIP_NORM = 5.0
"""Largest norm of the gradient."""


class MultiTask(SupervisedTemplate):
    """Avalanche's supervised template with the optimisation that suits a pretrained backbone.

    AdamW (Loshchilov and Hutter, ICLR 2019) with a smaller step for the backbone, warm-up and cosine schedule, and
    clipped gradients; all of it starts afresh with every experience. Without plugins this is naive fine-tuning; with
    Avalanche's plugins it is their method.

    Args:
        model: The network.
        lr: Step size of neck and head; by default as the start of the backbone asks for.
        backbone_lr: Step size of the backbone; likewise.
        weight_decay: Decay of convolution weights; biases and normalisation have none.
        **kwargs: As for :class:`~avalanche.training.templates.SupervisedTemplate`.
    """

    def __init__(
        self,
        *,
        model: OneHeadNet,
        lr: float | None = None,
        backbone_lr: float | None = None,
        weight_decay: float = 0.05,
        **kwargs,
    ) -> None:
        usual = PRETRAINED_RATES if model.backbone.pretrained else RANDOM_RATES
        self._rates = {
            "lr": usual[0] if lr is None else lr,
            "backbone_lr": usual[1] if backbone_lr is None else backbone_lr,
            "weight_decay": weight_decay,
        }
        super().__init__(model=model, optimizer=AdamW(parameter_groups(model, **self._rates)), **kwargs)

    def make_optimizer(self, **kwargs) -> None:
        """Begin an experience with a new optimizer; its momentum belongs to the task before."""
        self.optimizer = AdamW(parameter_groups(self.model, **self._rates))
        self.optimized_param_id = dict(self.model.named_parameters())

    def _before_training_exp(self, **kwargs) -> None:
        super()._before_training_exp(**kwargs)  # replay replaces the data loader here, so steps are known only after
        steps = self.train_epochs * len(self.dataloader)
        self._schedule = LambdaLR(self.optimizer, lambda step: warmup_cosine(step / max(steps, 1)))

    def optimizer_step(self) -> None:
        """Clip the gradient, update the weights, advance the schedule."""
        nn.utils.clip_grad_norm_(self.model.parameters(), CLIP_NORM)
        self.optimizer.step()
        self._schedule.step()


def parameter_groups(model: OneHeadNet, lr: float, backbone_lr: float, weight_decay: float) -> list[dict]:
    """Group parameters by step size and decay, for AdamW."""
    groups = []
    for module, rate in ((model.backbone, backbone_lr), (nn.ModuleList([model.neck, model.head]), lr)):
        weights = [p for p in module.parameters() if p.requires_grad and p.dim() > 1]
        others = [p for p in module.parameters() if p.requires_grad and p.dim() <= 1]
        groups.append({"params": weights, "lr": rate, "weight_decay": weight_decay})
        groups.append({"params": others, "lr": rate, "weight_decay": 0.0})
    return groups


def warmup_cosine(progress: float) -> float:
    """The factor of the learning rate at a share of the experience between 0 and 1."""
    if progress < WARMUP:
        return (progress + 0.01) / (WARMUP + 0.01)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (progress - WARMUP) / (1 - WARMUP))))
