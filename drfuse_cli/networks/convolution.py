"""Convolutions that take the quickest way there is when nothing is to be learned."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor, nn

_NARROW = 16
"""With fewer channels than this, transforming the image costs more than it saves."""


@cache
def _has_winograd() -> bool:
    # Asking also initialises it.
    available: bool = torch.backends.nnpack.is_available()  # type: ignore[no-untyped-call]
    return available and hasattr(torch, "_nnpack_spatial_convolution")


class Conv(nn.Conv2d):
    """A convolution that keeps the size; on processors 3 x 3 kernels go by Winograd's algorithm.

    That takes about half the time, and rounds to within 1e-4 of the spread of its output. Only
    for float32 without gradients; everywhere else this is ``nn.Conv2d``.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, *, bias: bool = True) -> None:
        super().__init__(inputs, outputs, kernel, padding=kernel // 2, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        if not self._by_winograd(x):
            return super().forward(x)
        found: Tensor = torch._nnpack_spatial_convolution(x, self.weight, self.bias, self.padding)  # type: ignore[arg-type]
        return found

    def _by_winograd(self, x: Tensor) -> bool:
        return (
            self.kernel_size == (3, 3)
            and min(self.in_channels, self.out_channels) >= _NARROW
            and x.device.type == "cpu"
            and x.dtype == torch.float32
            and not torch.is_grad_enabled()
            and not torch.is_autocast_enabled("cpu")
            and _has_winograd()
        )
