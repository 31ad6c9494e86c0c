"""Convolutions that take the quickest way there is when nothing is to be learned."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor, nn
from torch.nn import functional as F

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
        return _convolve(x, self.weight, self.bias)


def side_by_side(x: Tensor, *convs: Conv) -> Tensor:
    """What several convolutions with biases make of ``x``, their channels one after another."""
    weights, biases = ([getattr(conv, name) for conv in convs] for name in ("weight", "bias"))
    return _convolve(x, torch.cat(weights), torch.cat(biases))


def modulated(x: Tensor, conv: Conv, gain: Tensor, shift: Tensor) -> Tensor:
    """``gain * conv(x) + shift``, ``B x C`` each, for a convolution with bias."""
    if len(x) > 1:
        return torch.addcmul(shift[..., None, None], conv(x), gain[..., None, None])
    # One image: the kernel takes it all, and no further look at the pixels is needed.
    assert conv.bias is not None
    weight = gain[0, :, None, None, None] * conv.weight
    return _convolve(x, weight, gain[0] * conv.bias + shift[0])


def _convolve(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    padding = [n // 2 for n in weight.shape[2:]]
    if not _by_winograd(x, weight):
        return F.conv2d(x, weight, bias, padding=padding)
    found: Tensor = torch._nnpack_spatial_convolution(x, weight, bias, padding)
    return found


def _by_winograd(x: Tensor, weight: Tensor) -> bool:
    return (
        weight.shape[2:] == (3, 3)
        and min(weight.shape[:2]) >= _NARROW
        and x.device.type == "cpu"
        and x.dtype == torch.float32
        and not torch.is_grad_enabled()
        and not torch.is_autocast_enabled("cpu")
        and _has_winograd()
    )
