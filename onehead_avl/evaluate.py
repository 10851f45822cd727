"""``python -m onehead_avl.evaluate``: the metrics of saved weights on any images of their experiences."""

import argparse
import sys
from pathlib import Path

from onehead_avl.command import add_weights, importing, run_command
from onehead_avl.errors import UsageError
from onehead_avl.system.called import called
from onehead_avl.system.device_names import DEVICES, wrong_device
from scenarios.description import READY_MADE, read_description


def main() -> None:
    """Evaluate saved weights and print a table."""
    parser = argparse.ArgumentParser(
        prog=called("evaluate"),
        description="Print the metrics of saved weights on the images of a stream.",
    )
    add_weights(parser)
    parser.add_argument(
        "--stream",
        default="challenge",
        metavar="NAME|FILE",
        help=f"where the experiences have their images: {', '.join(READY_MADE)}, or a description FILE.yaml; "
        "default: challenge",
    )
    parser.add_argument(
        "--data-root",
        type=Path,
        metavar="DIR",
        help="folder to score on, for the streams that have a name; without it the embedded data set",
    )
    parser.add_argument(
        "--tasks", nargs="+", default=["all"], metavar="EXPERIENCE", help="experiences to score; default: all"
    )
    parser.add_argument("--split", default="val", choices=["val", "train"], help="default: val")
    parser.add_argument("--batch-size", type=int, default=16, metavar="N", help="default: 16")
    parser.add_argument("--device", default="auto", metavar="|".join(DEVICES), help="default: auto")
    arguments = parser.parse_args()
    if arguments.batch_size < 1:
        raise UsageError(f"--batch-size expects at least 1, got {arguments.batch_size}")
    if wrong := wrong_device(arguments.device):
        raise UsageError(*wrong)
    description = read_description(arguments.stream)
    if arguments.data_root is not None and description.file is not None:
        raise UsageError(
            f"--data-root is for the streams that have a name, but {arguments.stream} says itself where its images are"
        )

    with importing("torch"):
        from onehead_avl.runs.offline import evaluate  # slow to import

    print(
        evaluate(
            arguments.weights,
            description,
            arguments.data_root,
            arguments.tasks,
            arguments.split,
            arguments.batch_size,
            arguments.device,
            arguments.model,
            tell=lambda line: print(f"note: {line}", file=sys.stderr),
        )
    )


if __name__ == "__main__":
    sys.exit(run_command(main))
