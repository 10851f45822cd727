import pytest
import torch

from onehead_avl.model.layout import Layout
from onehead_avl.tasks import Task

LAYOUTS = [Layout(4, 3, 6), Layout(21, 10, 10), Layout(1, 1, 1)]


@pytest.fixture(params=LAYOUTS, ids=str)
def layout(request):
    return request.param


@pytest.fixture
def numbered(layout):
    """An output whose every value is the number of its channel."""
    return torch.arange(float(layout.channels))[None, :, None, None].expand(2, -1, 3, 5)


def test_channels_are_counted():
    assert Layout(21, 10, 7).channels == 21 + 5 + 10 + 7


def test_the_tasks_share_out_all_channels(layout):
    assert [channel for task in Task for channel in layout.of(task)] == list(range(layout.channels))


def test_each_task_has_its_own_number_of_channels(layout):
    assert [len(layout.of(task)) for task in Task] == [layout.n_seg, 5 + layout.n_det, layout.n_cls]


def test_the_views_agree_with_the_channels_of_each_task(layout, numbered):
    boxes, confidence, classes = layout.detection(numbered)
    views = {
        Task.SEG: layout.segmentation(numbered)[0, :, 0, 0],
        Task.DET: torch.cat([boxes[0, :, 0, 0], confidence[0, :1, 0], classes[0, :, 0, 0]]),
        Task.CLS: layout.classification(numbered)[0],
    }
    for task, view in views.items():
        assert view.tolist() == list(layout.of(task)), task


def test_the_views_have_their_shapes(layout, numbered):
    assert layout.segmentation(numbered).shape == (2, layout.n_seg, 3, 5)
    boxes, confidence, classes = layout.detection(numbered)
    assert boxes.shape == (2, 4, 3, 5)
    assert confidence.shape == (2, 3, 5)
    assert classes.shape == (2, layout.n_det, 3, 5)
    assert layout.classification(numbered).shape == (2, layout.n_cls)


def test_classification_is_the_mean_over_all_cells(layout):
    output = torch.randn(2, layout.channels, 3, 5, generator=torch.Generator().manual_seed(0))
    expected = torch.stack([sum(output[i, -layout.n_cls :, y, x] for y in range(3) for x in range(5)) for i in (0, 1)])
    torch.testing.assert_close(layout.classification(output), expected / 15)
