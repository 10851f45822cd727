"""Runs that are killed and continued: ``python lives.py FOLDER KILLS STRATEGY...``, see ``test_interruption.py``.

A strategy learns the challenge's stream, and one that is written ``NAME@STREAM`` another one, of ``STREAMS``. It runs
once undisturbed, and once in processes that are killed: one at a random moment, the next one before a random call that
writes a checkpoint, and so on in turn; then in one that ends by itself. A line of JSON is printed for each strategy.
"""

import gc
import json
import math
import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path

import onehead_avl.checkpoint.plugin
import onehead_avl.runs.run
import onehead_avl.runs.summary
import onehead_avl.runs.writing
import strategies.methods  # imported once, before all forks
from onehead_avl.kinds import KINDS
from onehead_avl.kinds.kind import kind_of
from onehead_avl.runs.config import Config
from onehead_avl.runs.identity import Identities
from scenarios.drawn.embedded import COUNTS
from scenarios.reading import read_stream

SIZE = 32

STREAMS = {
    "four": """
experiences:
  - {name: seg-1, kind: segmentation, format: drawn, classes: 1/2}
  - {name: det, kind: detection, format: drawn}
  - {name: seg-2, kind: segmentation, format: drawn, classes: 2/2}
  - {name: cls, kind: classification, format: drawn}
""",
    "night": """
experiences:
  - {name: seg, kind: segmentation, format: drawn}
  - {name: cls, kind: classification, format: drawn}
  - {name: seg-night, kind: segmentation, format: drawn, domain: night, head: seg}
""",
}


def config_of(name, resume):
    strategy, _, stream = name.partition("@")
    return Config(
        stream=str(ROOT / f"{stream}.yaml") if stream else "challenge",
        strategy=(strategy,), epochs=(2,), image_size=SIZE, batch_size=4, replay_size=48 if stream else 24,
        replay_batch=2, eval_every=1 if strategy == "replay" else 0, checkpoint_every=1, resume=resume,
        output=Path("x"), device="cpu", set=("rwalk.delta=1",) if strategy == "rwalk" else (),
    ).resolved()  # fmt: skip


def life(strategy, folder, resume, write_calls=None):
    """Run in a forked process; its number."""
    child = os.fork()
    if child:
        return child
    sys.stdout = sys.stderr = open(folder.parent / f"{folder.parent.name}.txt", "a")  # noqa: SIM115
    if write_calls is not None:
        left = [write_calls]

        def dying(call):
            def counted(*arguments, **options):
                left[0] -= 1
                if left[0] < 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                return call(*arguments, **options)

            return counted

        os.fsync, os.replace, os.rename = dying(os.fsync), dying(os.replace), dying(os.rename)
    status = 1
    try:
        config = config_of(strategy, resume)
        stream = read_stream(config.placed(), print)
        onehead_avl.runs.run.run(config, stream, folder, Identities(stream).of(config))
        status = 0
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(status)


def ended(child):
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def state(folder):
    files = ["log.txt", "metrics.csv", "training_results.csv", "eval_results.csv", "model.safetensors"]
    found = {name: (folder / name).read_bytes().hex() for name in files}
    results = json.loads((folder / "results.json").read_text())
    del results["peak_memory_bytes"]
    for stage in results["stages"]:
        del stage["seconds"]
    results["checklist"] = [rule for rule in results["checklist"] or () if rule["name"] != "training time"]
    return found | results


def try_strategy(root, strategy, kills, chance):
    folders = [root / strategy / name / "run" for name in ("undisturbed", "killed")]
    for folder in folders:
        folder.mkdir(parents=True)
    start = time.monotonic()
    assert ended(life(strategy, folders[0], resume=False)) == 0, f"{strategy} fails undisturbed"
    seconds = time.monotonic() - start
    wanted, killed = state(folders[0]), []
    for number in range(kills):
        by_call = number % 2 == 1
        child = life(strategy, folders[1], number > 0, chance.randrange(30) if by_call else None)
        if not by_call:
            time.sleep(chance.uniform(0.1, 0.9 if number == 0 else 0.4) * seconds)
            os.kill(child, signal.SIGKILL)
        status = ended(child)
        killed.append(status)
        if status == 0:
            break
    last = 0 if killed[-1] == 0 else ended(life(strategy, folders[1], resume=True))
    found = state(folders[1]) if last == 0 else {}
    left = [entry.name for entry in folders[1].iterdir() if entry.name == "checkpoints"]
    different = sorted(name for name in wanted if found.get(name) != wanted[name])
    print(json.dumps({"strategy": strategy, "ended": killed, "last": last, "different": different, "left": left}))
    sys.stdout.flush()
    if last == 0 and not different:
        shutil.rmtree(root / strategy)


if __name__ == "__main__":
    root, kills, *strategies = sys.argv[1:]
    ROOT = Path(root)
    for name, described in STREAMS.items():
        (ROOT / f"{name}.yaml").write_text(described)
    onehead_avl.runs.summary.latency = lambda model, layout, device: 1.0  # a measurement of seconds
    # Drawn from the files that are compared, and a third of the time of runs so small.
    onehead_avl.runs.run.write_report = lambda folder: None
    onehead_avl.runs.writing.save_figure = lambda figure, path: None
    onehead_avl.checkpoint.plugin.SHARE = math.inf
    COUNTS.update(train=8, val=2)
    for kind in KINDS:
        kind_of(kind)
    gc.freeze()  # a collector that looks at all that was imported copies its memory in every process
    chance = random.Random(" ".join(strategies))
    for strategy in strategies:
        try_strategy(ROOT, strategy, int(kills), chance)
