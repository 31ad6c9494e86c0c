"""Pairs through ReCoFuse."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from drfuse_cli.colour import RGB_TO_YCBCR, YCBCR_TO_RGB
from drfuse_cli.config import Degradation, FuseOptions
from drfuse_cli.engine.fusion import Fusion
from drfuse_cli.engine.memory import Rung
from drfuse_cli.engine.prepared import Planes, Prepared
from drfuse_cli.engine.runner import Runner
from drfuse_cli.errors import DrfuseError
from drfuse_cli.models import RecoFuse
from drfuse_cli.models.recofuse import Restored
from drfuse_cli.networks.precision import Precision, autocast
from drfuse_cli.networks.tiled import Window, windows
from drfuse_cli.operators.build import build_operator
from drfuse_cli.operators.grid import Grid
from drfuse_cli.operators.operator import Operator
from drfuse_cli.samplers.mean_reverting import TIMES

_OVERLAP = 96
"""Pixels over which neighbouring tiles pass into each other: the networks see each as a whole."""


class RecoFuseRunner(Runner):
    """Colours and sizes on the way in and out; what happens between is the model's business.

    Raises DrfuseError (usage) where weights that predict noise are to take other steps than theirs.
    """

    uses_operators = False
    model: RecoFuse

    def __init__(
        self, model: nn.Module, device: torch.device, precision: Precision, options: FuseOptions
    ) -> None:
        super().__init__(model, device, precision, options)
        if self.model.arch.predicts == "noise" and options.steps != TIMES:
            raise DrfuseError(
                f"weights that predict noise take {TIMES} steps, not {options.steps}",
                hint=f"give --steps {TIMES}",
            )

    @torch.no_grad()
    def __call__(self, pairs: Sequence[Prepared], rung: Rung) -> list[Fusion]:
        started = time.perf_counter()
        filled = [*pairs, *[pairs[-1]] * (rung.batch - len(pairs))]
        infrared, visible = (
            torch.stack([_enlarged(take(pair), pair.grid.canvas) for pair in filled])
            for take in (_infrared, _visible)
        )
        seen = visible.to(self.device), infrared.to(self.device)
        walked = _blended(self._walk, *seen, rung.tile) if rung.tile else self._walk(*seen)
        made = _parted(walked[0])
        state, chroma = _state(made), _ycbcr(made.visible)[:, 1:]
        kept = walked if self.options.keep_states else {}
        then = {t: _parted(stacked) for t, stacked in kept.items()}
        steps = [(t, _state(pictures), pictures.weight) for t, pictures in then.items()]
        seconds = (time.perf_counter() - started) / len(pairs)
        return [
            Fusion(
                pair=pair,
                operator=partial(_operator, device=self.device),
                state=state[i],
                weight=made.weight[i],
                residuals_seen=tuple(_change(state[i, k], pair.sources[k]) for k in (0, 1)),
                steps=[(t, X[i], m[i]) for t, X, m in steps],
                seconds=seconds,
                warnings=rung.warnings,
                device=str(self.device),
                precision=self.precision,
                chroma=chroma[i],
            )
            for i, pair in enumerate(pairs)
        ]

    def _walk(self, visible: Tensor, infrared: Tensor) -> dict[int, Tensor]:
        """Pictures by time, ``B x 10 x H x W``; those before 0 only where they are to be kept."""
        states: dict[int, Tensor] = {}

        def watch(t: int, made: Restored) -> None:
            states[t] = _stacked(made)

        noise = torch.Generator().manual_seed(self.options.seed)
        keep = watch if self.options.keep_states else None
        with autocast(self.device, self.precision):
            states[0] = _stacked(self.model(visible, infrared, self.options.steps, noise, keep))
        return states


Walk = Callable[[Tensor, Tensor], dict[int, Tensor]]


def _blended(walk: Walk, visible: Tensor, infrared: Tensor, tile: int) -> dict[int, Tensor]:
    """Tile by tile, blended over their overlap, since all of a tile changes each of its pixels."""
    height, width = visible.shape[-2:]
    counted = visible.new_zeros(height, width)
    sums: dict[int, Tensor] = {}
    for window in windows(height, width, tile, _OVERLAP):
        here = (..., *window.outer)
        ramp = _ramp(window).to(visible)
        counted[here] += ramp
        for t, made in walk(visible[here], infrared[here]).items():
            if t not in sums:
                sums[t] = made.new_zeros(*made.shape[:2], height, width)
            sums[t][here] += ramp * made
    return {t: total / counted for t, total in sums.items()}


def _stacked(made: Restored) -> Tensor:
    return torch.cat(list(made), dim=1).float()


def _parted(stacked: Tensor) -> Restored:
    return Restored(*torch.split(stacked, [3, 3, 3, 1], dim=1))


def _ramp(window: Window) -> Tensor:
    """How much each pixel of a tile counts: less towards its edges, never nothing."""

    def rise(outer: slice) -> Tensor:
        n = outer.stop - outer.start
        position = torch.arange(n, dtype=torch.float32)
        return torch.minimum(position, n - 1 - position).clamp(max=_OVERLAP) + 1

    rows, columns = map(rise, window.outer)
    return rows[:, None] * columns


def _infrared(pair: Prepared) -> Planes:
    return pair.sources[0]


def _visible(pair: Prepared) -> Planes:
    return pair.sources[1]


def _enlarged(source: Planes, canvas: tuple[int, int]) -> Tensor:
    """RGB ``3 x H x W`` in 0..1 at full size, bicubic where the source is smaller."""
    chroma = (
        np.zeros((2, *source.luma.shape), np.float32) if source.chroma is None else source.chroma
    )
    planes = torch.from_numpy(np.concatenate((source.luma[None], chroma)).astype(np.float32))
    if planes.shape[-2:] != canvas:
        planes = F.interpolate(planes[None], canvas, mode="bicubic", align_corners=False)[0]
    return _mixed(planes[None], YCBCR_TO_RGB)[0].clamp(0, 1)


def _mixed(image: Tensor, matrix: np.ndarray) -> Tensor:
    kernel = torch.from_numpy(matrix).to(image)
    return torch.einsum("ij,bjhw->bihw", kernel, image)


def _ycbcr(rgb: Tensor) -> Tensor:
    return _mixed(rgb, RGB_TO_YCBCR)


def _state(made: Restored) -> Tensor:
    """The channels of a DRFusion state: both restored sources, the fused luminance, its chroma."""
    first, second = _ycbcr(made.infrared)[:, :1], _ycbcr(made.visible)[:, :1]
    return torch.cat((first, second, _ycbcr(made.fused)), dim=1)


def _change(restored: Tensor, source: Planes) -> tuple[Tensor, Tensor]:
    """What restoration changed, in grey levels at the size of the source: rms and map."""
    scale = source.degradation.sr_scale
    shrunk = F.avg_pool2d(restored[None, None], scale)[0, 0] if scale > 1 else restored
    r = 255 * (shrunk - torch.from_numpy(np.ascontiguousarray(source.luma)).to(restored))
    return r.square().mean().sqrt(), r


def _operator(blur: Degradation, grid: Grid, device: torch.device) -> Operator:
    return build_operator(blur, grid.canvas, device=device)
