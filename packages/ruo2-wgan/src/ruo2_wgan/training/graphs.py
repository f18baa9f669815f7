"""Gradients recorded once and replayed: what are thousands of launches, one after another, becomes one (CUDA graphs).

A small batch keeps a GPU waiting for the processor, which launches kernel by kernel. A recording has them all, with
the addresses that they read and write: so inputs are copied to where they were, gradients stay where they are, and
weights and running averages change in place, as they always do. Optimizers stay outside, with rates that change.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn

from ruo2_wgan.errors import TrainingError

Inputs = TypeVar("Inputs", bound=tuple[Any, ...])

WARM_UP = 3  # runs before a recording, in which libraries choose their algorithms and take their memory


class Recorded(Generic[Inputs]):
    """A function that adds to the gradients of a network, recorded when it is first called and replayed thereafter.

    Parameters
    ----------
    add_gradient
        From a named tuple of tensors, of None and of further such tuples to one detached tensor. It always does the
        same on the device, never waits for it, and keeps nothing between calls.
    network
        Whose gradients it adds to. They must be set to zero, not to None, between updates.
    runs
        All networks that it runs, for the buffers that change in them.

    Raises
    ------
    TrainingError
        At a call with other shapes than those of the first.

    Notes
    -----
    A replay does what a plain call would. The first call as well: it leaves no trace of the runs before the recording,
    neither in gradients and buffers nor in random numbers.

    Dropout draws from the GPU's global generator, of which a recording keeps only how many numbers it takes. Each
    replay reads seed and offset of that generator as they are then, and moves the offset on as far as a plain call
    would (PyTorch's note "CUDA Graph-safe RNG states"). The generator is seeded at each step, outside the recording,
    so that what is dropped remains a function of (seed, step, rank). A generator of one's own could not be used inside.

    Autocast is entered and left inside the recording, so that weights are cast again at each replay: its cache, which
    forgets them on leaving, would be wrong only around a recording.
    """

    def __init__(self, add_gradient: Callable[[Inputs], Tensor], network: nn.Module, runs: Sequence[nn.Module]) -> None:
        self._add_gradient, self._network, self._runs = add_gradient, network, runs
        self._replay: Callable[[], None] | None = None
        self._inputs: Inputs
        self._result: Tensor

    def __call__(self, inputs: Inputs) -> Tensor:
        """What the function returns for these inputs, after it has added its gradient."""
        if self._replay is None:
            self._replay = self._record(inputs)
        held, given = list(_tensors(self._inputs)), list(_tensors(inputs))
        wanted, found = ([(tuple(each.shape), each.dtype) for each in tensors] for tensors in (held, given))
        if wanted != found:  # a copy would stretch some of them without a word
            raise TrainingError(
                f"training.cuda_graphs: batches must have the shapes of the first one, {wanted}; found {found}. "
                f"Keep the batch as it is, or set training.cuda_graphs=false"
            )
        for place, each in zip(held, given, strict=True):
            place.copy_(each)
        self._replay()
        return self._result.clone()

    def _record(self, inputs: Inputs) -> Callable[[], None]:
        self._inputs = _copy(inputs)
        gradients = []
        for weight in self._network.parameters():
            if weight.grad is None:
                weight.grad = torch.zeros_like(weight)
            gradients.append(weight.grad)
        changed = gradients + [buffer for network in self._runs for buffer in network.buffers()]
        kept = [each.clone() for each in changed]
        device = gradients[0].device
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            replay, self._result = capture(lambda: self._add_gradient(self._inputs))
        for each, before in zip(changed, kept, strict=True):
            each.copy_(before)
        return replay


def capture(run: Callable[[], Tensor]) -> tuple[Callable[[], None], Tensor]:
    """Record what a function does on the GPU.

    Returns
    -------
    replay
        Does it again.
    result
        What the function returned, at the address where each replay puts it.
    """
    aside = torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        for _ in range(WARM_UP):
            run()
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    # Of this thread alone: that which reads batches ahead may pin memory meanwhile.
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):
        result = run()
    return graph.replay, result


def _tensors(inputs: Any) -> Iterator[Tensor]:
    """Tensors of nested tuples, in order."""
    if isinstance(inputs, Tensor):
        yield inputs
    elif inputs is not None:
        for each in inputs:
            yield from _tensors(each)


def _copy(inputs: Any) -> Any:
    """Nested named tuples with tensors of their own."""
    if inputs is None:
        return None
    return inputs.clone() if isinstance(inputs, Tensor) else type(inputs)(*map(_copy, inputs))
