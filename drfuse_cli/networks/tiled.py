"""A network that never sees more than a tile: bounded memory on any size of image."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from torch import Tensor

from drfuse_cli.networks.precision import MixedNetwork
from drfuse_cli.networks.unet import MULTIPLE, pad_to_multiple

_ENCODER_HALO = 96
"""Pixels of surroundings a tile is given; beyond them an input no longer changes the output."""


@dataclass(frozen=True)
class Window:
    """A tile, and where it lies inside its surroundings."""

    outer: tuple[slice, slice]
    inner: tuple[slice, slice]
    place: tuple[slice, slice]

    @staticmethod
    def halved(window: tuple[slice, slice]) -> tuple[slice, slice]:
        rows, columns = (slice(s.start // 2, s.stop // 2) for s in window)
        return rows, columns


def windows(height: int, width: int, tile: int, halo: int) -> Iterator[Window]:
    """Tiles of ``tile`` pixels a side, or less at the end, with ``halo`` pixels around them."""

    def spans(n: int) -> Iterator[tuple[slice, slice, slice]]:
        for start in range(0, n, tile):
            stop = min(start + tile, n)
            low, high = max(0, start - halo), min(n, stop + halo)
            yield slice(low, high), slice(start - low, stop - low), slice(start, stop)

    for rows in spans(height):
        for columns in spans(width):
            outer, inner, place = zip(rows, columns, strict=True)
            yield Window(outer, inner, place)


def tiles(
    run: Callable[[Tensor], Tensor], image: Tensor, channels: int, tile: int, reach: int
) -> Tensor:
    """``run(image)`` of so many channels, tile by tile with ``reach`` pixels around each."""
    made = image.new_empty(len(image), channels, *image.shape[-2:])
    tile = max(MULTIPLE, tile // MULTIPLE * MULTIPLE)
    for w in windows(image.shape[-2], image.shape[-1], tile, reach):
        made[(..., *w.place)] = run(image[(..., *w.outer)])[(..., *w.inner)].to(made)
    return made


class TiledNetwork:
    """Runs a network tile by tile and puts the results together; same calls, same results."""

    def __init__(self, network: MixedNetwork, tile: int) -> None:
        self.network = network
        self.tile = max(MULTIPLE, tile // MULTIPLE * MULTIPLE)

    def encode(self, lifted: Tensor, observed: Tensor, condition: Tensor) -> Tensor:
        lifted, observed = pad_to_multiple(lifted), pad_to_multiple(observed)
        height, width = lifted.shape[-2:]
        features: Tensor | None = None
        for w in windows(height, width, self.tile, _ENCODER_HALO):
            index = (..., *w.outer)
            part = self.network.encode(lifted[index], observed[index], condition)
            if features is None:
                features = part.new_empty((*part.shape[:2], height // 2, width // 2))
            features[(..., *w.halved(w.place))] = part[(..., *w.halved(w.inner))]
        assert features is not None
        return features

    def __call__(
        self, state: Tensor, estimate: Tensor, features: Tensor, condition: Tensor, time: Tensor
    ) -> tuple[Tensor, Tensor]:
        height, width = state.shape[-2:]
        state, estimate = pad_to_multiple(state), pad_to_multiple(estimate)
        change, weight = state.new_empty(state.shape), state.new_empty(state[:, :1].shape)
        for w in windows(state.shape[-2], state.shape[-1], self.tile, self.network.reach):
            outer, inner, place = (..., *w.outer), (..., *w.inner), (..., *w.place)
            part = features[(..., *w.halved(w.outer))]
            de, m = self.network(state[outer], estimate[outer], part, condition, time)
            change[place], weight[place] = de[inner], m[inner]
        return change[..., :height, :width], weight[..., :height, :width]
