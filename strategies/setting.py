"""What every strategy of a run is given."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from avalanche.core import SupervisedPlugin
from avalanche.training.plugins import EvaluationPlugin
from torch import nn

from onehead_avl.model.criterion import MultiTaskLoss
from onehead_avl.model.layout import Layout
from strategies.optimisation import FreshViews, Optimisation, starting_optimizer


@dataclass(frozen=True)
class Setting:
    """The model, the criterion, the evaluator and the sizes of a run.

    Attributes:
        model: The network, at its start.
        layout: The channels of its output.
        criterion: Its loss.
        evaluator: Measures and logs.
        device: Where to train.
        train_mb_size: Images of the current task a step.
        eval_mb_size: Images a step of evaluation.
        replay_size: Samples that a memory keeps.
        replay_batch: Samples replayed a step.
        plugins: More plugins, from the user.
        optimisation: The arguments of :class:`~strategies.optimisation.Optimisation` that are not to be the usual ones.
    """

    model: nn.Module
    layout: Layout
    criterion: MultiTaskLoss
    evaluator: EvaluationPlugin
    device: torch.device
    train_mb_size: int
    eval_mb_size: int
    replay_size: int
    replay_batch: int
    plugins: Sequence[SupervisedPlugin] = ()
    optimisation: Mapping[str, Any] = field(default_factory=dict)

    def arguments(self, plugins: Sequence[SupervisedPlugin] = ()) -> dict[str, Any]:
        """The keyword arguments that Avalanche's strategies share, these plugins before the user's."""
        return {
            "model": self.model,
            "optimizer": starting_optimizer(self.model),
            "criterion": self.criterion,
            "train_mb_size": self.train_mb_size,
            "eval_mb_size": self.eval_mb_size,
            "device": self.device,
            "evaluator": self.evaluator,
            "plugins": [*plugins, *self.plugins, FreshViews()],
        }

    def optimised(self, plugins: Sequence[SupervisedPlugin] = ()) -> dict[str, Any]:
        """The same with the plugin that trains a strategy, where that keeps the optimizer it is handed."""
        arguments = self.arguments(plugins)
        arguments["plugins"].append(Optimisation(**self.optimisation))
        return arguments
