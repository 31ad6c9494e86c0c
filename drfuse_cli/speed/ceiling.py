"""What convolutions cost: how many multiply-adds a network takes, and how many a device does."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from drfuse_cli.networks.convolution import Conv
from drfuse_cli.networks.denoiser import Denoiser
from drfuse_cli.networks.fusion_net import (
    CONDITION,
    OBSERVED,
    STATE,
    Architecture,
    FusionDecoder,
    FusionNet,
)
from drfuse_cli.networks.precision import Precision
from drfuse_cli.networks.unet import pad_to_multiple

_TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
_WIDTHS = (64, 128)
_SIDE = {"cpu": 96, "cuda": 512}
_SECONDS = 0.3


def network_multiply_adds(arch: Architecture, height: int, width: int, steps: int) -> int:
    """Multiply-adds of all convolutions that one noisy pair takes; nothing is computed."""
    with torch.device("meta"), torch.no_grad():
        # A step asks which one it is, which numbers without values cannot tell.
        network = FusionNet(replace(arch, decoder=0))
        images, condition = torch.empty(1, OBSERVED, height, width), torch.empty(1, CONDITION)
        with _Convolutions() as once:
            features = network.encode(images, images, condition)
            if arch.denoiser:
                sources, told = torch.empty(2, 3, height, width), torch.empty(2)
                denoiser = Denoiser(arch.denoiser, arch.embedding, arch.denoiser_blocks)
                denoiser(sources[:, :1], sources[:, 1:], told, told)
            if arch.decoder:
                estimate = pad_to_multiple(torch.empty(1, len(STATE), height, width))
                embedding = torch.empty(1, arch.embedding)
                FusionDecoder(arch)(estimate, features, embedding)
        state = torch.empty(1, len(STATE), height, width)
        with _Convolutions() as step:
            network(state, state, features, condition, torch.empty(1, 2))
    return once.multiply_adds + steps * step.multiply_adds


class _Convolutions(FlopCounterMode):
    """Counts inside its block."""

    def __init__(self) -> None:
        super().__init__(display=False)

    @property
    def multiply_adds(self) -> int:
        counts = self.get_flop_counts()["Global"]
        return int(counts[torch.ops.aten.convolution]) // 2


def ceiling(device: torch.device, precision: Precision, cores: int = 1) -> float:
    """Multiply-adds a second of the best convolution found, on all cores at once.

    A 3 x 3 convolution counts as its direct form, so a quicker algorithm raises the ceiling.
    """
    rates = [
        _rate(device, _TYPES[precision], width, make, cores)
        for width in _WIDTHS
        for make in (Conv, partial(nn.Conv2d, kernel_size=3, padding=1))
    ]
    return max(rates)


def _rate(
    device: torch.device,
    dtype: torch.dtype,
    width: int,
    make: Callable[[int, int], nn.Conv2d],
    cores: int,
) -> float:
    side = _SIDE.get(device.type, _SIDE["cuda"])
    conv = make(width, width).to(device, dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
    x = torch.randn(1, width, side, side, device=device).to(
        dtype, memory_format=torch.channels_last
    )

    @torch.no_grad()
    def some(seconds: float) -> float:
        """Convolutions a second."""
        if cores > 1:
            torch.set_num_threads(1)
        started, count = time.perf_counter(), 0
        while True:
            conv(x)
            count += 1
            if device.type == "cuda" and count % 32 == 0:
                torch.cuda.synchronize(device)
            passed = time.perf_counter() - started
            if passed > seconds:
                return count / passed

    some(_SECONDS / 3)
    with ThreadPoolExecutor(cores) as pool:
        rate = sum(pool.map(some, [_SECONDS] * cores))
    return rate * conv.weight.numel() * side**2
