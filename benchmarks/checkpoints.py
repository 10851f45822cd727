"""What share of training checkpoints take: ``python benchmarks/checkpoints.py [STRATEGY] [SIZE]``.

Trains short stages on the embedded pictures as the benchmark does, counts the time spent in saving, and relates it to
the time of training within one run. A real run has larger pictures, so a smaller share.
"""

import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from onehead_avl.checkpoint.plugin import Checkpoints
from onehead_avl.command import quiet_third_parties
from onehead_avl.config import Config
from onehead_avl.run import run
from onehead_avl.tasks import Task
from scenarios.embedded import embedded_data


def main() -> None:
    quiet_third_parties()
    strategy = sys.argv[1] if len(sys.argv) > 1 else "onehead"
    size = int(sys.argv[2]) if len(sys.argv) > 2 else 128
    spent, trained, saves = 0.0, 0.0, 0
    save, ended = Checkpoints._save, Checkpoints.stage_ended

    def timed(self, *arguments, **options):
        nonlocal spent, saves
        start = time.perf_counter()
        save(self, *arguments, **options)
        spent += time.perf_counter() - start
        saves += 1

    def counted(self, *arguments):
        nonlocal trained
        ended(self, *arguments)
        trained += self.seconds

    Checkpoints._save, Checkpoints.stage_ended = timed, counted
    config = Config(strategy=(strategy,), epochs=(2,), image_size=size).resolved()
    if size >= 256:
        config = replace(config, batch_size=16, replay_batch=8)
    with tempfile.TemporaryDirectory() as folder:
        run(config, [embedded_data(task, size=size) for task in Task], Path(folder))
    print(f"{strategy}, {size} px: {saves} checkpoints of {spent / saves * 1000:.0f} ms")
    print(f"{spent:.1f} s of {trained:.1f} s of training: {spent / trained:.1%}")


if __name__ == "__main__":
    main()
