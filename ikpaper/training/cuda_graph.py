"""A training step as one CUDA graph."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Generator, Tensor


class CapturedStep:
    """A step on a GPU as one CUDA graph: its small kernels no longer wait for Python.

    The first calls, and calls with another batch size, run the step as it is. What the step reads
    from Python is fixed when it is captured; what it reads from tensors is not.

    Args:
        step: Takes theta and tcp, returns a tensor; it must neither wait for the GPU nor copy
            from or to it.
        generator: Source of the step's random numbers, on the GPU; a replay advances it.
        warm_up: Calls that run as they are before the capture, for libraries to choose kernels
            and for the optimiser to make its state.
    """

    def __init__(
        self, step: Callable[[Tensor, Tensor], Tensor], generator: Generator, warm_up: int = 3
    ) -> None:
        self.step, self.generator = step, generator
        self.waiting = warm_up
        self.stream = torch.cuda.Stream(generator.device)
        self.graph: torch.cuda.CUDAGraph | None = None

    def __call__(self, theta: Tensor, tcp: Tensor) -> Tensor:
        """What the step returns, in memory of its own."""
        if self.waiting:
            self.waiting -= 1
            return self._beside(theta, tcp)
        graph = self.graph = self.graph or self._capture(theta, tcp)
        if theta.shape != self.theta.shape:
            return self._beside(theta, tcp)
        self.theta.copy_(theta)
        self.tcp.copy_(tcp)
        graph.replay()
        return self.values.clone()

    def _beside(self, theta: Tensor, tcp: Tensor) -> Tensor:
        """Run on a side stream, as CUDA asks for before a capture."""
        current = torch.cuda.current_stream(theta.device)
        self.stream.wait_stream(current)
        with torch.cuda.stream(self.stream):
            values = self.step(theta, tcp)
        current.wait_stream(self.stream)
        return values

    def _capture(self, theta: Tensor, tcp: Tensor) -> torch.cuda.CUDAGraph:
        self.theta, self.tcp = theta.clone(), tcp.clone()
        graph = torch.cuda.CUDAGraph()
        graph.register_generator_state(self.generator)
        with torch.cuda.graph(graph):
            self.values = self.step(self.theta, self.tcp)
        return graph
