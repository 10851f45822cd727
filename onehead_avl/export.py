"""``python -m onehead_avl.export``: saved weights as a file that other programs run."""

import argparse
import sys
from pathlib import Path

from onehead_avl.command import quiet_third_parties, run_command


def main() -> None:
    """Write saved weights as ONNX or as a program of ``torch.export``."""
    parser = argparse.ArgumentParser(
        prog="python -m onehead_avl.export",
        description="Write saved weights as a file that other programs run without this package.",
    )
    parser.add_argument("--weights", type=Path, required=True, metavar="FILE", help="model.safetensors of a run")
    parser.add_argument(
        "--output", type=Path, required=True, metavar="FILE", help="model.onnx, or model.pt2 for torch.export"
    )
    parser.add_argument(
        "--kind",
        nargs="+",
        default=[],
        metavar="MODULE:CLASS",
        help="kinds that are none of this package's, for weights that were learned with them",
    )
    parser.add_argument(
        "--model",
        metavar="MODULE:CLASS",
        help="what builds the network from the layout, for weights of one that is none of this package's",
    )
    arguments = parser.parse_args()

    print("loading torch", file=sys.stderr)
    quiet_third_parties()
    from onehead_avl.model.exported import export  # slow to import
    from onehead_avl.model.saved import load_model

    export(load_model(arguments.weights, arguments.kind, arguments.model), arguments.output)
    print(f"written to {arguments.output}, which says what the weights say")


if __name__ == "__main__":
    sys.exit(run_command(main))
