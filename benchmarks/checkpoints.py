"""What share of training checkpoints take: ``python benchmarks/checkpoints.py [OPTIONS OF THE BENCHMARK]``.

Runs the benchmark on the embedded pictures, counts the time spent in saving, and relates it to the time of training
within the same run.
"""

import tempfile
import time
from pathlib import Path

from onehead_avl.checkpoint.plugin import Checkpoints
from onehead_avl.command import quiet_third_parties
from onehead_avl.runs.config import Config
from onehead_avl.runs.identity import Identities
from onehead_avl.runs.run import run
from scenarios.reading import read_stream


def main() -> None:
    quiet_third_parties()
    config = Config.from_arguments().resolved()
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

    Checkpoints._save, Checkpoints.stage_ended = timed, counted  # type: ignore[method-assign]
    with tempfile.TemporaryDirectory() as folder:
        stream = read_stream(config.placed(), tell=print)
        run(config, stream, Path(folder), Identities(stream).of(config))
    print(f"{config.strategy[0]}: {saves} checkpoints of {spent / saves * 1000:.0f} ms")
    print(f"{spent:.1f} s of {trained:.1f} s of training: {spent / trained:.1%}")


if __name__ == "__main__":
    main()
