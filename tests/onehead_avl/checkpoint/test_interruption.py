import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from strategies.named import STRATEGIES

LIVES = Path(__file__).with_name("lives.py")
ROOT = LIVES.parents[3]
ALL = [*STRATEGIES, "replay+lwf", "replay+ewc", "onehead@four", "lwf@night"]
"""``@`` a stream in which segmentation returns, with another head or with its own."""


def lives(folder, kills, strategies):
    folder.mkdir()
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"}
    command = [sys.executable, str(LIVES), str(folder), str(kills), *strategies]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.slow
def test_a_run_that_is_killed_again_and_again_ends_as_if_it_had_not_been(tmp_path):
    halves = ALL[::2], ALL[1::2]
    with ThreadPoolExecutor() as pool:  # two processes, each of which waits for one run at a time
        ran = pool.map(lives, (tmp_path / "first", tmp_path / "second"), (2, 2), halves)
        found = [each for half in ran for each in half]
    assert [each["strategy"] for each in found] == [*halves[0], *halves[1]]
    wrong = [each for each in found if each["last"] != 0 or each["different"] or each["left"]]
    assert wrong == []
    kills = sum(status == -9 for each in found for status in each["ended"])
    print(f"\n{kills} kills of {len(ALL)} strategies survived")
    assert {status for each in found for status in each["ended"]} <= {-9, 0}
    assert kills >= 40
