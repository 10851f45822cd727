"""The builders of the named strategies: one function each, of the name in :data:`strategies.named.STRATEGIES`.

A function of a method that is plugins returns them; one of a whole strategy returns the strategy.
"""

from collections.abc import Mapping

import torch
from avalanche.core import SupervisedPlugin
from avalanche.training.plugins import (
    CWRStarPlugin,
    EWCPlugin,
    GDumbPlugin,
    GEMPlugin,
    MASPlugin,
    ReplayPlugin,
    RWalkPlugin,
)
from avalanche.training.plugins.from_scratch_training import FromScratchTrainingPlugin
from avalanche.training.supervised import Cumulative, JointTraining
from avalanche.training.templates import SupervisedTemplate

from onehead_avl.kinds import KINDS
from strategies.adapted import AGEM, DER, LFL, MIR, RAR, SI, FeatureDistillation, LaMAML, LwF
from strategies.distillation import Distillation
from strategies.isolation import Isolation
from strategies.memory import ClassBuffer, ExperienceBuffer, ReservoirBuffer, RestingReplay, segmentation_replay
from strategies.multitask import MultiTask
from strategies.named import Option
from strategies.outlines import Outlines
from strategies.setting import Setting

Options = Mapping[str, Option]
Plugins = list[SupervisedPlugin]


def naive(setting: Setting, options: Options) -> Plugins:
    """No plugins: fine-tuning."""
    return []


def from_scratch(setting: Setting, options: Options) -> SupervisedTemplate:
    """Avalanche's plugin that returns to the first weights before each experience."""
    # The optimizer is new in every experience anyway, and this plugin cannot reset one with several groups.
    return MultiTask(**setting.optimised([FromScratchTrainingPlugin(reset_optimizer=False)]))


def joint(setting: Setting, options: Options) -> SupervisedTemplate:
    """Avalanche's strategy, trained once on the whole stream."""
    return JointTraining(**setting.optimised())


def cumulative(setting: Setting, options: Options) -> SupervisedTemplate:
    """Avalanche's strategy, trained on all experiences so far."""
    return Cumulative(**setting.optimised())


def replay(setting: Setting, options: Options, plugin: type[ReplayPlugin] = ReplayPlugin) -> Plugins:
    """Avalanche's plugin with a memory of segmentation samples."""
    tasks = setting.layout.of_kind("segmentation")
    return [segmentation_replay(tasks, setting.replay_size, setting.replay_batch, plugin)]


def onehead(setting: Setting, options: Options) -> Plugins:
    """The challenge entry: isolation of neck and head, and for the backbone the replay it allows, and distillation.

    What is replayed also teaches detection.
    """
    return [
        Isolation(setting.layout, backbone=True),
        *replay(setting, options, RestingReplay),
        *distillation(setting, options),
        Outlines(setting.layout, float(options["outlines"])),
    ]


def distillation(setting: Setting, options: Options) -> Plugins:
    """This benchmark's own plugin."""
    return [Distillation(setting.layout, {kind: float(options[kind]) for kind in KINDS}, float(options["features"]))]


def isolation(setting: Setting, options: Options) -> Plugins:
    """This benchmark's own plugin."""
    return [Isolation(setting.layout)]


def replay_all(setting: Setting, options: Options) -> Plugins:
    """Avalanche's plugin with its usual memory, balanced over experiences."""
    memory = ExperienceBuffer(setting.replay_size)
    return [ReplayPlugin(setting.replay_size, batch_size_mem=setting.replay_batch, storage_policy=memory)]


def ewc(setting: Setting, options: Options) -> Plugins:
    """Avalanche's plugin with a penalty for each experience."""
    return [EWCPlugin(options["lambda"])]


def ewc_online(setting: Setting, options: Options) -> Plugins:
    """Avalanche's plugin with a single penalty."""
    return [EWCPlugin(options["lambda"], mode="online", decay_factor=options["decay"])]


def si(setting: Setting, options: Options) -> Plugins:
    """Avalanche's plugin, with copies of the weights."""
    return [SI(options["lambda"])]


def mas(setting: Setting, options: Options) -> Plugins:
    """Avalanche's plugin."""
    return [MASPlugin(options["lambda"], options["alpha"])]


def rwalk(setting: Setting, options: Options) -> Plugins:
    """Avalanche's plugin."""
    return [RWalkPlugin(options["lambda"], options["alpha"], options["delta"])]


def lwf(setting: Setting, options: Options) -> Plugins:
    """Avalanche's plugin, for every old task."""
    return [LwF(float(options["alpha"]), float(options["temperature"]))]


def lfl(setting: Setting, options: Options) -> Plugins:
    """Avalanche's plugin, freezing the output convolution."""
    return [LFL(options["lambda"])]


def feature_distillation(setting: Setting, options: Options) -> Plugins:
    """Avalanche's plugin on the features that the head sees."""
    return [FeatureDistillation(options["alpha"])]


def gem(setting: Setting, options: Options) -> Plugins:
    """Avalanche's plugin, which needs a solver of quadratic programs."""
    return [GEMPlugin(options["patterns"], options["strength"])]


def agem(setting: Setting, options: Options) -> Plugins:
    """Avalanche's plugin, which flattens gradients in a way that only contiguous ones allow."""
    setting.model.to(memory_format=torch.contiguous_format)
    return [AGEM(options["patterns"], options["sample"])]


def gdumb(setting: Setting, options: Options) -> Plugins:
    """Avalanche's plugin."""
    plugin = GDumbPlugin(setting.replay_size)
    plugin.storage_policy = ClassBuffer(setting.replay_size)
    return [plugin]


def mir(setting: Setting, options: Options) -> Plugins:
    """Avalanche's plugin, told what is old."""
    return [MIR(setting.replay_batch, setting.replay_size, options["subsample"])]


def rar(setting: Setting, options: Options) -> Plugins:
    """Avalanche's plugin without its adversarial samples, which need integer targets."""
    # Avalanche's takes this size for the current task's share of the minibatch as well.
    size = setting.replay_size
    memory = ReservoirBuffer(size)
    return [RAR(setting.train_mb_size, size, use_adversarial_replay=False, storage_policy=memory)]


def der(setting: Setting, options: Options) -> SupervisedTemplate:
    """Avalanche's strategy without annotations of the replayed samples."""
    return derpp(setting, {**options, "beta": 0.0})


def derpp(setting: Setting, options: Options) -> SupervisedTemplate:
    """Avalanche's strategy with this benchmark's criterion."""
    return DER(**setting.optimised(), mem_size=setting.replay_size, batch_size_mem=setting.replay_batch, **options)


def cwr_star(setting: Setting, options: Options) -> Plugins:
    """Avalanche's plugin on the output convolution."""
    return [CWRStarPlugin(setting.model, cwr_layer_name=setting.model.output_layer)]


def lamaml(setting: Setting, options: Options) -> SupervisedTemplate:
    """Avalanche's strategy, first order, with replay of segmentation samples."""
    return LaMAML(
        **setting.arguments(replay(setting, options)),  # its step sizes are learned: no Optimisation
        n_inner_updates=options["updates"],
        alpha_init=options["rate"],
        lr_alpha=options["rate"],
        second_order=False,
    )
