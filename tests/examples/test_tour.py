"""The notebook runs from its first cell to its last, and shows what it says."""

import os
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[2]
TOUR = ROOT / "examples" / "tour.ipynb"


@pytest.fixture(scope="module")
def tour():
    """The notebook with what its cells said."""
    with pytest.MonkeyPatch.context() as patch:
        paths = (str(ROOT), os.environ.get("PYTHONPATH", ""))
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))
        patch.setenv("PYTHONWARNINGS", "ignore")  # of third parties, which a notebook shows between its lines
        return NotebookClient(nbformat.read(TOUR, as_version=4), timeout=300, kernel_name="python3").execute()


def outputs(tour, kind):
    return [
        each for cell in tour.cells if cell.cell_type == "code" for each in cell.outputs if each.output_type == kind
    ]


@pytest.mark.slow
def test_it_shows_pictures_of_every_experience_after_every_stage_and_two_charts(tour):
    pictures = [each for each in outputs(tour, "display_data") if "image/png" in each.data]
    assert len(pictures) == 3 + 1 + 2


def test_it_says_how_good_every_stage_was(tour):
    said = "".join(each.text for each in outputs(tour, "stream") if each.name == "stdout")
    lines = [line for line in said.splitlines() if line.startswith("after ")]
    assert [line.split()[1] for line in lines] == ["seg:", "det:", "cls:"]
    assert all(name in line for line in lines for name in ("mIoU", "AP50", "Top1"))


def test_it_is_kept_without_what_its_cells_said():
    notebook = nbformat.read(TOUR, as_version=4)
    nbformat.validate(notebook)
    assert all(not cell.outputs and cell.execution_count is None for cell in notebook.cells if cell.cell_type == "code")
