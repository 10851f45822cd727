import pytest
import torch

from onehead_avl.ignored import ABSENT, VOID
from onehead_avl.kinds.kind import kind_of
from onehead_avl.model.criterion import MultiTaskLoss
from onehead_avl.model.layout import layout_of_heads
from onehead_avl.target import Target

SEG, DET, CLS = TASKS = range(3)
N_CLS = 6  # classes of the layout's last experience


@pytest.fixture
def loss(layout):
    return MultiTaskLoss(layout)


@pytest.fixture
def each(layout):
    """The loss of each sample."""
    return MultiTaskLoss(layout, reduction="none")


@pytest.fixture
def noise(layout):
    """A random output ``(B, C, 4, 4)``."""

    return lambda batch: torch.randn(batch, layout.channels, 4, 4, generator=torch.Generator().manual_seed(0))


def segmentation(mask, task=SEG):
    return Target.single(task, mask.shape, {"mask": mask.to(torch.uint8)})


def detection(*boxes, labels=(), size=(32, 32)):
    annotation = {
        "boxes": torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        "labels": torch.tensor(labels, dtype=torch.int64),
        "crowd": torch.zeros(len(boxes), dtype=torch.bool),
    }
    return Target.single(DET, size, annotation)


def classification(label):
    return Target.single(CLS, (32, 32), {"label": ABSENT if label is None else label})


