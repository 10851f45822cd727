from pathlib import Path

import torch

from onehead_avl.system.ranks import Ranks


def test_a_step_of_two_processes_is_that_of_one(torchrun):
    process = torchrun(Path(__file__).with_name("sharing.py"))
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert all(f"process {rank} of 2 agrees" in out for rank in range(2))


def test_one_process_computes_all_by_itself():
    images = torch.randn(3, 2)
    ranks = Ranks()
    assert ranks.shared(lambda given: given, images, torch.nn.Linear(1, 1)) is images
    assert ranks.whole(images, 3, torch.nn.Linear(1, 1)) is images
    assert (ranks.any(True), ranks.any(False)) == (True, False)
    ranks.wait()
