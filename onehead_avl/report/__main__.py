"""``python -m onehead_avl.report``: the reports of runs and comparisons, made anew from what they left."""

import argparse
import sys
from pathlib import Path

from onehead_avl.command import importing, run_command
from onehead_avl.system.called import called


def main() -> None:
    """Write ``report.html`` into each folder."""
    parser = argparse.ArgumentParser(
        prog=called("report"),
        description="Write report.html into the folder of each run or comparison, from the files that lie there.",
    )
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER", help="of a run, or of a comparison")
    arguments = parser.parse_args()

    with importing("torch"):
        from onehead_avl.runs.reporting import write_report  # slow to import

    for folder in arguments.folders:
        print(f"written to {write_report(folder)}")


if __name__ == "__main__":
    sys.exit(run_command(main))
