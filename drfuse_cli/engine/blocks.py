"""Images so large that not even their operators fit into memory: one block after another."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from drfuse_cli.config import Degradation
from drfuse_cli.engine.fusion import Fusion
from drfuse_cli.engine.prepared import Part, Planes, Prepared
from drfuse_cli.networks.tiled import Window, windows
from drfuse_cli.networks.unet import MULTIPLE
from drfuse_cli.operators.build import build_operator, equivalent_sigma
from drfuse_cli.operators.grid import Grid
from drfuse_cli.operators.lift import prior_level
from drfuse_cli.samplers.observation import noise_variance

_SURROUNDINGS = 192
"""Pixels around a block beyond which an input hardly changes the network's output."""


@dataclass(frozen=True)
class Block:
    """A part of a pair with its surroundings, and where it lies in the whole."""

    pair: Prepared
    window: Window


def cut(pair: Prepared, edge: int, *, denoiser_reach: int) -> Iterator[Block]:
    """Blocks of about ``edge`` pixels a side that cover the canvas of a pair; nothing is copied.

    ``denoiser_reach``: pixels around one of a noisy file that its denoised value follows from.

    All share the prior of the whole: with one of its own each would be another image.
    """
    first, second = (_with_levels(source, pair.grid) for source in pair.sources)
    pair = replace(pair, sources=(first, second))
    degradations = [source.degradation for source in pair.sources]
    # What the network sees of a noisy source was denoised by its own surroundings, in its pixels.
    before = [d.sr_scale if denoiser_reach and d.noise_std > 0 else 0 for d in degradations]
    # Networks halve their input, each in the same places as in the whole.
    scales = (degradation.sr_scale for degradation in degradations)
    step = math.lcm(MULTIPLE, *scales, *(MULTIPLE * scale for scale in before if scale))
    halo = _SURROUNDINGS + denoiser_reach * max(before) + max(map(_reach, degradations))
    edge, halo = (-(-n // step) * step for n in (edge, halo))
    for window in windows(*pair.grid.canvas, edge, halo):
        rows, columns = window.outer
        size = rows.stop - rows.start, columns.stop - columns.start
        first, second = (_part(source, window) for source in pair.sources)
        yield Block(replace(pair, sources=(first, second), grid=Grid(size, size)), window)


def _with_levels(source: Planes, grid: Grid) -> Planes:
    operator = build_operator(source.blur, grid.canvas)
    parts = [source.luma_part, *([] if source.chroma is None else [source.chroma_part])]
    clean = torch.tensor([source.degradation.is_clean])

    def level(plane: np.ndarray, part: Part) -> float:
        y = torch.from_numpy(np.ascontiguousarray(plane))[None, None]
        variance = noise_variance(torch.tensor([part.noise]), clean, part.gain)
        return float(prior_level(operator, y, variance))

    levels = (level(plane, part) for part in parts for plane in part.planes)
    return replace(source, levels=tuple(levels))


def join(pair: Prepared, done: Iterable[tuple[Block, Fusion]]) -> Fusion:
    """The whole from its blocks, in main memory."""
    whole: Fusion | None = None
    for block, part in done:
        if whole is None:
            whole = _empty(pair, part)
        seconds, warnings = whole.seconds + part.seconds, {*whole.warnings, *part.warnings}
        whole = replace(whole, seconds=seconds, warnings=tuple(sorted(warnings)))
        _put(whole, block.window, part)
    assert whole is not None
    seen = tuple(
        (residual.square().mean().sqrt(), residual) for _, residual in whole.residuals_seen
    )
    return replace(whole, residuals_seen=seen)


def _empty(pair: Prepared, like: Fusion) -> Fusion:
    """A fusion of the whole pair without pixels."""

    def planes(count: int) -> Tensor:
        return torch.empty(count, *pair.grid.canvas)

    scales = [source.degradation.sr_scale for source in pair.sources]
    maps = [torch.empty([n // scale for n in pair.grid.canvas]) for scale in scales]
    return replace(
        like,
        pair=pair,
        state=planes(5),
        weight=planes(1),
        chroma=None if like.chroma is None else planes(2),
        residuals_seen=tuple((torch.zeros(()), residual) for residual in maps),
        steps=[(t, planes(len(X)), planes(len(m))) for t, X, m in like.steps],
        seconds=0.0,
        warnings=(),
    )


def _put(whole: Fusion, window: Window, part: Fusion) -> None:
    pieces = [(whole.state, part.state), (whole.weight, part.weight)]
    if whole.chroma is not None and part.chroma is not None:
        pieces.append((whole.chroma, part.chroma))
    for (_, X, m), (_, X_part, m_part) in zip(whole.steps, part.steps, strict=True):
        pieces += [(X, X_part), (m, m_part)]
    for to, what in pieces:
        to[(..., *window.place)] = what[(..., *window.inner)].cpu()
    scales = [source.degradation.sr_scale for source in whole.pair.sources]
    seen = zip(scales, whole.residuals_seen, part.residuals_seen, strict=True)
    for scale, (_, residual), (_, piece) in seen:
        residual[_shrunk(window.place, scale)] = piece[_shrunk(window.inner, scale)].cpu()


def _reach(degradation: Degradation) -> int:
    """How far an operator looks, in pixels of the full resolution."""
    if degradation.psf is not None:
        return max(degradation.psf.shape)
    return math.ceil(6 * equivalent_sigma(degradation))


def _part(source: Planes, window: Window) -> Planes:
    rows, columns = _shrunk(window.outer, source.degradation.sr_scale)
    chroma = None if source.chroma is None else source.chroma[:, rows, columns]
    return replace(source, luma=source.luma[rows, columns], chroma=chroma)


def _shrunk(window: tuple[slice, slice], scale: int) -> tuple[slice, slice]:
    rows, columns = (slice(s.start // scale, s.stop // scale) for s in window)
    return rows, columns
