import pytest
import torch
from avalanche.core import SupervisedPlugin

from scenarios.experience import Stream
from strategies.named import problems_of

IMAGES = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


class Outputs(SupervisedPlugin):
    """What the network emits for some images after each experience, and what of it could learn in each."""

    def __init__(self):
        super().__init__()
        self.after, self.learning = [], []

    def before_training_epoch(self, strategy, **kwargs):
        names = [name for name, value in strategy.model.named_parameters() if value.requires_grad]
        self.learning.append({".".join(name.split(".")[: 2 if "columns" in name else 1]) for name in names})

    def after_training_exp(self, strategy, **kwargs):
        strategy.model.eval()
        with torch.no_grad():
            self.after.append(strategy.model(IMAGES))


@pytest.fixture
def outputs():
    return Outputs()


def kept(layout, outputs, task, since):
    """Whether the part of an experience is, after all that came later, what it was after some stage: bit for bit."""
    part = layout.parts[task]
    return all(torch.equal(part.of(outputs.after[since]), part.of(each)) for each in outputs.after[since + 1 :])


@pytest.mark.parametrize("name", ["isolation", "isolation+replay", "si+isolation", "isolation+lwf"])
def test_what_was_learned_is_emitted_bit_for_bit_until_the_end(name, built, learn, outputs):
    strategy = built(name)
    strategy.plugins.append(outputs)
    learn(strategy)
    layout = strategy.model.layout
    for task in range(2):
        assert kept(layout, outputs, task, since=task)
    for task in (1, 2):  # and each was learned
        part = layout.parts[task]
        assert not torch.equal(part.of(outputs.after[task - 1]), part.of(outputs.after[task]))


def test_four_experiences_with_heads_of_their_own_are_kept(built, learn, four, outputs):
    strategy = built("isolation", of=four)
    strategy.plugins.append(outputs)
    learn(strategy, of=four)
    assert [column.serves for column in strategy.model.grown] == ["det", "seg-2", "cls"]
    assert all(kept(strategy.model.layout, outputs, task, since=task) for task in range(4))


def test_after_the_first_experience_nothing_but_the_newest_column_learns(built, learn, outputs):
    strategy = built("isolation")
    strategy.plugins.append(outputs)
    learn(strategy)
    assert outputs.learning[0] == {"backbone", "neck", "head"}
    assert outputs.learning[1:] == [{"columns.0"}, {"columns.1"}]


def test_the_first_experience_is_learned_as_without_isolation(built, learn, outputs):
    alone, isolated = built("naive"), built("isolation")
    others = Outputs()
    for strategy, plugin in ((alone, others), (isolated, outputs)):
        strategy.plugins.append(plugin)
        learn(strategy)
    assert torch.equal(others.after[0], outputs.after[0])


def test_an_experience_that_shares_a_head_adds_to_it_and_the_other_heads_stay(built, learn, drawn_experience, outputs):
    kinds = {"seg": "segmentation", "cls": "classification"}
    by_day = [drawn_experience(name, kind) for name, kind in kinds.items()]
    night = drawn_experience("seg-night", "segmentation", seed=1, head="seg")
    strategy = built("isolation", of=(stream := Stream("mine", (*by_day, night))))
    strategy.plugins.append(outputs)
    learn(strategy, of=stream)
    assert [column.serves for column in strategy.model.grown] == ["cls", "seg"]
    layout = strategy.model.layout
    assert kept(layout, outputs, task=1, since=1)
    assert kept(layout, outputs, task=0, since=0) is False
    assert torch.equal(layout.parts[0].of(outputs.after[0]), layout.parts[0].of(outputs.after[1]))


@pytest.mark.parametrize("name", ["rwalk", "gdumb", "cwr-star"])
def test_methods_that_count_on_a_network_of_one_size_are_refused_beside_it(name):
    for both in (f"isolation+{name}", f"{name}+isolation"):
        assert problems_of(both) == [f"{name} cannot follow a network that grows, as it does in {both!r}"]


def rested(outputs_of_steps):
    """In which experiences no sample of another one was replayed."""
    others = {}
    for step in outputs_of_steps:
        others.setdefault(step.experience, []).extend(task for task, _ in step.pictures if task != step.experience)
    return {experience for experience, tasks in others.items() if not tasks}


def test_the_challenge_entry_holds_the_backbone_while_it_learns(built, learn, steps, outputs):
    strategy = built("onehead")
    strategy.plugins += [steps, outputs]
    learn(strategy)
    assert outputs.learning == [{"backbone", "neck", "head"}, {"backbone", "columns.0"}, {"backbone", "columns.1"}]
    assert rested(steps.seen) == {0}
    assert strategy.plugins[2].teacher is not None


def test_the_challenge_entry_replays_and_asks_no_teacher_where_nothing_can_be_lost(built, learn, steps, outputs):
    strategy = built("onehead", optimisation={"freeze": "backbone"})
    strategy.plugins += [steps, outputs]
    learn(strategy)
    assert outputs.learning == [{"neck", "head"}, {"columns.0"}, {"columns.1"}]
    assert rested(steps.seen) == {0, 1, 2}
    assert strategy.plugins[2].teacher is None
    assert all(kept(strategy.model.layout, outputs, task, since=task) for task in range(2))
