import pytest
import torch

import onehead_avl.runs.preparation
from onehead_avl.runs.config import Config
from onehead_avl.runs.preparation import prepare
from scenarios.drawn.embedded import COUNTS
from scenarios.reading import read_stream

ELSEWHERE = torch.device("meta")
"""Stands in for a GPU."""


@pytest.mark.parametrize("strategy", ["joint", "replay"])
def test_the_network_is_on_the_device_before_the_strategy_evaluates_it_for_the_first_time(strategy, monkeypatch):
    monkeypatch.setattr(onehead_avl.runs.preparation, "choose_device", lambda device: ELSEWHERE)
    # There is nothing to compute there.
    monkeypatch.setattr(onehead_avl.runs.preparation, "require_network", lambda *arguments: None)
    for split in COUNTS:
        monkeypatch.setitem(COUNTS, split, 2)
    config = Config(strategy=(strategy,), image_size=32).resolved()
    prepared = prepare(config, read_stream(config.placed(), tell=print))
    assert {weight.device for weight in prepared.strategy.model.state_dict().values()} == {ELSEWHERE}
