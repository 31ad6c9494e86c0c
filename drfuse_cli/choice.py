"""``--method auto``: what a pair shows decides between DRFusion and ReCoFuse.

DRFusion undoes what a linear operator describes: blur, pooling, noise. ReCoFuse has learned to
undo haze, low light and low contrast, and does not sharpen. DRFusion stays unless something is
found that is for ReCoFuse alone, and even then undoes blur, pooling and noise before it. Stripes
are taken out before either.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from drfuse_cli.config import Method, Task
from drfuse_cli.degradations import Mode, Overrides, believed

if TYPE_CHECKING:
    from drfuse_cli.imageio import Image
    from drfuse_cli.operators.estimate import SourceEstimate

Plane = npt.NDArray[np.float32]

_SIDE = 320
_SMOOTH = 1.0
_PATCH = 9
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)

# Set on training pairs by bench/choice/thresholds.py; in grey levels (0..255) where they have one.
VEILED_BLACK, VEILED_WHITE, VEILED_CONTRAST = 30.0, 243.0, 0.28
DARK_MEDIAN = 7.0
FLAT_BLACK, FLAT_SPAN = 18.0, 160.0
PLAINER = 0.9
"""Of span and contrast, where a blur or pooling took a part of both."""


@dataclass(frozen=True)
class Choice:
    """A method, and what speaks for it, in words."""

    method: Method
    reasons: tuple[str, ...]

    def describe(self) -> str:
        """``low contrast in source 1 ..., haze in source 2 ...: recofuse``."""
        return f"{', '.join(self.reasons)}: {self.method}"


# ---- the choice -----------------------------------------------------------------------------


def settled(task: Task, mode: Mode, overrides: Overrides) -> Choice | None:
    """The choice where task or flags leave none; ``None`` where the files are to be looked at."""
    if task != "ivif":
        return Choice("drfusion", (f"ReCoFuse is not for --task {task}",))
    if not overrides.is_empty:
        teller = "the profile" if overrides.profiled else "a flag"
        return Choice("drfusion", (f"{teller} says what the files went through",))
    if mode != "auto":
        return Choice("drfusion", (f"--degrade {mode} says what the files went through",))
    return None


def choose(images: tuple[Image, Image], estimates: tuple[SourceEstimate, SourceEstimate]) -> Choice:
    """The method for an infrared and a visible source, by what they and their estimates show.

    Deterministic. Tones alone speak for ReCoFuse: what DRFusion undoes is undone before it.
    """
    undone = _unlike(images) + _blurs(estimates)
    share = PLAINER if undone else 1.0
    tonal = _flat(images[0], share) + _veiled(images[1], share)
    if tonal:
        return Choice("recofuse", (*tonal, *(f"{reason} (undone first)" for reason in undone)))
    found = undone or _noises(estimates) or ["nothing but what DRFusion undoes"]
    return Choice("drfusion", tuple(found))


def _unlike(images: tuple[Image, Image]) -> list[str]:
    first, second = (f"{image.width}x{image.height}" for image in images)
    return [] if first == second else [f"sources of {first} and {second}"]


def _blurs(estimates: tuple[SourceEstimate, SourceEstimate]) -> list[str]:
    sigmas = [believed(found).blur_sigma for found in estimates]
    return [f"blur of sigma {s:.1f} in source {n}" for n, s in enumerate(sigmas, 1) if s > 0]


def _noises(estimates: tuple[SourceEstimate, SourceEstimate]) -> list[str]:
    stds = [believed(found).noise_std for found in estimates]
    return [f"noise of std {std:.1f} in source {n}" for n, std in enumerate(stds, 1) if std > 0]


def _flat(image: Image, share: float) -> list[str]:
    seen = tones(image)
    if seen.black >= FLAT_BLACK and seen.span <= share * FLAT_SPAN:
        return [f"low contrast in source 1 (levels {seen.black:.0f} to {seen.bright:.0f})"]
    return []


def _veiled(image: Image, share: float) -> list[str]:
    seen = tones(image)
    if seen.median <= DARK_MEDIAN:
        return [f"low light in source 2 (median level {seen.median:.0f})"]
    no_black, no_white = seen.black >= VEILED_BLACK, seen.white <= VEILED_WHITE
    if no_black and no_white and seen.contrast <= share * VEILED_CONTRAST:
        return [f"haze in source 2 (dark channel {seen.dark_channel:.2f})"]
    return []


# ---- tones ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Tones:
    """How an image uses its range, in grey levels (0..255) of luma, noise smoothed away.

    ``black``: what all but one in a hundred neighbourhoods stay above; ``bright`` and ``white``:
    what one pixel in a hundred and in a thousand exceeds. ``contrast``: standard deviation over
    mean. ``dark_channel``: mean of the least value of any channel nearby, 0..1, which haze
    raises (He, Sun and Tang, CVPR 2009).
    """

    black: float
    bright: float
    white: float
    median: float
    contrast: float
    dark_channel: float

    @property
    def span(self) -> float:
        return self.bright - self.black


def tones(image: Image) -> Tones:
    """The tones of an image, from a copy of at most 320 pixels a side."""
    scale = min(1.0, _SIDE / max(image.height, image.width))
    size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    small = cv2.resize(image.pixels, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    small = cv2.GaussianBlur(small, (0, 0), _SMOOTH) * np.float32(255 / image.max_value)
    luma: Plane = small @ _LUMA if image.colour else small
    least: Plane = small.min(2) if image.colour else small
    return Tones(
        black=float(np.percentile(_darkest(luma), 1)),
        bright=float(np.percentile(luma, 99)),
        white=float(np.percentile(luma, 99.9)),
        median=float(np.median(luma)),
        contrast=float(luma.std()) / max(float(luma.mean()), 1.0),
        dark_channel=float(_darkest(least).mean()) / 255,
    )


def _darkest(plane: Plane) -> Plane:
    """The least value in the neighbourhood of every pixel."""
    return np.asarray(cv2.erode(plane, np.ones((_PATCH, _PATCH), np.uint8)), np.float32)
