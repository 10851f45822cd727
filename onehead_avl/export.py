"""``python -m onehead_avl.export``: saved weights as a file that other programs run."""

import argparse
import sys
from pathlib import Path

from onehead_avl.command import add_kinds, add_weights, importing, run_command
from onehead_avl.system.called import called


def main() -> None:
    """Write saved weights as ONNX or as a program of ``torch.export``."""
    parser = argparse.ArgumentParser(
        prog=called("export"),
        description="Write saved weights as a file that other programs run without this package.",
    )
    add_weights(parser)
    add_kinds(parser)
    parser.add_argument(
        "--output", type=Path, required=True, metavar="FILE", help="model.onnx, or model.pt2 for torch.export"
    )
    arguments = parser.parse_args()

    with importing("torch"):
        from onehead_avl.model.exported import export  # slow to import
        from onehead_avl.model.saved import load_model

    export(load_model(arguments.weights, arguments.kind, arguments.model), arguments.output)
    print(f"written to {arguments.output}, which says what the weights say")


if __name__ == "__main__":
    sys.exit(run_command(main))
