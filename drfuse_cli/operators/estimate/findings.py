"""What was found in a file: every value with a confidence and the reason."""

from __future__ import annotations

from dataclasses import dataclass

ENOUGH = 0.5
"""Confidence from which a value is acted on."""


@dataclass(frozen=True)
class Estimate:
    """A value, how far it can be trusted (0..1), and why, in a few words."""

    value: float
    confidence: float
    why: str

    @property
    def trusted(self) -> bool:
        return self.confidence >= ENOUGH


@dataclass(frozen=True)
class SourceEstimate:
    """What one file tells about its own degradation.

    ``noise``: standard deviation in grey levels (0..255), the median of ``channels``.
    ``blur``: sigma of a Gaussian, in pixels of the file; ``most_blur``: what that hardly ever
    exceeds in files that look like this one, ``None`` where they tell no bound. ``scale``:
    how many times the file was enlarged, 1 where it was not. ``zero_border``: sigma in pixels
    of a blur whose zero padding darkened the borders, 0 where there is none. ``jpeg``: quality
    1..100 of a compression that left its marks, 100 where none. ``stripes``: standard deviation
    in grey levels of a pattern that repeats in every row or every column.
    """

    noise: Estimate
    channels: tuple[Estimate, ...]
    blur: Estimate
    most_blur: float | None
    scale: Estimate
    zero_border: Estimate
    jpeg: Estimate
    stripes: Estimate
