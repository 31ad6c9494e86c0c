"""After the network: from numbers to pixels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from drfuse_cli.colour import join
from drfuse_cli.config import Degradation
from drfuse_cli.engine.prepared import Prepared
from drfuse_cli.errors import DrfuseError, ExitCode
from drfuse_cli.imageio import Image
from drfuse_cli.operators.grid import Grid
from drfuse_cli.operators.operator import Operator
from drfuse_cli.samplers.observation import CHROMA, Observation, noise_variance


@dataclass(frozen=True)
class Residual:
    """What the restored source leaves unexplained, ``A x - y`` in grey levels (0..255)."""

    rms: float
    expected: float
    map: np.ndarray


@dataclass(frozen=True)
class FuseResult:
    """A fused pair; images at full size, ``weight_map`` is the share of source 1 in 0..1."""

    fused: Image
    sources: tuple[Image, Image]
    weight_map: np.ndarray
    states: list[dict[str, np.ndarray]]
    residuals: tuple[Residual, Residual]
    seconds: float
    warnings: list[str]
    device: str
    precision: str


@dataclass(frozen=True, eq=False)
class Fusion:
    """One pair as the network left it, on its device; images are made when asked for.

    ``state``: ``5 x H x W``; ``weight``: ``1 x H x W``; ``residuals_seen``: rms and map of both
    sources; ``steps``: time, state and weight after every step, where they were kept;
    ``operator`` makes those of the sources; ``chroma``: ``2 x H x W`` of the restored colour
    source, where that is not the one of the fused image. What it offers may run in any thread.
    """

    pair: Prepared
    operator: Callable[[Degradation, Grid], Operator]
    state: Tensor
    weight: Tensor
    residuals_seen: tuple[tuple[Tensor, Tensor], ...]
    steps: list[tuple[int, Tensor, Tensor]]
    seconds: float
    warnings: tuple[str, ...]
    device: str
    precision: str
    chroma: Tensor | None = None

    @cached_property
    def _pixels(self) -> np.ndarray:
        pixels = _crop(self.state, self.pair.grid)
        if not np.isfinite(pixels).all():
            raise DrfuseError(
                "the network returned values that are not numbers",
                hint="try --precision fp32; `drfuse weights verify` checks the weights",
                code=ExitCode.FAILED,
            )
        return pixels

    @cached_property
    def fused(self) -> Image:
        """The fused image; raises DrfuseError where the network returned no numbers."""
        chroma = None if self.pair.colour_source is None else self._pixels[3:]
        return join(self._pixels[2], chroma, max(self.pair.bits))

    @cached_property
    def sources(self) -> tuple[Image, Image]:
        """Both restored sources at full size; chroma that was not in the state is lifted."""
        return self._restored(0), self._restored(1)

    @cached_property
    def residuals(self) -> tuple[Residual, Residual]:
        first, second = (
            Residual(float(rms), source.luma_noise, residual.cpu().numpy())
            for (rms, residual), source in zip(self.residuals_seen, self.pair.sources, strict=True)
        )
        return first, second

    def result(self) -> FuseResult:
        """Everything at once."""
        grid = self.pair.grid
        return FuseResult(
            fused=self.fused,
            sources=self.sources,
            weight_map=_crop(self.weight, grid)[0],
            states=[_snapshot(t, X_bar, m, grid) for t, X_bar, m in self.steps],
            residuals=self.residuals,
            seconds=self.seconds,
            warnings=list(self.warnings),
            device=self.device,
            precision=self.precision,
        )

    def _restored(self, index: int) -> Image:
        source, chroma = self.pair.sources[index], None
        if index == self.pair.colour_source:
            own = self.chroma
            chroma = self._pixels[3:] if own is None else _crop(own, self.pair.grid)
        elif source.chroma is not None:
            chroma = self._lift_chroma(index)
        return join(self._pixels[index], chroma, self.pair.bits[index])

    def _lift_chroma(self, index: int) -> np.ndarray:
        source = self.pair.sources[index]
        planes, noise, gain, _ = source.chroma_part
        variance = noise_variance(torch.tensor([noise]), torch.tensor([False]), gain)
        y = torch.from_numpy(np.ascontiguousarray(planes)).to(self.state)[None]
        operator = self.operator(source.blur, self.pair.grid)
        seen = Observation(operator, y, variance.to(self.state), CHROMA)
        return _crop(seen.lift()[0], self.pair.grid)


def _crop(x: Tensor, grid: Grid) -> np.ndarray:
    height, width = grid.shape
    cut: np.ndarray = x[:, :height, :width].float().cpu().numpy()
    return cut


def _snapshot(t: int, X_bar: Tensor, m: Tensor, grid: Grid) -> dict[str, np.ndarray]:
    x1, x2, f = _crop(X_bar[:3], grid)
    return {"t": np.array(t), "x1": x1, "x2": x2, "f": f, "m": _crop(m, grid)[0]}
