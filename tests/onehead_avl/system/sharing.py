"""What each of several processes does in a test: it asserts that a step is that of one process."""

import torch

from onehead_avl.kinds.kind import kind_of
from onehead_avl.model.criterion import MultiTaskLoss
from onehead_avl.model.layout import layout_of_heads
from onehead_avl.model.network import OneHeadNet
from onehead_avl.system.ranks import RANKS
from onehead_avl.target import Target

SIZE = (64, 64)


def annotated(task):
    if task == 0:
        return Target.single(0, SIZE, {"mask": torch.randint(0, 4, SIZE, dtype=torch.uint8)})
    if task == 1:
        boxes = torch.tensor([[3.0, 3, 40, 50], [20, 20, 30, 60]])[: int(torch.randint(1, 3, ()))]
        annotation = {"labels": torch.ones(len(boxes), dtype=torch.long), "crowd": torch.zeros(len(boxes)) > 0}
        return Target.single(1, SIZE, {"boxes": boxes, **annotation})
    return Target.single(2, SIZE, {"label": 3})


def step(network, images, target):
    """The output of a step, and the gradients of a loss with a penalty on the weights."""
    network.zero_grad()
    output = network(images)
    loss = MultiTaskLoss(network.layout)(output, target)
    (loss + 1e-3 * sum(weight.square().sum() for weight in network.parameters())).backward()
    return output.detach(), torch.cat([weight.grad.flatten() for weight in network.parameters()])


def main():
    torch.set_num_threads(1)
    torch.manual_seed(0)
    kinds = ("segmentation", "detection", "classification")
    layout = layout_of_heads([(kind, kind, kind_of(kind), ["a", "b", "c", "d"]) for kind in kinds])
    network = OneHeadNet(layout, channels=16)
    batches = [
        (torch.randn(count, 3, *SIZE), Target.cat([annotated(i % 3) for i in range(count)])) for count in (8, 7, 1)
    ]
    alone = [step(network, *batch) for batch in batches]
    with RANKS.joined(torch.device("cpu")):
        assert RANKS.count == 2
        require_same(network, batches, alone)
    assert (RANKS.rank, RANKS.count) == (0, 1)


def require_same(network, batches, alone):
    together = [step(network, *batch) for batch in batches]
    for (output, gradient), (same_output, same_gradient) in zip(alone, together, strict=True):
        torch.testing.assert_close(same_output, output, rtol=1e-5, atol=1e-5)
        assert (same_gradient - gradient).norm() < 1e-5 * gradient.norm()
        for mine in (same_output, same_gradient):
            each = RANKS.gather(mine.contiguous()[None])
            assert torch.equal(each[0], each[1])
    with torch.no_grad():
        assert torch.allclose(network(batches[0][0]), alone[0][0], atol=1e-5)
    assert RANKS.any(RANKS.rank == 1)
    assert not RANKS.any(False)
    print(f"process {RANKS.rank} of {RANKS.count} agrees")


if __name__ == "__main__":
    main()
