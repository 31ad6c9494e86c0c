"""Where numbers are rounded: the state stays float32, the network alone runs narrower."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from drfuse_cli.networks.fusion_net import FusionNet

Precision = Literal["fp32", "bf16", "fp16"]


def choose_precision(device: torch.device, asked: str) -> Precision:
    """``auto`` is bf16 on GPUs with hardware for it and fp32 elsewhere."""
    if asked in ("fp32", "bf16", "fp16"):
        return asked  # type: ignore[return-value]
    return "bf16" if device.type == "cuda" and torch.cuda.is_bf16_supported() else "fp32"


_NARROW = {"bf16": torch.bfloat16, "fp16": torch.float16}


def autocast(device: torch.device, precision: Precision) -> torch.autocast:
    """The block in which networks run narrower, or as they are."""
    return torch.autocast(device.type, dtype=_NARROW.get(precision), enabled=precision != "fp32")


class MixedNetwork:
    """A network run under autocast, whose outputs come back in float32."""

    def __init__(self, network: FusionNet, precision: Precision) -> None:
        self.network, self.precision = network, precision

    @property
    def reach(self) -> int:
        """Pixels around one beyond which a step does not look."""
        return self.network.reach

    def encode(self, lifted: Tensor, observed: Tensor, condition: Tensor) -> Tensor:
        with autocast(lifted.device, self.precision):
            return self.network.encode(lifted, observed, condition)

    def __call__(
        self, state: Tensor, estimate: Tensor, features: Tensor, condition: Tensor, time: Tensor
    ) -> tuple[Tensor, Tensor]:
        with autocast(state.device, self.precision):
            change, weight = self.network(state, estimate, features, condition, time)
        return change.float(), weight.float()
