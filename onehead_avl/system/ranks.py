"""Several processes that learn one network together, each on a GPU or a core of its own.

Every process runs the same program from the same random seed, with the same minibatches, memories and losses. Only what
takes most of the time, the pass of the network forward and backward, is shared: each process does it for its share of
the images of a minibatch. The outputs of all are put together before anybody looks at them, and gradients are averaged
as soon as they are complete. So whatever a strategy does with the output of all images and with gradients is what it
would do in one process, up to the rounding of sums; and whatever writes may do so in one process alone.

Avalanche and PyTorch's own helpers are not told of the other processes: they would share the samples, too.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.autograd import Variable


class Ranks:
    """The processes that learn together.

    Attributes:
        count: How many there are.
        rank: The number of this one, from 0.
    """

    count = 1
    rank = 0
    _group: Any = None
    _control: Any = None
    _averaging = False

    @contextmanager
    def joined(self, device: torch.device) -> Iterator[None]:
        """Learn together with the other processes, which are found by what ``torchrun`` put into the environment.

        Args:
            device: Where this process computes.
        """
        self._join(device)
        try:
            self.wait()
            yield
            self.wait()
        finally:
            # Now, and not when Python ends, which may be in the middle of what their threads do.
            self.rank, self.count, self._group, self._control = 0, 1, None, None

    def _join(self, device: torch.device) -> None:
        store, self.rank, self.count = next(iter(dist.rendezvous("env://")))
        self._control = dist.ProcessGroupGloo(dist.PrefixStore("control", store), self.rank, self.count)
        if device.type == "cuda":
            torch.cuda.set_device(device)
            self._group = dist.ProcessGroupNCCL(
                dist.PrefixStore("gradients", store), self.rank, self.count, dist.ProcessGroupNCCL.Options()
            )
        else:
            self._group = self._control

    def wait(self) -> None:
        """Wait until every process is here."""
        self.any(False)

    def any(self, flag: bool) -> bool:
        """Whether a flag is set in any process; all have to ask."""
        if self.count == 1:
            return flag
        flags = torch.tensor([int(flag)])
        self._control.allreduce([flags]).wait()
        return bool(flags.item())

    def shared(self, compute: Callable[[Tensor], Tensor], images: Tensor, network: nn.Module) -> Tensor:
        """Compute something of a minibatch, each process its share of the images, and put it together again.

        Args:
            compute: What a network does with images, one by one.
            images: ``(B, ...)``, the same in every process.
            network: Has its gradients averaged at the end of a backward pass that leads here.

        Returns:
            ``(B, ...)``, the same in every process.
        """
        return compute(images) if self.count == 1 else self.whole(compute(self._own(images)), len(images), network)

    def whole(self, part: Tensor, count: int, network: nn.Module) -> Tensor:
        """Put together what each process computed of its share of a minibatch.

        Args:
            part: What this one computed.
            count: Images of the minibatch.
            network: As :meth:`shared` takes it.
        """
        return part if self.count == 1 else _Whole.apply(part, self, network)[:count]

    def average_gradients_in_the_end(self, network: nn.Module) -> None:
        """Have the gradients of a network averaged once the backward pass that is under way has computed them."""

        def average() -> None:
            self._averaging = False
            gradients = [parameter.grad for parameter in network.parameters()]
            self._average([gradient for gradient in gradients if gradient is not None])

        if not self._averaging:
            self._averaging = True
            Variable._execution_engine.queue_callback(average)

    def _average(self, tensors: Sequence[Tensor]) -> None:
        """Replace tensors by their mean over all processes, in one message."""
        flat = torch.cat([tensor.flatten() for tensor in tensors])
        self._group.allreduce([flat]).wait()
        for tensor, mean in zip(tensors, flat.div_(self.count).split([each.numel() for each in tensors]), strict=True):
            tensor.copy_(mean.view_as(tensor))

    def gather(self, part: Tensor) -> Tensor:
        """Concatenate tensors of one shape from all processes."""
        parts = [torch.empty_like(part) for _ in range(self.count)]
        self._group.allgather([parts], [part]).wait()
        return torch.cat(parts)

    def _own(self, images: Tensor) -> Tensor:
        """The share of this process; where images do not divide evenly, the last one stands in for those missing."""
        each = -(-len(images) // self.count)
        own = images[self.rank * each : (self.rank + 1) * each]
        return own if len(own) == each else torch.cat([own, images[-1:].expand(each - len(own), *images.shape[1:])])


class _Whole(torch.autograd.Function):
    """Puts the shares of all processes together; backward, each goes on with its own."""

    @staticmethod
    def forward(ctx: Any, part: Tensor, ranks: Ranks, network: nn.Module) -> Tensor:
        ctx.ranks, ctx.network, ctx.length = ranks, network, len(part)
        return ranks.gather(part.contiguous())

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (gradient,), ranks = gradients, ctx.ranks
        # The mean of the gradients is that of the whole loss if each is multiplied by their number; what a loss has
        # beside the output, such as a penalty on weights, is the same everywhere and stays so.
        ranks.average_gradients_in_the_end(ctx.network)
        own = gradient[ranks.rank * ctx.length : (ranks.rank + 1) * ctx.length]
        return own * ranks.count, None, None


RANKS = Ranks()
"""Of this process."""
