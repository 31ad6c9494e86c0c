"""What the engine asks of a method."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import nn

from drfuse_cli.config import FuseOptions
from drfuse_cli.engine.fusion import Fusion
from drfuse_cli.engine.memory import Rung
from drfuse_cli.engine.prepared import Prepared
from drfuse_cli.networks.precision import Precision

WHOLE_LIMIT = 4_000_000
"""Pixels up to which an image goes through the network whole."""


class Runner(ABC):
    """Pairs of one key through a model, no more at once than the rung says.

    Without ``uses_operators`` only the scale of a degradation counts.
    """

    uses_operators: bool

    def __init__(
        self, model: nn.Module, device: torch.device, precision: Precision, options: FuseOptions
    ) -> None:
        self.model, self.device, self.precision, self.options = model, device, precision, options

    @abstractmethod
    def __call__(self, pairs: Sequence[Prepared], rung: Rung) -> list[Fusion]: ...
