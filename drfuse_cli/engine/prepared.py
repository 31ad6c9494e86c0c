"""Before the network: from pixels to numbers."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from drfuse_cli.colour import CHROMA_NOISE_GAIN, LUMA_NOISE_GAIN, split
from drfuse_cli.config import Degradation
from drfuse_cli.imageio import Image
from drfuse_cli.operators.build import border_coverage
from drfuse_cli.operators.grid import Grid

Degradations = tuple[Degradation, Degradation]


class Part(NamedTuple):
    """Channels ``C x h x w``, their noise and its share of the file's, levels of their priors."""

    planes: np.ndarray
    noise: float
    gain: float
    levels: tuple[float, ...] | None


@dataclass(frozen=True)
class Planes:
    """One source as numbers: luminance ``h x w``, chroma ``2 x h x w`` or none, its degradation.

    ``levels`` of the prior of luminance and chroma, where this is part of a larger source.
    """

    luma: np.ndarray
    chroma: np.ndarray | None
    degradation: Degradation
    levels: tuple[float, ...] | None = None

    @property
    def luma_gain(self) -> float:
        return LUMA_NOISE_GAIN if self.chroma is not None else 1.0

    @property
    def luma_noise(self) -> float:
        return self.degradation.noise_std * self.luma_gain

    @property
    def chroma_noise(self) -> float:
        return self.degradation.noise_std * CHROMA_NOISE_GAIN

    @property
    def luma_part(self) -> Part:
        levels = self.levels and self.levels[:1]
        return Part(self.luma[None], self.luma_noise, self.luma_gain, levels)

    @property
    def chroma_part(self) -> Part:
        assert self.chroma is not None
        levels = self.levels and self.levels[1:]
        return Part(self.chroma, self.chroma_noise, CHROMA_NOISE_GAIN, levels)

    @property
    def blur(self) -> Degradation:
        """The part of the degradation that makes the operator."""
        return replace(self.degradation, noise_std=0.0, zero_border=False, origin={})


def _planes(image: Image, degradation: Degradation, grid: Grid) -> Planes:
    luma, chroma = split(image)
    luma = grid.extend(luma, degradation.sr_scale)
    chroma = None if chroma is None else grid.extend(chroma, degradation.sr_scale)
    if degradation.zero_border:
        coverage = border_coverage(degradation, grid.canvas).astype(np.float32)
        luma = luma / coverage
        chroma = None if chroma is None else chroma / coverage
    return Planes(luma, chroma, degradation)


@dataclass(frozen=True, eq=False)
class Prepared:
    """A pair as numbers, ready for the network."""

    sources: tuple[Planes, Planes]
    grid: Grid
    bits: tuple[int, int]

    @property
    def pixels(self) -> int:
        return self.grid.canvas[0] * self.grid.canvas[1]

    @property
    def colour_source(self) -> int | None:
        """Colour comes from whichever source has it, from source 2 when both have."""
        for index in (1, 0):
            if self.sources[index].chroma is not None:
                return index
        return None

    @property
    def key(self) -> Hashable:
        """Pairs of one key can go through the network in one batch."""
        return self.grid, self.colour_source, *(source.blur for source in self.sources)


def prepare(first: Image, second: Image, degradations: Degradations) -> Prepared:
    """Two images as numbers on their common grid; may run in any thread.

    Raises DrfuseError where the sources do not fit together.
    """
    sizes = (first.height, first.width), (second.height, second.width)
    grid = Grid.of(sizes, (degradations[0].sr_scale, degradations[1].sr_scale))
    sources = _planes(first, degradations[0], grid), _planes(second, degradations[1], grid)
    return Prepared(sources, grid, (first.bits, second.bits))
