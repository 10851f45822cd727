"""Avalanche's methods that need a little help with an output that is a map and targets that are no integers."""

import copy
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import torch
from avalanche.benchmarks.utils import (
    AvalancheDataset,
    DataAttribute,
    TaskAwareSupervisedClassificationDataset,
    TaskLabels,
)
from avalanche.models.base_model import BaseModel
from avalanche.training.plugins import (
    AGEMPlugin,
    FeatureDistillationPlugin,
    LFLPlugin,
    LwFPlugin,
    MIRPlugin,
    RARPlugin,
    SynapticIntelligencePlugin,
)
from avalanche.training.regularization import LearningWithoutForgetting
from avalanche.training.supervised.der import DER as AvalancheDER
from avalanche.training.supervised.lamaml import LaMAML as AvalancheLaMAML
from avalanche.training.templates import SupervisedTemplate
from avalanche.training.utils import ParamData
from torch import Tensor, nn
from torch.nn.functional import mse_loss
from torch.utils.data import Dataset

from onehead_avl.system.savable import savable
from onehead_avl.system.views import VIEWS
from onehead_avl.target import Target, collate
from strategies.memory import Endless


class LwF(LwFPlugin):
    """Learning without forgetting for every old task: Avalanche's distils only task 0 of a model with one output."""

    def __init__(self, alpha: float, temperature: float) -> None:
        super().__init__(alpha, temperature)
        self.lwf = _LwFOfEveryTask(alpha, temperature)


class _LwFOfEveryTask(LearningWithoutForgetting):
    def _distillation_loss(self, out: Tensor, prev_out: Tensor, active_units) -> Tensor:
        # The mean over cells: Avalanche's sums over all but the batch, which would tie alpha to the resolution.
        return super()._distillation_loss(out, prev_out, active_units) / (out.shape[-2] * out.shape[-1])

    def _lwf_penalty(self, out: Tensor, x: Tensor, curr_model: nn.Module) -> Tensor | int:
        if self.prev_model is None:
            return 0
        with torch.no_grad():
            before = self.prev_model(x)
        # Tasks that share channels are kept as one.
        parts = {frozenset(units): units for units in self.prev_classes_by_task.values()}
        return sum(self._distillation_loss(out, before, units) for units in parts.values())


class SI(SynapticIntelligencePlugin):
    """Synaptic intelligence; on a CPU Avalanche's notes of old weights are the weights, so that none ever moves."""

    def before_training_exp(self, strategy: SupervisedTemplate, **kwargs) -> None:
        """Note the weights at the start of the experience."""
        super().before_training_exp(strategy, **kwargs)
        _copy(self.ewc_data[0])

    def before_training_iteration(self, strategy: SupervisedTemplate, **kwargs) -> None:
        """Note the weights before the step."""
        super().before_training_iteration(strategy, **kwargs)
        _copy(self.syn_data["old_theta"])

    def after_training_exp(self, strategy: SupervisedTemplate, **kwargs) -> None:
        """Note what was learned; a copy, as a run that continues here has one."""
        super().after_training_exp(strategy, **kwargs)
        _copy(self.syn_data["new_theta"])


def _copy(notes: dict[str, ParamData]) -> None:
    for note in notes.values():
        note.data = note.data.clone()


class LFL(LFLPlugin):
    """Less-forgetful learning; the layer it freezes is a convolution, where Avalanche's looks for a linear one."""

    def before_training(self, strategy: SupervisedTemplate, **kwargs) -> None:
        """Have Avalanche take the network for one of its models: it has the ``get_features`` that is asked of these."""
        BaseModel.register(type(strategy.model))
        super().before_training(strategy, **kwargs)

    def after_training_exp(self, strategy: SupervisedTemplate, **kwargs) -> None:
        """Keep the model, and freeze the output layer."""
        self.prev_model = copy.deepcopy(strategy.model).requires_grad_(False)
        strategy.model.last.requires_grad_(False)


class FeatureDistillation(FeatureDistillationPlugin):
    """Distillation of the features that the head sees: Avalanche's asks the model for a ``features`` attribute.

    The model has it during the loss alone: a tensor with a graph cannot be copied with a model, and other plugins copy
    models and run them.
    """

    def before_training(self, strategy: SupervisedTemplate, **kwargs) -> None:
        """Have the model remember its features."""
        if not hasattr(strategy.model, "features"):
            strategy.model.head.register_forward_pre_hook(_remember)
            strategy.model.register_forward_hook(_show)

    def after_forward(self, strategy: SupervisedTemplate, **kwargs) -> None:
        """Take the features of the minibatch."""
        self._features, strategy.model.features = strategy.model.features, None

    def before_backward(self, strategy: SupervisedTemplate, **kwargs) -> None:
        """Add the loss of the features."""
        strategy.model.features = self._features
        super().before_backward(strategy, **kwargs)
        strategy.model.features = self._features = None


@savable
def _remember(head: Any, inputs: tuple) -> None:
    (head.input,) = inputs


