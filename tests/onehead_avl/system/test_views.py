import pytest
import torch
from torch.utils.data import DataLoader

from onehead_avl.kinds.kind import kind_of
from onehead_avl.system.views import VIEWS, Views
from onehead_avl.target import collate
from scenarios.dataset import TrainingSet
from scenarios.drawn.embedded import drawn


@pytest.fixture
def samples():
    return TrainingSet(drawn("detection", "train", size=32, count=12), kind_of("detection"), task=1, tasks=3, size=32)


def pictures(samples, workers=0):
    class Labelled(torch.utils.data.Dataset):
        def __len__(self):
            return len(samples)

        def __getitem__(self, index):
            return (*samples.augmented(index), 1)

    loader = DataLoader(Labelled(), batch_size=4, num_workers=workers, collate_fn=collate)
    return torch.cat([images for images, *_ in loader])


def test_without_a_seed_views_are_drawn_from_the_global_state(samples):
    torch.manual_seed(0)
    first, second = samples.augmented(0)[0], samples.augmented(0)[0]
    assert not torch.equal(first, second)
    torch.manual_seed(0)
    assert torch.equal(first, samples.augmented(0)[0])


def test_with_a_seed_a_view_depends_on_the_seed_and_the_picture_alone(samples):
    with VIEWS.fixed(3):
        first = samples.augmented(0)[0]
        for other in (1, 5):
            samples.augmented(other)
        torch.rand(7)
        assert torch.equal(first, samples.augmented(0)[0])
    with VIEWS.fixed(4):
        assert not torch.equal(first, samples.augmented(0)[0])


def test_drawing_a_view_leaves_the_global_state_alone(samples):
    torch.manual_seed(0)
    before = torch.get_rng_state()
    with VIEWS.fixed(3):
        samples.augmented(0)
    assert torch.equal(before, torch.get_rng_state())


def test_pictures_get_draws_of_their_own():
    views = Views()
    drawn = []
    with views.fixed(7):
        for number in range(200):
            with views.of(number):
                drawn.append(torch.rand(()).item())
    assert len(set(drawn)) == 200
    assert 0.4 < sum(drawn) / 200 < 0.6


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
@pytest.mark.parametrize("seed", [0, 2**62 - 1])
def test_workers_draw_the_views_that_one_process_draws(seed, samples):
    with VIEWS.fixed(seed):
        alone = pictures(samples)
        for workers in (1, 2):
            assert torch.equal(alone, pictures(samples, workers))


def test_a_seed_is_drawn_from_the_global_state():
    views = Views()
    torch.manual_seed(0)
    views.draw()
    first = views.seed
    views.draw()
    assert views.seed != first
    torch.manual_seed(0)
    views.draw()
    assert views.seed == first
