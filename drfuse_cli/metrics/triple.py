"""What is measured: pictures, two sources, and a fused image of them; shared work is done once.

A function that several metrics need takes one of the three and is marked `once`: its result is
kept with its argument and lives as long. What is kept is small (numbers, histograms) or slow
(`phase_congruency`); large maps are locals of the function that reduces them to numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, wraps
from typing import Any, TypeVar

import numpy as np

from drfuse_cli.errors import DrfuseError
from drfuse_cli.metrics.common import Array, Grey, Undefined, place


@dataclass(frozen=True, eq=False)
class _Keeper:
    kept: dict[Any, Any] = field(default_factory=dict, init=False, repr=False)


@dataclass(frozen=True, eq=False)
class Picture(_Keeper):
    """One H x W uint8 luminance image. Raises `DrfuseError` for anything else."""

    pixels: Grey
    name: str = "image"
    device: str | None = None
    """The torch device that metrics are computed on; ``None`` is the processor, by numpy."""

    def __post_init__(self) -> None:
        pixels = self.pixels
        if pixels.dtype != np.uint8 or pixels.ndim != 2 or pixels.size == 0:
            raise DrfuseError(
                f"the {self.name} is {pixels.dtype} of shape {pixels.shape}",
                hint="metrics take 8-bit luminance, height x width",
            )

    @cached_property
    def placed(self) -> Grey:
        """The pixels there where metrics are computed."""
        return place(self.pixels, self.device)

    @cached_property
    def real(self) -> Array:
        """The grey levels as float64, 0..255, there where metrics are computed."""
        return self.placed.astype(np.float64)

    @cached_property
    def levels(self) -> tuple[int, int]:
        """Lowest and highest grey level."""
        return int(self.pixels.min()), int(self.pixels.max())

    @property
    def size(self) -> str:
        """Width x height, as text."""
        return f"{self.pixels.shape[1]}x{self.pixels.shape[0]}"


@dataclass(frozen=True, eq=False)
class Sources(_Keeper):
    """The two sources of a pair, to score any number of fused images against.

    Raises `DrfuseError` where they are not 8-bit luminance of one size.
    """

    a: Picture
    b: Picture

    @classmethod
    def of(cls, a: Grey, b: Grey, device: str | None = None) -> Sources:
        """The sources with these pixels, both H x W uint8, to be measured on a `Picture.device`."""
        return cls(Picture(a, "first source", device), Picture(b, "second source", device))

    def __post_init__(self) -> None:
        if self.a.pixels.shape != self.b.pixels.shape:
            raise DrfuseError(
                f"the sources differ in size: {self.a.size} and {self.b.size}",
                hint="metrics need registered sources of one size",
            )

    @property
    def both(self) -> tuple[Picture, Picture]:
        return self.a, self.b


@dataclass(frozen=True, eq=False)
class Triple(_Keeper):
    """A fused image F and its sources A and B. Raises `DrfuseError` where sizes differ."""

    sources: Sources
    f: Picture

    @classmethod
    def of(cls, sources: Sources, f: Grey) -> Triple:
        """With a fused image of these pixels, H x W uint8, measured where its sources are."""
        return cls(sources, Picture(f, "fused image", sources.a.device))

    def __post_init__(self) -> None:
        if self.f.pixels.shape != self.a.pixels.shape:
            raise DrfuseError(
                f"the fused image is {self.f.size}, its sources are {self.a.size}",
                hint="score against sources of the fused image's size",
            )

    @property
    def a(self) -> Picture:
        return self.sources.a

    @property
    def b(self) -> Picture:
        return self.sources.b

    @property
    def pictures(self) -> tuple[Picture, Picture, Picture]:
        """A, B and F."""
        return self.a, self.b, self.f


K = TypeVar("K", bound=_Keeper)
T = TypeVar("T")


def once(compute: Callable[[K], T]) -> Callable[[K], T]:
    """Compute a quantity of a picture, of two sources or of a triple once and keep it there."""

    @wraps(compute)
    def shared(of: K) -> T:
        if compute not in of.kept:
            of.kept[compute] = compute(of)
        return of.kept[compute]

    return shared


def require_contrast(*pictures: Picture) -> None:
    """Raise `Undefined` where a picture has one grey level only."""
    for picture in pictures:
        low, high = picture.levels
        if low == high:
            raise Undefined(f"constant image: the {picture.name}")


def require_stretchable(*pictures: Picture) -> None:
    """Raise `Undefined` for a constant picture that is not black, which no stretching maps."""
    require_contrast(*(picture for picture in pictures if picture.levels != (0, 0)))


def stretch(picture: Picture) -> Array:
    """Grey levels stretched to 0..255 and rounded half up; a black picture as it is."""
    levels = stretched_levels(picture)[picture.pixels - picture.levels[0]]
    return place(levels, picture.device)


def stretched_levels(picture: Picture) -> Array:
    """What `stretch` makes of the levels from the picture's lowest to its highest."""
    require_stretchable(picture)
    low, high = picture.levels
    return np.asarray(np.floor(255 * np.arange(high - low + 1) / max(high - low, 1) + 0.5))
