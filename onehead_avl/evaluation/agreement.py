"""Whether a network by itself emits what a strategy evaluated: one may evaluate otherwise than by its network."""

import torch
from avalanche.core import SupervisedPlugin
from avalanche.models import avalanche_forward
from avalanche.training.templates import SupervisedTemplate
from torch import Tensor, nn

from onehead_avl.model.parts import device_of
from onehead_avl.system.modes import evaluating
from onehead_avl.system.randomness import undisturbed

KEPT = 2
"""Images of each experience that are kept of an evaluation."""

TOLERANCE = 0.02
"""Of the largest number that is emitted: half precision and other sizes of minibatches round otherwise."""


class LastEvaluated(SupervisedPlugin):
    """Keeps a few images of the last evaluation of each experience, and what was emitted for them."""

    UNSAVED = frozenset(("_seen", "_first"))  # the last evaluation is done again if it was interrupted

    def __init__(self) -> None:
        super().__init__()
        self._seen: dict[int, tuple[Tensor, Tensor, Tensor]] = {}
        self._first = False

    def before_eval_exp(self, strategy: SupervisedTemplate, **kwargs) -> None:
        """Wait for the first minibatch."""
        self._first = True

    def after_eval_forward(self, strategy: SupervisedTemplate, **kwargs) -> None:
        """Keep some of it."""
        if self._first:
            parts = strategy.mb_x, strategy.mb_y.task, strategy.mb_output
            images, tasks, outputs = (part[:KEPT].detach().cpu().clone() for part in parts)
            self._seen[strategy.experience.current_experience] = images, tasks, outputs
            self._first = False

    @torch.no_grad()
    def agrees(self, network: nn.Module) -> bool | None:
        """Whether a network emits the same for them; ``None`` if nothing was evaluated."""
        if not self._seen:
            return None
        device = device_of(network)
        with undisturbed(), evaluating(network):
            pairs = [
                (avalanche_forward(network, images.to(device), tasks.to(device)).float().cpu(), output.float())
                for images, tasks, output in self._seen.values()
            ]
        return all(bool((new - old).abs().max() <= TOLERANCE * old.abs().max()) for new, old in pairs)
