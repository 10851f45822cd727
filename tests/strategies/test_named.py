from pathlib import Path

import pytest
from avalanche.training.plugins import ReplayPlugin

from onehead_avl.config import Config
from strategies.memory import SegmentationBuffer
from strategies.named import STRATEGIES


def test_the_default_strategy_has_a_name():
    assert set(Config().strategy) <= set(STRATEGIES)


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_strategy_says_what_it_does_and_makes_new_plugins_each_time(name):
    named = STRATEGIES[name]
    assert named.summary
    first, second = named.plugins(Config()), named.plugins(Config())
    assert len(first) == len(second)
    assert not {id(plugin) for plugin in first} & {id(plugin) for plugin in second}


def test_naive_has_no_plugins():
    assert STRATEGIES["naive"].plugins(Config()) == []


def test_replay_is_avalanches_plugin_with_a_memory_of_segmentation():
    (plugin,) = STRATEGIES["replay"].plugins(Config(replay_size=30, replay_batch=5))
    assert type(plugin) is ReplayPlugin
    assert type(plugin.storage_policy) is SegmentationBuffer
    assert (plugin.mem_size, plugin.storage_policy.max_size, plugin.batch_size_mem) == (30, 30, 5)
    assert plugin.batch_size is None  # as many of the current task as without replay


def test_replay_stays_within_the_challenge_by_default():
    for data in (None, Path("data")):
        (plugin,) = STRATEGIES["replay"].plugins(Config(data=data).resolved())
        assert 1 <= plugin.batch_size_mem <= 10
