"""Convolutions by quicker ways: the same to rounding, and only where they may be used."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from drfuse_cli.networks import convolution
from drfuse_cli.networks.convolution import Conv, kernel_gradient, modulated, side_by_side

quick = pytest.mark.skipif(
    not torch.backends.nnpack.is_available(), reason="this torch was built without NNPACK"
)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """What goes through the quick way."""
    seen: list[Tensor] = []
    convolve = torch._nnpack_spatial_convolution

    def watched(x: Tensor, *rest: object) -> Tensor:
        seen.append(x)
        return convolve(x, *rest)

    monkeypatch.setattr(torch, "_nnpack_spatial_convolution", watched)
    return seen


@quick
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (7, 5), (64, 80), (33, 121)])
@pytest.mark.parametrize("batch", [1, 3])
def test_the_same_to_rounding(size: tuple[int, int], batch: int, calls: list[Tensor]) -> None:
    torch.manual_seed(0)
    conv, x = Conv(48, 32), torch.randn(batch, 48, *size)
    expected = nn.functional.conv2d(x.double(), conv.weight.double(), conv.bias.double(), padding=1)  # type: ignore[union-attr]
    with torch.no_grad():
        found = conv(x)
        channels_last = conv(x.contiguous(memory_format=torch.channels_last))
    assert len(calls) == 2
    assert (found - expected).abs().max() < 1e-4
    assert torch.equal(found, channels_last)


@pytest.mark.parametrize(
    "why", ["gradients", "double", "autocast", "narrow", "another kernel", "missing"]
)
def test_elsewhere_it_is_an_ordinary_convolution(
    why: str, calls: list[Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    conv = Conv(32, 4 if why == "narrow" else 32, 1 if why == "another kernel" else 3)
    x = torch.randn(1, 32, 20, 20)
    if why == "double":
        conv, x = conv.double(), x.double()
    if why == "missing":
        monkeypatch.setattr(convolution, "_has_winograd", lambda: False)
    with (
        torch.set_grad_enabled(why == "gradients"),
        torch.autocast("cpu", torch.bfloat16, enabled=why == "autocast"),
    ):
        found = conv(x)
        expected = nn.Conv2d.forward(conv, x)
    assert torch.equal(found, expected)
    assert calls == []
    assert found.requires_grad == (why == "gradients")


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (7, 5), (40, 33)])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_gradients_are_those_of_the_ordinary_convolution(
    size: tuple[int, int], layout: torch.memory_format
) -> None:
    torch.manual_seed(0)
    conv = Conv(16, 24)
    x = torch.randn(3, 16, *size).contiguous(memory_format=layout).requires_grad_()
    parts = [x, conv.weight, conv.bias]
    target = torch.randn(3, 24, *size)
    got = torch.autograd.grad((conv(x) - target).square().mean(), parts)
    wanted = torch.autograd.grad((nn.Conv2d.forward(conv, x) - target).square().mean(), parts)
    for one, other in zip(got, wanted, strict=True):
        assert other.abs().max() > 0
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


def test_the_gradient_of_a_kernel_is_exact_in_double_precision() -> None:
    torch.manual_seed(0)
    x, gradient = (torch.randn(2, c, 41, 37, dtype=torch.float64) for c in (5, 3))
    expected = nn.grad.conv2d_weight(x, (3, 5, 3, 3), gradient, padding=1)  # type: ignore[attr-defined]
    torch.testing.assert_close(kernel_gradient(x, gradient), expected)
    assert not torch.allclose(kernel_gradient(x.flip(-1), gradient), expected)


@quick
def test_what_is_not_learned_goes_the_quick_way_in_training_too(calls: list[Tensor]) -> None:
    frozen, learned = Conv(16, 16).requires_grad_(False), Conv(16, 16)
    y = frozen(learned(frozen(torch.randn(1, 16, 8, 8))))
    assert len(calls) == 1
    y.sum().backward()
    assert learned.weight.grad is not None


def test_convolutions_side_by_side() -> None:
    torch.manual_seed(0)
    convs, x = (Conv(20, 18), Conv(20, 4)), torch.randn(2, 20, 9, 12)
    with torch.no_grad():
        found = side_by_side(x, *convs)
        expected = torch.cat([nn.Conv2d.forward(conv, x) for conv in convs], dim=1)
    assert (found - expected).abs().max() < 1e-4


@pytest.mark.parametrize("batch", [1, 3])
def test_a_modulated_convolution_is_scaled_and_shifted(batch: int) -> None:
    """Each image by its own numbers; one alone by way of the kernel, with the same gradients."""
    torch.manual_seed(0)
    conv, x = Conv(16, 16), torch.randn(batch, 16, 9, 12)
    gain, shift = (torch.randn(batch, 16, requires_grad=True) for _ in range(2))
    expected = gain[..., None, None] * conv(x) + shift[..., None, None]
    found = modulated(x, conv, gain, shift)
    assert (found - expected).abs().max() < 1e-4
    parts = [gain, shift, conv.weight, conv.bias]
    wanted = torch.autograd.grad(expected.square().mean(), parts)
    got = torch.autograd.grad(found.square().mean(), parts)
    for one, other in zip(got, wanted, strict=True):
        assert torch.allclose(one, other, atol=1e-5)
    with torch.no_grad():
        assert (modulated(x, conv, gain, shift) - expected).abs().max() < 1e-4
