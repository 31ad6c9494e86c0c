"""What flags and profiles say of both sources, before any file is looked at."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, Literal, TypeVar

from drfuse_cli.config import PRESET_NAMES, PresetName
from drfuse_cli.errors import DrfuseError

T = TypeVar("T")
Both = tuple[T, T]
Curve = tuple[tuple[float, float], ...]
"""Levels, going up, and the standard deviation of the noise at each, in grey levels (0..255)."""

Mode = Literal["auto", PresetName]
MODES: tuple[Mode, ...] = ("auto", *PRESET_NAMES)

_MAX_NOISE, _MAX_SIGMA = 255.0, 50.0
MAX_SCALE = 32


@dataclass(frozen=True)
class Overrides:
    """What the flags say, one entry a source; ``None`` where a flag is silent.

    ``noise_curve``: the noise at several levels, where a profile has that in place of one value.
    ``profiled``: what a profile says rather than a flag, as names and indices of sources.
    ``cap_blur``: no sigma larger than what the file shows is taken from flags or presets.
    """

    noise_std: Both[float | None] = (None, None)
    blur_sigma: Both[float | None] = (None, None)
    sr_scale: Both[int | None] = (None, None)
    psf: Both[str | None] = (None, None)
    noise_curve: Both[Curve | None] = (None, None)
    profiled: frozenset[tuple[str, int]] = field(default=frozenset(), compare=False)
    cap_blur: bool = False

    @property
    def is_empty(self) -> bool:
        return replace(self, cap_blur=False) == Overrides()

    def over(self, profile: Overrides) -> Overrides:
        """These flags, and what a profile says about sources where they are silent.

        A blur is one thing, be it a sigma or a point-spread function, and so are both scales.
        """
        taken: dict[str, list[Any]] = {name: list(getattr(self, name)) for name in _TOLD}
        profiled = set()
        for i in (0, 1):
            silent = {
                "noise_std": self.noise_std[i] is None,
                "noise_curve": self.noise_std[i] is None,
                "blur_sigma": self.blur_sigma[i] is None and self.psf[i] is None,
                "psf": self.blur_sigma[i] is None and self.psf[i] is None,
                "sr_scale": self.sr_scale == (None, None),
            }
            for name in _TOLD:
                value = getattr(profile, name)[i]
                if silent[name] and value is not None:
                    taken[name][i] = value
                    profiled.add((name, i))
        both: dict[str, Any] = {name: tuple(values) for name, values in taken.items()}
        return replace(self, **both, profiled=frozenset(profiled))

    def of_source(self, i: int) -> SourceFlags:
        """What is said of source ``i``, 0 or 1; curves have been read off by then."""
        return SourceFlags(
            self.noise_std[i],
            self.blur_sigma[i],
            self.sr_scale[i],
            self.psf[i],
            frozenset(name for name, source in self.profiled if source == i),
            self.cap_blur,
        )

    def at_levels(self, levels: Both[float]) -> Overrides:
        """With curves read off at the median levels (0..255) of both sources."""
        found, profiled = list(self.noise_std), set(self.profiled)
        for i, curve in enumerate(self.noise_curve):
            if curve:
                found[i] = _at(curve, levels[i])
                profiled.add(("noise_std", i))
        return replace(
            self,
            noise_std=(found[0], found[1]),
            noise_curve=(None, None),
            profiled=frozenset(profiled),
        )


_TOLD = ("noise_std", "blur_sigma", "sr_scale", "psf", "noise_curve")


def _at(curve: Curve, level: float) -> float:
    """A straight line between the points of a curve, level beyond its ends."""
    if level <= curve[0][0]:
        return curve[0][1]
    for (x0, y0), (x1, y1) in pairwise(curve):
        if level <= x1:
            return round(y0 + (y1 - y0) * (level - x0) / (x1 - x0), 3)
    return curve[-1][1]


@dataclass(frozen=True)
class SourceFlags:
    """The overrides of one source."""

    noise_std: float | None
    blur_sigma: float | None
    sr_scale: int | None
    psf: str | None
    profiled: frozenset[str]
    cap_blur: bool

    @property
    def given(self) -> dict[str, Any]:
        """What is said, by name, the point-spread function apart."""
        told = {
            "noise_std": self.noise_std,
            "blur_sigma": self.blur_sigma,
            "sr_scale": self.sr_scale,
        }
        return {name: value for name, value in told.items() if value is not None}

    def origin(self, name: str) -> str:
        """Who said the value of that name: ``profile`` or ``flag``."""
        return "profile" if name in self.profiled else "flag"


def parse_overrides(
    noise_std: str | None = None,
    blur_sigma: str | None = None,
    sr_scale: str | None = None,
    psf: str | None = None,
    cap_blur: bool = False,
) -> Overrides:
    """The values of the four flags, ``A`` for both sources or ``A,B``.

    Raises ``DrfuseError`` naming the flag for what is no number, is out of range, or gives a
    source both a Gaussian blur and a point-spread function.
    """
    parsed = Overrides(
        noise_std=_both("--noise-std", noise_std, _number("--noise-std", 0, _MAX_NOISE)),
        blur_sigma=_both("--blur-sigma", blur_sigma, _number("--blur-sigma", 0, _MAX_SIGMA)),
        sr_scale=_both("--sr-scale", sr_scale, _whole_number),
        psf=_both("--psf", psf, lambda text: None if text.lower() == "none" else text),
        cap_blur=cap_blur,
    )
    for number, (file, sigma) in enumerate(zip(parsed.psf, parsed.blur_sigma, strict=True), 1):
        if file and sigma:
            raise DrfuseError(
                f"source {number} has both --psf and --blur-sigma",
                hint="Give one of them; with a value for each source, --blur-sigma 0,2 "
                "or --psf none,FILE leaves the other source alone.",
            )
    return parsed


def _both(flag: str, text: str | None, convert: Callable[[str], T]) -> Both[T | None]:
    if text is None:
        return None, None
    # A comma may also be part of a file name.
    parts = [text] if flag == "--psf" and os.path.isfile(text) else text.split(",")
    if len(parts) > 2 or not all(part.strip() for part in parts):
        raise DrfuseError(
            f"{flag} is {text!r}", hint="Give one value for both sources, or two: A,B."
        )
    values = [convert(part.strip()) for part in parts]
    return values[0], values[-1]


def _number(flag: str, low: float, high: float) -> Callable[[str], float]:
    def convert(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            raise DrfuseError(
                f"{flag}: {text!r} is not a number", hint=f"For example {flag} 8 or {flag} 8,2.5."
            ) from None
        if not low <= value <= high:
            raise DrfuseError(f"{flag}: {text} is outside {low:g}..{high:g}")
        return value

    return convert


def _whole_number(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= MAX_SCALE):
        raise DrfuseError(
            f"--sr-scale: {text!r} is not a whole number from 1 to {MAX_SCALE}",
            hint="It says how many times smaller a source is than the fused image.",
        )
    return int(text)
