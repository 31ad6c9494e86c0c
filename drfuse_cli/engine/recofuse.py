"""Pairs through ReCoFuse."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
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
from drfuse_cli.models import RecoFuse
from drfuse_cli.models.recofuse import Restored
from drfuse_cli.networks.precision import Precision, autocast
from drfuse_cli.networks.tiled import Window, windows
from drfuse_cli.operators.build import build_operator
from drfuse_cli.operators.grid import Grid
from drfuse_cli.operators.operator import Operator

Watch = Callable[[int, Restored], None]

_OVERLAP = 96
"""Pixels over which neighbouring tiles pass into each other: the networks see each as a whole."""


class RecoFuseRunner:
    """Colours and sizes on the way in and out; what happens between is the model's business."""

    uses_operators = False

    def __init__(
        self, model: nn.Module, device: torch.device, precision: Precision, options: FuseOptions
    ) -> None:
        assert isinstance(model, RecoFuse)
        self.model, self.device, self.precision, self.options = model, device, precision, options

    @torch.no_grad()
    def __call__(self, pairs: Sequence[Prepared], rung: Rung) -> list[Fusion]:
        started = time.perf_counter()
        filled = [*pairs, *[pairs[-1]] * (rung.batch - len(pairs))]
        seen = [
            torch.stack([_enlarged(pair.sources[i], pair.grid.canvas) for pair in filled])
            for i in (0, 1)
        ]
        steps: list[tuple[int, Tensor, Tensor]] = []

        def watch(t: int, made: Restored) -> None:
            steps.append((t, _state(made), made.weight))

        keep = watch if self.options.keep_states else None
        made = self._run(seen[1].to(self.device), seen[0].to(self.device), rung.tile, keep)
        state, chroma = _state(made), _ycbcr(made.visible)[:, 1:]
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

    def _run(self, visible: Tensor, infrared: Tensor, tile: int, watch: Watch | None) -> Restored:
        def run(visible: Tensor, infrared: Tensor, watch: Watch | None = None) -> Restored:
            noise = torch.Generator().manual_seed(self.options.seed)
            with autocast(self.device, self.precision):
                made = self.model(visible, infrared, self.options.steps, noise, watch)
            return Restored(*(picture.float() for picture in made))

        if not tile:
            return run(visible, infrared, watch)
        height, width = visible.shape[-2:]
        return _together(
            (w, run(visible[(..., *w.outer)], infrared[(..., *w.outer)]))
            for w in windows(height, width, tile, _OVERLAP)
        )


def _together(tiles: Iterable[tuple[Window, Restored]]) -> Restored:
    """Tiles blended over their overlap: what the network says of each depends on all of it."""
    parts = list(tiles)
    height, width = (max(w.outer[axis].stop for w, _ in parts) for axis in (0, 1))
    total: Tensor | None = None
    for window, made in parts:
        stacked = torch.cat(list(made), dim=1)
        ramp = _ramp(window).to(stacked)
        if total is None:
            total = stacked.new_zeros(len(stacked), stacked.shape[1] + 1, height, width)
        total[(..., *window.outer)] += torch.cat(
            (stacked * ramp, ramp.expand_as(stacked[:, :1])), 1
        )
    assert total is not None
    mean = total[:, :-1] / total[:, -1:]
    return Restored(mean[:, :3], mean[:, 3:6], mean[:, 6:9], mean[:, 9:])


def _ramp(window: Window) -> Tensor:
    """How much each pixel of a tile counts: less towards its edges, never nothing."""

    def rise(outer: slice) -> Tensor:
        n = outer.stop - outer.start
        position = torch.arange(n, dtype=torch.float32)
        return torch.minimum(position, n - 1 - position).clamp(max=_OVERLAP) + 1

    rows, columns = map(rise, window.outer)
    return rows[:, None] * columns


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
