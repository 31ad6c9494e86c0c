"""Convolutions that take the quickest way there is on processors, in use and in training."""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

_NARROW = 16
"""With fewer channels than this, transforming the image costs more than it saves."""


@cache
def _has_winograd() -> bool:
    # Asking also initialises it.
    available: bool = torch.backends.nnpack.is_available()  # type: ignore[no-untyped-call]
    return available and hasattr(torch, "_nnpack_spatial_convolution")


class Conv(nn.Conv2d):
    """A convolution that keeps the size; on processors 3 x 3 kernels take quicker ways.

    Without gradients that is Winograd's algorithm, which takes about half the time and rounds to
    within 1e-4 of the spread of its output; with gradients, matrix products for those of the
    kernel (:class:`_Learned`). Only for float32; everywhere else this is ``nn.Conv2d``.
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
    if _plain(x, weight):
        learns = torch.is_grad_enabled()
        if learns and weight.requires_grad:
            learned: Tensor = _Learned.apply(x, weight, bias)  # type: ignore[no-untyped-call]
            return learned
        if not (learns and x.requires_grad) and _has_winograd():
            found: Tensor = torch._nnpack_spatial_convolution(x, weight, bias, padding)
            return found
    return F.conv2d(x, weight, bias, padding=padding)


def _plain(x: Tensor, weight: Tensor) -> bool:
    """Whether this is one of the many: 3 x 3 with many channels, on a processor, in float32."""
    return (
        weight.shape[2:] == (3, 3)
        and min(weight.shape[:2]) >= _NARROW
        and x.device.type == "cpu"
        and x.dtype == torch.float32
        and not torch.is_autocast_enabled("cpu")
    )


class _Learned(torch.autograd.Function):
    """A 3 x 3 convolution whose kernel is learned.

    The library's gradient of the kernel takes longer than everything else in a training step.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.has_bias = bias is not None
        return F.conv2d(x, weight, bias, padding=1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor, Tensor | None]:
        x, weight = ctx.saved_tensors
        of_x = None
        if ctx.needs_input_grad[0]:
            of_x = torch.ops.aten.convolution_backward(
                gradient, x, weight, None, (1, 1), (1, 1), (1, 1), False, (0, 0), 1,
                (True, False, False),
            )[0]  # fmt: skip
        of_bias = gradient.sum((0, 2, 3)) if ctx.has_bias else None
        return of_x, kernel_gradient(x, gradient), of_bias


_ROWS = 1024
"""Pixels of which both operands of a product stay in a processor's cache."""


def kernel_gradient(x: Tensor, gradient: Tensor) -> Tensor:
    """The gradient ``C' x C x 3 x 3`` of the kernel that made ``B x C' x H x W`` from ``x``.

    Both are laid out pixel after pixel on a grid with a border of zeros, where a tap of the
    kernel is a shift: a product of both for each. Three taps in a row lie side by side in
    memory already.
    """
    (made, seen), width = (gradient.shape[1], x.shape[1]), x.shape[3] + 2
    of_y, of_x = (F.pad(t, (1, 1, 1, 1)).permute(0, 2, 3, 1).contiguous() for t in (gradient, x))
    of_y, first, last = of_y.view(-1, made), width + 1, of_y[..., 0].numel() - width - 1
    found = x.new_zeros(3, made, 3 * seen)
    for start in range(first, last, _ROWS):
        end = min(start + _ROWS, last)
        change = of_y[start:end].T
        for row, total in enumerate(found):
            left = start + (row - 1) * width - 1
            total.addmm_(change, of_x.as_strided((end - start, 3 * seen), (seen, 1), left * seen))
    return found.view(3, made, 3, seen).permute(1, 3, 0, 2)
