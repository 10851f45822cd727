"""``python -m onehead_avl.predict``: what saved weights see in any pictures."""

import argparse
import sys
from pathlib import Path

from onehead_avl.command import add_kinds, add_weights, importing, run_command
from onehead_avl.errors import UsageError
from onehead_avl.system.called import called
from onehead_avl.system.device_names import DEVICES, wrong_device


def main() -> None:
    """Draw predictions on pictures, and write them as masks and JSON."""
    parser = argparse.ArgumentParser(
        prog=called("predict"),
        description="Write what saved weights see in pictures: drawn, as masks, and as one predictions.json.",
    )
    parser.add_argument("pictures", nargs="+", type=Path, metavar="PICTURE|FOLDER")
    add_weights(parser)
    add_kinds(parser)
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="a new or empty folder")
    parser.add_argument(
        "--heads", nargs="+", default=["all"], metavar="HEAD", help="parts of the output to show; default: all"
    )
    parser.add_argument("--device", default="auto", metavar="|".join(DEVICES), help="default: auto")
    arguments = parser.parse_args()
    if wrong := wrong_device(arguments.device):
        raise UsageError(*wrong)

    with importing("torch"):
        from onehead_avl.runs.predictions import write_predictions  # slow to import

    print(
        write_predictions(
            arguments.weights,
            arguments.pictures,
            arguments.output,
            arguments.heads,
            arguments.device,
            arguments.kind,
            arguments.model,
        )
    )


if __name__ == "__main__":
    sys.exit(run_command(main))