def halves(height=32, width=32, left=1, right=2):
    mask = torch.full((height, width), left)
    mask[:, width // 2 :] = right
    return mask


def mixture():
    """Two samples of each task, not in the order of the tasks."""
    return Target.cat(
        [
            classification(3),
            segmentation(halves()),
            detection((4, 4, 20, 28), (10, 0, 30, 9), labels=[2, 0]),
            segmentation(halves(20, 48, left=VOID)),
            detection(size=(60, 90)),
            classification(0),
        ]
    )


def test_another_reduction_is_refused(layout):
    with pytest.raises(ValueError, match="'mean' or 'none', got 'sum'"):
        MultiTaskLoss(layout, reduction="sum")


def test_a_mixed_batch_costs_the_sum_of_its_tasks(loss, noise):
    output, target = noise(6), mixture()
    alone = [loss(output[target.of(task)], target[target.of(task)]) for task in TASKS]
    assert min(alone) > 0
    torch.testing.assert_close(loss(output, target), sum(alone))


def test_a_task_weighs_the_same_however_many_samples_it_has(loss, noise):
    output = noise(2)
    target = Target.cat([segmentation(halves()), classification(1)])
    many = torch.cat([output[:1], output[1:].expand(5, -1, -1, -1)])
    torch.testing.assert_close(loss(many, Target.cat([target, *[target[1]] * 4])), loss(output, target))


def test_without_reduction_there_is_one_loss_per_sample(loss, each, noise):
    output, target = noise(6), mixture()
    losses = each(output, target)
    assert losses.shape == (6,)
    torch.testing.assert_close(sum(losses[target.of(task)].mean() for task in TASKS), loss(output, target))


def test_each_loss_stands_at_the_place_of_its_sample(each, noise):
    output, target = noise(6), mixture()
    order = torch.tensor([4, 0, 5, 2, 1, 3])
    torch.testing.assert_close(each(output[order], target[order]), each(output, target)[order])
    for i in (0, 1, 3, 5):  # detection is divided by the cells of the batch, the others do not see their neighbours
        torch.testing.assert_close(each(output[i : i + 1], target[i]), each(output, target)[i : i + 1])


@pytest.mark.parametrize("task", TASKS)
def test_a_task_is_learned_by_its_own_channels_only(layout, loss, noise, task):
    output, target = noise(6).requires_grad_(), mixture()
    loss(output[target.of(task)], target[target.of(task)]).backward()
    touched = output.grad.abs().sum(dim=(0, 2, 3)).nonzero().flatten().tolist()
    assert touched == list(layout.parts[task].channels)


def test_a_batch_of_other_tasks_leaves_a_sample_untouched(loss, noise):
    output, target = noise(6).requires_grad_(), mixture()
    loss(output, target).backward()
    assert (output.grad[target.of(CLS)].abs().sum(dim=(0, 2, 3))[:-N_CLS] == 0).all()


def test_a_batch_with_nothing_annotated_still_has_a_gradient(loss, noise):
    output = noise(2).requires_grad_()
    target = Target.cat([segmentation(halves(left=VOID, right=VOID)), classification(None)])
    value = loss(output, target)
    value.backward()
    assert value == 0
    assert (output.grad == 0).all()


@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_an_experience_that_the_layout_does_not_have_is_refused(layout, noise, reduction):
    target = Target.cat([classification(1), Target.single(7, (2, 2), {"label": torch.tensor(1)})])
    with pytest.raises(ValueError, match=r"expected task labels 0 to 2, got \[2, 7\]"):
        MultiTaskLoss(layout, reduction)(noise(2), target)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_the_losses_of_an_output_of_half_precision_are_computed_in_float32(layout, noise, dtype, reduction):
    loss, target = MultiTaskLoss(layout, reduction), mixture()
    output = noise(6).to(dtype).requires_grad_()
    wanted = loss(output.detach().float(), target)
    with torch.autocast("cpu", dtype):
        found = loss(output, target)
    assert found.dtype == torch.float32
    assert torch.equal(found, wanted)
    found.sum().backward()
    assert output.grad.dtype == dtype
    assert all(output.grad[target.of(task)].any() for task in TASKS)


def test_losses_are_finite_whatever_the_network_says(layout, loss):
    for value in (-1e4, 1e4):
        output = torch.full((6, layout.channels, 4, 4), value, requires_grad=True)
        result = loss(output, mixture())
        result.backward()
        assert result.isfinite()
        assert output.grad.isfinite().all()


def test_following_the_gradient_learns_all_three_tasks(loss, each, noise):
    output, target = noise(6).requires_grad_(), mixture()
    before = each(output, target).detach()
    optimizer = torch.optim.Adam([output], lr=0.2)
    for _ in range(100):
        optimizer.zero_grad()
        loss(output, target).backward()
        optimizer.step()
    after = each(output, target).detach()
    assert (after < before / 2).all()
    assert output.grad.isfinite().all()


# Several experiences of one kind


def twice(other_head):
    """Two experiences of segmentation, the second with a head of its own or with that of the first."""
    kind = kind_of("segmentation")
    layout = layout_of_heads([("day", "day", kind, ("a", "b", "c")), ("night", other_head, kind, ("a", "b", "c"))])
    output = torch.randn(3, layout.channels, 4, 4, generator=torch.Generator().manual_seed(0)).requires_grad_()
    masks = [halves(), halves(left=0), halves(right=0)]
    target = Target.cat([segmentation(mask, task) for mask, task in zip(masks, (0, 1, 1), strict=True)])
    return MultiTaskLoss(layout), output, target


def test_experiences_with_heads_of_their_own_learn_different_channels():
    loss, output, target = twice("night")
    loss(output, target).backward()
    learned = [image.abs().sum(dim=(1, 2)).nonzero().flatten().tolist() for image in output.grad]
    assert learned == [[0, 1, 2], [3, 4, 5], [3, 4, 5]]


def test_experiences_of_one_head_learn_the_same_channels_and_weigh_one_each():
    loss, output, target = twice("day")
    value = loss(output, target)
    value.backward()
    learned = [image.abs().sum(dim=(1, 2)).nonzero().flatten().tolist() for image in output.grad]
    assert learned == [[0, 1, 2]] * 3
    single = kind_of("segmentation").loss(output, target)
    torch.testing.assert_close(value, single[0] + (single[1] + single[2]) / 2)


# Tensors on PyTorch's device "meta" have no values: to ask for one is an error, as all is that would wait for a GPU.


@pytest.mark.parametrize("annotated", [mixture, lambda: Target.cat([detection(), classification(None)])])
def test_a_gpu_is_not_waited_for(loss, noise, annotated):
    target = annotated().to("meta")
    output = noise(len(target)).to("meta").requires_grad_()
    total = loss(output, target)
    total.backward()
    assert output.grad.shape == output.shape
    assert total.is_meta
    with pytest.raises(RuntimeError, match="meta"):
        total.item()


@pytest.mark.parametrize("task", TASKS)
def test_distillation_does_not_wait_for_a_gpu(layout, noise, task):
    part = layout.parts[task]
    output, teacher = (part.of(noise(2).to("meta")) for _ in range(2))
    total = part.kind.distillation(output.requires_grad_(), teacher)
    total.backward()
    assert total.is_meta
