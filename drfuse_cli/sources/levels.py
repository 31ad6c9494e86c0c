"""Which values of a file become black and white.

The counts of a thermal camera fill a small part of 16 bits, and those of a 10- or 12-bit camera
only the lowest: taken as they stand, such pictures are nearly black. What is done about it is
strictly increasing, so that it can be undone, CLAHE apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import cv2
import numpy as np

from drfuse_cli.config import Agc, Task
from drfuse_cli.errors import DrfuseError
from drfuse_cli.imageio import Image

Both = tuple["Levels | None", "Levels | None"]

_BULK = 0.1, 99.9
"""Percentiles between which most of a picture lies; what is outside may be a target."""
_NARROW = 1 / 8
"""Part of 16 bits below which nobody has prepared a picture to be looked at: half of 14 bits."""
_TAIL = 0.2
"""Most of the grey levels that what lies outside the bulk gets, on either side."""
_STEEPEST = 257
"""Gain that makes a count one grey level of 255: more would show nothing but noise."""
_SHALLOW = 8, 10, 12
"""Bits of cameras whose counts stand in the lowest bits of a 16-bit file."""
_HEADROOM = 0.1
"""Part of the range that frames of a sequence may go beyond those that were looked at."""
_CLAHE_LEVELS, _CLAHE_LIMIT, _CLAHE_TILE = 1024, 3.0, 40


@dataclass(frozen=True)
class Levels:
    """A mapping of the values of a file to grey levels, a straight line between its knots.

    ``knots``: counts as they stand in the file, and the grey level of each in 0..1, both
    increasing; ``gain``: the slope where most of the picture lies, in levels of the full range
    per count of the full range, by which noise grows. ``clahe``: then evened out locally.
    ``unit``: the value of count 0 and of one count, in a file of floating-point numbers.
    """

    kind: Literal["percentile", "clahe", "bits"]
    knots: tuple[tuple[float, float], ...]
    gain: float
    unit: tuple[float, float] | None = None

    @property
    def linear(self) -> bool:
        return len(self.knots) == 2

    @property
    def reversible(self) -> bool:
        return self.kind != "clahe"

    @property
    def noise_gain(self) -> float:
        """By how much noise grows that is given in grey levels of the file.

        1 where a file has none, or where CLAHE leaves no one gain.
        """
        return self.gain if self.unit is None and self.reversible else 1.0

    def apply(self, image: Image) -> Image:
        """The picture to be fused, of the same depth."""
        return self.evened(self.mapped(image))

    def mapped(self, image: Image) -> Image:
        """Grey levels for counts, by the knots alone."""
        counts, shares = zip(*self.knots, strict=True)
        return replace(image, pixels=self._look_up(image, counts, shares, 1, image.max_value))

    def evened(self, image: Image) -> Image:
        """What `mapped` made, evened out locally where that was asked for."""
        return replace(image, pixels=_evened(image.pixels)) if self.kind == "clahe" else image

    def undo(self, image: Image) -> Image:
        """Counts as they stood in the file; as it is where that is not possible.

        A file of floating-point numbers does not go back into integers: the sidecar holds the
        mapping.
        """
        if not self.reversible or self.unit is not None:
            return image
        counts, shares = zip(*self.knots, strict=True)
        return replace(image, pixels=self._look_up(image, shares, counts, image.max_value, 1))

    @staticmethod
    def _look_up(
        image: Image, x: Sequence[float], y: Sequence[float], x_scale: float, y_scale: float
    ) -> np.ndarray:
        stored = np.arange(image.max_value + 1) / x_scale
        table = np.interp(stored, x, y) * y_scale
        table = np.floor(table + 0.5).clip(0, image.max_value).astype(image.pixels.dtype)
        taken: np.ndarray = table[image.pixels]
        return taken

    def clipped(self, image: Image) -> int:
        """How many pixels of a file lie beyond black or white."""
        low, high = self.knots[0][0], self.knots[-1][0]
        return int(np.count_nonzero((image.pixels < low) | (image.pixels > high)))

    def describe(self) -> str:
        """One line for people, in the values of the file."""
        values = [f"{self._value(count):.7g}" for count, _ in self.knots]
        if self.kind == "bits":
            return f"{values[-1]} is white: {_bits(self.knots[-1][0])} bits in a 16-bit file"
        said = f"gain control: {values[0]} becomes black, {values[-1]} white"
        if not self.linear:
            said += f"; most of it is for {' to '.join(self._bulk())}"
        return said if self.reversible else f"{said}; then CLAHE, which cannot be undone"

    def _bulk(self) -> tuple[str, str]:
        """The ends of the steepest part, where most of the picture lies."""
        steps = zip(self.knots, self.knots[1:], strict=False)
        (low, _), (high, _) = max(steps, key=lambda step: _slope(*step))
        return f"{self._value(low):.7g}", f"{self._value(high):.7g}"

    def document(self) -> dict[str, Any]:
        """For the sidecar; ``knots`` from values of the file to 16-bit levels."""
        knots = [[_rounded(self._value(n)), _rounded(share * 65535)] for n, share in self.knots]
        return {
            "kind": self.kind,
            "low": knots[0][0],
            "high": knots[-1][0],
            "knots": knots,
            "gain": _rounded(self.gain),
            "noise_gain": self.noise_gain,
            "reversible": self.reversible,
        }

    def _value(self, count: float) -> float:
        zero, step = self.unit or (0.0, 1.0)
        return zero + step * count


def find_levels(images: tuple[Image, Image], task: Task, agc: Agc) -> Both:
    """How the values of both files are to be taken; ``None``: as they stand.

    ``auto`` stretches a grey 16-bit (or floating-point) infrared picture that lies within an
    eighth of the range, and takes cameras of 8, 10 and 12 bits for what they are; ``none``
    takes both files as they stand. Raises ``DrfuseError`` for gain control on colour.
    """
    if agc == "none" or task == "medical":
        return None, None
    if task == "multifocus":
        both = _shallow(images)  # they show one scene in one light
        return both, both
    return _thermal(images[0], agc), _shallow(images[1:])


def find_common(frames: Iterable[tuple[Image, Image]], task: Task, agc: Agc) -> Both:
    """As :func:`find_levels`, one mapping for all frames, with some room beyond them.

    Raises ``DrfuseError`` for frames of different depth.
    """
    kept = [
        (first if task == "ivif" else _extremes(first), _extremes(second))
        for first, second in frames
    ]
    if not kept:
        return None, None
    firsts, seconds = zip(*kept, strict=True)
    found, other = find_levels((_together(firsts), _together(seconds)), task, agc)
    return found and _widened(found), other


def _extremes(image: Image) -> Image:
    """The smallest and the largest value, as an image: few bytes to hold."""
    ends = [[image.pixels.min(), image.pixels.max()]]
    return replace(image, pixels=np.array(ends, image.pixels.dtype))


def _together(images: Sequence[Image]) -> Image:
    """All pixels of images as one image of a column."""
    if len({(image.bits, image.colour, image.unit is None) for image in images}) > 1:
        raise DrfuseError(
            "the frames differ in depth or colour",
            hint="Frames of one sequence come from one camera; or leave out --sequence.",
            path=images[0].path,
        )
    if len({image.unit for image in images}) > 1:
        raise DrfuseError(
            "frames of floating-point numbers have no common scale",
            hint="Save them as 16-bit TIFF, with one offset and one factor for all.",
            path=images[0].path,
        )
    channels = images[0].pixels.shape[2:]
    columns = [image.pixels.reshape(-1, 1, *channels) for image in images]
    return replace(images[0], pixels=np.concatenate(columns))


def _widened(levels: Levels) -> Levels:
    if levels.kind == "bits":
        return levels
    share = 1 / (1 + 2 * _HEADROOM)
    (low, black), (high, white) = levels.knots[0], levels.knots[-1]
    room = _HEADROOM * (high - low)
    inside = [(count, (_HEADROOM + level) * share) for count, level in levels.knots]
    knots = _simplest(
        [(low - room, black * share), *inside, (high + room, 1 - (1 - white) * share)]
    )
    return replace(levels, knots=knots, gain=levels.gain * share)


# ---- gain control ---------------------------------------------------------------------------


def _thermal(image: Image, agc: Agc) -> Levels | None:
    if image.colour:
        if agc == "auto":
            return None
        raise DrfuseError(
            f"--agc {agc} is for grey pictures, and this one has colour",
            hint="A palette cannot be undone: export the measured values, as a 16-bit TIFF. Or "
            "leave out --agc, and the picture is taken as it is.",
            path=image.path,
        )
    if agc == "auto" and not _is_narrow(image):
        return None
    return _stretch(image, "clahe" if agc == "clahe" else "percentile")


def _is_narrow(image: Image) -> bool:
    if image.unit is not None:
        return True
    low, high = np.percentile(image.pixels, _BULK)
    return image.bits == 16 and bool(high - low < _NARROW * image.max_value)


def _stretch(image: Image, kind: Literal["percentile", "clahe"]) -> Levels | None:
    """Three straight pieces: cold, bulk and hot; one where no target lies far out."""
    low, high = float(image.pixels.min()), float(image.pixels.max())
    if low == high:
        return None
    first, last = np.round(np.percentile(image.pixels, _BULK)).tolist()
    if first == last:
        first, last = low, high
    counts = np.array([low, first, last, high])
    widths = np.diff(counts)
    shares = _shares(widths, image)
    at = (1 - shares.sum()) / 2
    levels = at + np.r_[0, np.cumsum(shares)]
    knots = _simplest(list(zip(counts.tolist(), levels.tolist(), strict=True)))
    gain = float(shares[1] / widths[1]) * image.max_value
    return Levels(kind, knots, gain, image.unit)


def _shares(widths: np.ndarray, image: Image) -> np.ndarray:
    """Of the grey levels, the part that each piece gets: by its width, within limits."""
    shares = widths / widths.sum()
    shares[[0, 2]] = shares[[0, 2]].clip(max=_TAIL)
    shares[1] = 1 - shares[0] - shares[2]
    if image.bits == 8 or image.unit is not None:
        return shares
    most = widths * _STEEPEST / image.max_value
    shares = np.minimum(shares, most)
    for piece in (2, 0, 1):  # what the bulk cannot use is for targets
        shares[piece] = min(most[piece], shares[piece] + 1 - shares.sum())
    return shares


def _simplest(knots: list[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
    """Knots that change nothing left out."""
    kept = [knots[0]]
    for knot in knots[1:]:
        if knot[0] == kept[-1][0]:
            continue
        if len(kept) > 1 and np.isclose(_slope(kept[-2], kept[-1]), _slope(kept[-1], knot)):
            kept.pop()
        kept.append(knot)
    return tuple(kept)


def _slope(a: tuple[float, float], b: tuple[float, float]) -> float:
    return (b[1] - a[1]) / (b[0] - a[0])


def _evened(pixels: np.ndarray) -> np.ndarray:
    """Contrast-limited adaptive histogram equalisation.

    OpenCV counts 16-bit values in 65536 bins and limits how many fall into one, which with
    tiles of some thousand pixels has no effect; on coarser levels it has.
    """
    top = int(np.iinfo(pixels.dtype).max)
    levels = min(_CLAHE_LEVELS, top + 1)
    step = (top + 1) // levels
    bins = top + 1 if top > 255 else 256
    tiles = [int(np.clip(n // _CLAHE_TILE, 1, 8)) for n in pixels.shape[::-1]]
    limit = _CLAHE_LIMIT * bins / levels
    return cv2.createCLAHE(limit, (tiles[0], tiles[1])).apply(pixels // step * step)


# ---- cameras of fewer than 16 bits ----------------------------------------------------------


def _shallow(images: Sequence[Image]) -> Levels | None:
    """All 16-bit images together, where one holds no more than a camera of fewer bits counts."""
    deep = [image for image in images if image.bits == 16]
    peak = max((int(image.pixels.max()) for image in deep), default=0)
    flat = all(image.pixels.min() == image.pixels.max() for image in deep)
    bits = next((bits for bits in _SHALLOW if peak < 1 << bits), None)
    if flat or bits is None or len(deep) < len(images):
        return None
    white = (1 << bits) - 1
    return Levels("bits", ((0.0, 0.0), (float(white), 1.0)), 65535 / white)


def _bits(white: float) -> int:
    return int(white).bit_length()


def _rounded(value: float) -> float:
    return float(f"{value:.9g}")