@savable
def _show(model: Any, inputs: tuple, output: Tensor) -> None:
    model.features, model.head.input = model.head.input, None


class MIR(MIRPlugin):
    """Maximally interfered retrieval; Avalanche's goes by integer targets to tell what is old, and by all weights."""

    def before_backward(self, strategy: SupervisedTemplate, **kwargs) -> None:
        """Add the loss of the samples that the next step would harm most; it will not change what is frozen."""
        model = strategy.model
        strategy.model = _Learning(model)
        super().before_backward(strategy, **kwargs)
        strategy.model = model

    def after_training_exp(self, strategy: SupervisedTemplate, **kwargs) -> None:
        """Take samples of the experience that ends into the memory, all of which is old to the next one."""
        self.storage_policy.post_adapt(strategy, strategy.experience)
        self.replay_loader = Endless([self.storage_policy.buffer], self.subsample)


class _Learning(nn.Module):
    """A model, of the parameters of which only those are seen that learn."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: Tensor) -> Tensor:
        return self.model(image)

    def parameters(self, recurse: bool = True) -> Iterator[nn.Parameter]:
        return (parameter for parameter in super().parameters(recurse) if parameter.requires_grad)


class AGEM(AGEMPlugin):
    """Averaged gradient episodic memory; the iterator over its memory can be saved, which Avalanche's cannot."""

    def update_memory(self, dataset: AvalancheDataset, **kwargs) -> None:
        """Take samples of the experience that ends into the memory."""
        super().update_memory(dataset)
        self.buffer_dataloader = None
        self.buffer_dliter = Endless(self.buffers, max(1, self.sample_size // len(self.buffers)))


class RAR(RARPlugin):
    """Retrospective adversarial replay without its adversarial samples, for which Avalanche's draws from the memory."""

    def before_training_exp(self, strategy: SupervisedTemplate, **kwargs) -> None:
        """Mix samples of the memory into the minibatches."""
        super().before_training_exp(strategy, **kwargs)
        self.replay_loader = None

    def before_backward(self, strategy: SupervisedTemplate, **kwargs) -> None:
        """Nothing: no sample is perturbed."""


class DER(AvalancheDER):
    """Dark experience replay; Avalanche's has the cross-entropy of classifiers built in.

    A stored output belongs to one view of its picture, so that view is stored with it: another one, cropped and
    flipped anew, would have another map.
    """

    training_epoch = SupervisedTemplate.training_epoch

    def _before_training_exp(self, **kwargs) -> None:
        memory = self.storage_policy.buffer
        enough = len(memory) >= self.batch_size_mem
        self.replay_loader = Endless([memory], self.batch_size_mem) if enough else None
        SupervisedTemplate._before_training_exp(self, **kwargs)

    def criterion(self) -> Tensor:
        """The loss of the current minibatch, and while training that of the replayed samples before it."""
        if not self.is_training or self.replay_loader is None:
            return super().criterion()
        n = self.batch_size_mem
        return (
            self._criterion(self.mb_output[n:], self.mb_y[n:])
            + self.alpha * mse_loss(self.mb_output[:n], self.batch_logits)
            + self.beta * self._criterion(self.mb_output[:n], self.mb_y[:n])
        )

    def _after_training_exp(self, **kwargs) -> None:
        self.replay_loader = None
        views = SimpleNamespace(dataset=_drawn_once(self.experience.dataset))
        self.storage_policy.update(
            SimpleNamespace(experience=views, model=self.model, train_mb_size=self.train_mb_size, device=self.device)
        )
        SupervisedTemplate._after_training_exp(self, **kwargs)


def _drawn_once(dataset: TaskAwareSupervisedClassificationDataset) -> TaskAwareSupervisedClassificationDataset:
    """One view of every sample, the same each time it is asked for."""
    return TaskAwareSupervisedClassificationDataset(
        [_Views(dataset)],
        data_attributes=[
            DataAttribute(list(dataset.targets), "targets"),
            TaskLabels(list(dataset.targets_task_labels)),
        ],
        collate_fn=collate,
    )


@savable
class _Views(Dataset):
    """Draws one view of all samples again and again, from a seed: that needs less memory than pictures."""

    def __init__(self, dataset: AvalancheDataset) -> None:
        self._dataset = dataset
        self._seed = int(torch.randint(2**62, ()))

    def __len__(self) -> int:
        return len(self._dataset)

    def __getitem__(self, index: int) -> tuple[Tensor, Target]:
        with VIEWS.fixed(self._seed):
            picture, target, *_ = self._dataset[index]
        return picture, target


class LaMAML(AvalancheLaMAML):
    """Look-ahead MAML from the model's own start: Avalanche's overwrites it with random weights."""

    def __init__(self, *, model: nn.Module, **kwargs) -> None:
        start = copy.deepcopy(model.state_dict())
        super().__init__(model=model, **kwargs)
        model.load_state_dict(start)

    def _after_outer_update(self, **kwargs) -> None:
        super()._after_outer_update(**kwargs)
        del self.fast_model, self.meta_losses  # they hold the graph of the step
