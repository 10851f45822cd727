"""``python -m onehead_avl.evaluate``: the metrics of saved weights on any data folder."""

import argparse
import sys
from pathlib import Path

from onehead_avl.command import quiet_third_parties, run_command
from onehead_avl.errors import UsageError
from onehead_avl.tasks import Task


def main() -> None:
    """Evaluate saved weights and print a table."""
    parser = argparse.ArgumentParser(
        prog="python -m onehead_avl.evaluate",
        description="Print mIoU, mAP and Top-1 of saved weights on a data folder.",
    )
    parser.add_argument("--weights", type=Path, required=True, metavar="FILE", help="model.safetensors of a run")
    parser.add_argument(
        "--data-root", type=Path, metavar="DIR", help="folder to score on; without it the embedded data set"
    )
    parser.add_argument(
        "--tasks", nargs="+", default=["all"], choices=["all", *(task.key for task in Task)], help="default: all"
    )
    parser.add_argument("--split", default="val", choices=["val", "train"], help="default: val")
    parser.add_argument("--batch-size", type=int, default=16, metavar="N", help="default: 16")
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"], help="default: auto")
    arguments = parser.parse_args()
    if arguments.batch_size < 1:
        raise UsageError(f"--batch-size expects at least 1, got {arguments.batch_size}")

    print("loading torch", file=sys.stderr)
    quiet_third_parties()
    from onehead_avl.offline import evaluate  # slow to import

    tasks = list(Task) if "all" in arguments.tasks else [Task.from_key(key) for key in arguments.tasks]
    print(
        evaluate(arguments.weights, arguments.data_root, tasks, arguments.split, arguments.batch_size, arguments.device)
    )


if __name__ == "__main__":
    sys.exit(run_command(main))
