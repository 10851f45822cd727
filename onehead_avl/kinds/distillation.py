"""Distillation of class distributions, which several kinds of task have in common."""

from torch import Tensor
from torch.nn.functional import kl_div, log_softmax

TEMPERATURE = 2.0
"""Of the two softmaxes: above 1, the teacher's second guesses count too (Hinton et al., 2015)."""


def divergence(logits: Tensor, teacher: Tensor) -> Tensor:
    """Mean Kullback-Leibler divergence of the distributions along dimension 1, at :data:`TEMPERATURE`; a scalar.

    Args:
        logits: ``(B, C, ...)`` of the model.
        teacher: The same of its teacher.
    """
    divergences = kl_div(
        log_softmax(logits / TEMPERATURE, dim=1),
        log_softmax(teacher / TEMPERATURE, dim=1),
        reduction="none",
        log_target=True,
    ).sum(dim=1)
    return divergences.mean() * TEMPERATURE**2
