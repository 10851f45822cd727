import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from strategies.named import STRATEGIES

LIVES = Path(__file__).with_name("lives.py")
ROOT = LIVES.parents[3]
ALL = [*STRATEGIES, "replay+lwf", "replay+ewc", "onehead@four", "lwf@night"]
"""``@`` a stream in which segmentation returns, with another head or with its own."""


def lives(folder, kills, strategies):
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"}
    command = [sys.executable, str(LIVES), str(folder), str(kills), *strategies]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_run_that_is_killed_again_and_again_ends_as_if_it_had_not_been(tmp_path):
    found = lives(tmp_path, 3, ALL)
    assert [each["strategy"] for each in found] == ALL
    wrong = [each for each in found if each["last"] != 0 or each["different"] or each["left"]]
    assert wrong == []
    kills = sum(status == -9 for each in found for status in each["ended"])
    print(f"\n{kills} kills of {len(ALL)} strategies survived")
    assert {status for each in found for status in each["ended"]} <= {-9, 0}
    assert kills >= 50
