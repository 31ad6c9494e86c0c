"""From flags, presets and the files themselves to the degradation of both sources."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from drfuse_cli.config import PRESET_NAMES, Degradation, PresetName, Task, preset
from drfuse_cli.errors import DrfuseError

if TYPE_CHECKING:
    from drfuse_cli.imageio import Image
    from drfuse_cli.operators.estimate import SourceEstimate

T = TypeVar("T")
Both = tuple[T, T]
Curve = tuple[tuple[float, float], ...]
"""Levels, going up, and the standard deviation of the noise at each, in grey levels (0..255)."""
Size = tuple[int, int]
"""Height and width."""

Mode = Literal["auto", PresetName]
MODES: tuple[Mode, ...] = ("auto", *PRESET_NAMES)

_MAX_NOISE, _MAX_SIGMA = 255.0, 50.0
MAX_SCALE = 32
_TOLERANCE = 0.02
_WITHIN_ROUNDING = 0.5
_OVERSTATED = 1.15
"""A stated sigma over the estimated one, from which on the statement is doubted."""
_FAR = 1.3
"""A stated noise over the estimated one, or that over it, from which on it is doubted."""


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


# ---- parsing --------------------------------------------------------------------------------


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


# ---- fuse: what is assumed of the files ---------------------------------------------------------


def assume(task: Task, mode: Mode, overrides: Overrides, images: Both[Image]) -> Both[Degradation]:
    """What the two files are taken to have been through.

    ``mode`` is ``auto`` (noise and blur estimated from the file, less where it is in doubt)
    or a preset; scales come from the sizes; ``overrides`` win over both. Raises
    ``DrfuseError`` where the sizes do not go together or a point-spread function cannot be
    read.
    """
    scales = scales_of(overrides, (_size_of(images[0]), _size_of(images[1])))
    presets = preset(task, "none" if mode == "auto" else mode)
    first, second = (
        _assume_one(mode, presets[i], _of_source(overrides, i), scales[i], images[i])
        for i in (0, 1)
    )
    return first, second


@dataclass(frozen=True)
class _Flags:
    """The overrides of one source."""

    noise_std: float | None
    blur_sigma: float | None
    sr_scale: int | None
    psf: str | None
    profiled: frozenset[str]
    cap_blur: bool

    @property
    def given(self) -> dict[str, Any]:
        """What is said, the point-spread function apart."""
        told = {
            "noise_std": self.noise_std,
            "blur_sigma": self.blur_sigma,
            "sr_scale": self.sr_scale,
        }
        return {name: value for name, value in told.items() if value is not None}

    def origin(self, name: str) -> str:
        return "profile" if name in self.profiled else "flag"


def _of_source(overrides: Overrides, i: int) -> _Flags:
    return _Flags(
        overrides.noise_std[i],
        overrides.blur_sigma[i],
        overrides.sr_scale[i],
        overrides.psf[i],
        frozenset(name for name, source in overrides.profiled if source == i),
        overrides.cap_blur,
    )


def _assume_one(
    mode: Mode, base: Degradation, flags: _Flags, scale: int, image: Image
) -> Degradation:
    if mode == "auto":
        start = _measured(image, flags, scale)
    else:
        origin = dict.fromkeys(("noise_std", "blur_sigma"), "preset")
        start = replace(_pooled(base, mode, scale), origin={**origin, "sr_scale": "sizes"})
    said = _override(start, flags)
    return _with_zero_border(_capped(said, image) if flags.cap_blur else said, image)


def _capped(said: Degradation, image: Image) -> Degradation:
    """With no more of a stated Gaussian blur than the file can have been through."""
    estimated = said.origin.get("blur_sigma") in ("estimate", "default")
    if estimated or said.blur_sigma == 0:
        return said
    from drfuse_cli.operators.estimate import estimate

    most = estimate(image).most_blur
    if most is None or said.blur_sigma <= most * said.sr_scale:
        return said
    origin = {**said.origin, "blur_sigma": "capped"}
    return replace(said, blur_sigma=round(most * said.sr_scale, 2), origin=origin)


def _measured(image: Image, flags: _Flags, scale: int) -> Degradation:
    """What the file tells, unless the flags have told it all."""
    told = flags.noise_std is not None and (flags.blur_sigma is not None or flags.psf is not None)
    if told:
        return Degradation(sr_scale=scale, origin={"sr_scale": "sizes"})
    from drfuse_cli.operators.estimate import estimate

    return believed(estimate(image), scale)


def believed(found: SourceEstimate, scale: int = 1) -> Degradation:
    """What ``auto`` makes of the findings in a file that is ``scale`` times too small.

    Values without enough confidence become zero, their origin ``default``; so does the blur of
    an enlarged file, since interpolation is no Gaussian. Noise within the rounding of 8 bits
    is none.
    """
    seen = {
        name: one.value
        for name, one, nothing in (
            ("enlarged", found.scale, 1),
            ("stripes", found.stripes, 0),
            ("jpeg", found.jpeg, 100),
        )
        if one.trusted and one.value != nothing
    }
    padded = found.zero_border.trusted and found.zero_border.value > 0
    noise, blur = found.noise, found.zero_border if padded else found.blur
    has_noise = noise.value >= _WITHIN_ROUNDING
    believes_blur = blur.trusted and "enlarged" not in seen
    return Degradation(
        noise_std=round(noise.value, 2) if noise.trusted and has_noise else 0.0,
        blur_sigma=round(blur.value * scale, 2) if believes_blur else 0.0,
        sr_scale=scale,
        origin={
            "noise_std": "estimate" if noise.trusted else "default",
            "blur_sigma": "estimate" if believes_blur else "default",
            "sr_scale": "sizes",
        },
        seen=seen,
    )


def doubted_flags(images: Both[Image], degradations: Both[Degradation]) -> Iterator[str]:
    """What is said of flags that the files do not bear out."""
    for number, (image, said) in enumerate(zip(images, degradations, strict=True), 1):
        blur, noise = _is_stated(said, "blur_sigma"), _is_stated(said, "noise_std")
        blur = blur and said.psf is None and said.blur_sigma > 0
        if not blur and not noise:
            continue
        from drfuse_cli.operators.estimate import estimate

        found = estimate(image)
        of_blur = _overstated(said, found) if blur else ""
        of_noise = _misstated(said, found) if noise else ""
        yield from (f"source {number}: {text}" for text in (of_blur, of_noise) if text)


def _is_stated(said: Degradation, name: str) -> bool:
    return said.origin.get(name) in ("flag", "profile")


def _overstated(said: Degradation, found: SourceEstimate) -> str:
    """Of a Gaussian blur larger than the file shows.

    Undoing a blur that was not there does more harm than leaving one in (docs/quality.md), so
    one is doubted that exceeds either what the file looks like or what it can have been through.
    """
    seen = believed(found, said.sr_scale)
    sure = seen.origin["blur_sigma"] == "estimate" and "enlarged" not in seen.seen
    most = None if found.most_blur is None else found.most_blur * said.sr_scale
    if sure and said.blur_sigma > _OVERSTATED * seen.blur_sigma:
        shown = f"the file looks like {seen.blur_sigma:.1f}"
    elif most is not None and said.blur_sigma > most:
        shown = f"the file shows {most:.1f} at most" if most else "the file shows none"
    else:
        return ""
    return (
        f"a blur of sigma {said.blur_sigma:g} is stated, {shown}; too large a sigma rings: "
        f"state less, or let --cap-blur lower it"
    )


def _misstated(said: Degradation, found: SourceEstimate) -> str:
    """Of a noise that is far from what the file shows.

    Told too little the denoiser takes noise for detail, told too much detail for noise.
    """
    noise = found.noise
    near = noise.value / _FAR - 1 <= said.noise_std <= noise.value * _FAR + 1
    if near or not noise.trusted:
        return ""
    advice = "leave --noise-std out to have it estimated"
    if said.noise_std > noise.value:  # smoothed noise is estimated too low (docs/estimation.md)
        advice += ", unless its grain is smooth"
    return f"noise of {said.noise_std:g} is stated, the file looks like {noise.value:.1f}; {advice}"


def _pooled(base: Degradation, mode: Mode, scale: int) -> Degradation:
    """A preset at another scale: composite noise comes before the pooling, which divides it."""
    share = base.sr_scale / scale if mode == "composite" else 1
    return replace(base, noise_std=base.noise_std * share, sr_scale=scale)


def _override(base: Degradation, flags: _Flags) -> Degradation:
    """``base`` with what the flags of this source say in its place."""
    given = flags.given
    origin = {**base.origin, **{name: flags.origin(name) for name in given}}
    result = replace(base, **given, origin=origin)
    if flags.psf is None:
        return result
    from drfuse_cli.psf import load_psf

    origin.update(psf=flags.origin("psf"), blur_sigma=flags.origin("psf"))
    return replace(
        result, blur_sigma=0.0, psf=load_psf(flags.psf), psf_name=flags.psf, origin=origin
    )


def _with_zero_border(degradation: Degradation, image: Image) -> Degradation:
    if degradation.blur_free:
        return degradation
    from drfuse_cli.operators.estimate import has_zero_border

    if not has_zero_border(image, _spread(degradation), degradation.sr_scale):
        return degradation
    origin = {**degradation.origin, "zero_border": "estimate"}
    return replace(degradation, zero_border=True, origin=origin)


def _spread(degradation: Degradation) -> float:
    if degradation.psf is None:
        return degradation.blur_sigma
    from drfuse_cli.operators.kernels import psf_sigma

    return psf_sigma(degradation.psf)


# ---- scale and sizes ------------------------------------------------------------------------


def scales_from_sizes(first: Size, second: Size) -> Both[int]:
    """How many times smaller each of two images is than the larger one.

    Raises ``DrfuseError`` where that is no whole number, the same on both axes; sizes that
    the number does not divide may be rounded up or down.
    """
    small, large = sorted((first, second), key=math.prod)
    scale = round(math.sqrt(math.prod(large) / math.prod(small)))
    if scale > MAX_SCALE:
        raise DrfuseError(
            f"one source is {scale} times smaller than the other; at most {MAX_SCALE} is supported"
        )
    if not _agree((small, large), (scale, 1)):
        raise _no_scale(small, large, scale)
    return (scale, 1) if small == first else (1, scale)


def scales_of(overrides: Overrides, sizes: Both[Size]) -> Both[int]:
    """How many times smaller than the fused image sources are: by the flags, or by their sizes.

    Raises ``DrfuseError`` where these do not agree.
    """
    first, second = overrides.sr_scale
    if first is None or second is None:
        return scales_from_sizes(*sizes)
    if not _agree(sizes, (first, second)):
        one, two = _enlarge(sizes[0], first), _enlarge(sizes[1], second)
        said = "the profile's scale" if ("sr_scale", 0) in overrides.profiled else "--sr-scale"
        raise DrfuseError(
            f"{said} {first},{second} makes source 1 {_size(one)} and source 2 {_size(two)}",
            hint="Both must come to the size of the fused image. "
            f"The files are {_size(sizes[0])} and {_size(sizes[1])}; "
            "leave --sr-scale out to take the scale from them.",
        )
    return first, second


def _enlarge(size: Size, scale: int) -> Size:
    return size[0] * scale, size[1] * scale


def _agree(sizes: Both[Size], scales: Both[int]) -> bool:
    """Whether both cover one grid, up to the pixels lost where a scale does not divide it."""
    one, two = (_enlarge(size, scale) for size, scale in zip(sizes, scales, strict=True))
    return all(abs(a - b) < max(scales) for a, b in zip(one, two, strict=True))


def _no_scale(small: Size, large: Size, scale: int) -> DrfuseError:
    rows, columns = (big / little for little, big in zip(small, large, strict=True))
    sizes = f"the sources are {_size(small)} and {_size(large)}"
    if max(rows / columns, columns / rows) > 1 + _TOLERANCE:
        return DrfuseError(
            f"{sizes}: their shapes differ",
            hint="Crop both to the same field of view. --fit crop of drfuse fuse and batch crops "
            f"{_size(large)} in the middle; --fit letterbox keeps all of it.",
        )
    fitting = _size(_enlarge(small, scale))
    return DrfuseError(
        f"{sizes}, {columns:.3g} times as large: not a whole number of times",
        hint=f"Resize one of them; {fitting} would be {scale} times {_size(small)}. --fit crop of "
        "drfuse fuse and batch resamples the larger one.",
    )


def _size_of(image: Image) -> Size:
    return image.height, image.width


def _size(size: Size) -> str:
    return f"{size[1]}x{size[0]}"


# ---- degrade: what is done to clean images --------------------------------------------------


def applied(task: Task, mode: Mode, overrides: Overrides) -> Both[Degradation]:
    """What ``degrade`` does to clean sources; noise as it stands in the pooled file.

    Raises ``DrfuseError`` where nothing was asked for: there is nothing to estimate here.
    """
    if mode == "auto" and overrides.is_empty:
        raise DrfuseError(
            "nothing says how to degrade",
            hint="Give --degrade noise, blur or composite, or flags such as --noise-std 8.",
        )
    presets = preset(task, "none" if mode == "auto" else mode)
    first, second = (
        _override(_pooled(base, mode, flags.sr_scale or base.sr_scale), flags)
        for base, flags in ((presets[i], _of_source(overrides, i)) for i in (0, 1))
    )
    return first, second


# ---- telling --------------------------------------------------------------------------------

_ORIGINS = {
    "flag": "given",
    "profile": "from the profile",
    "preset": "preset",
    "estimate": "estimated from the file",
    "sizes": "from the sizes",
    "default": "assumed",
    "capped": "more was stated; the most that the file shows",
}


_SEEN = {
    "enlarged": "enlarged {:g} times (left so)",
    "stripes": "stripes of std {:.1f} (left in)",
    "jpeg": "JPEG of quality {:g} (left in)",
}


def describe(degradation: Degradation) -> str:
    """One line for people: every part of a degradation, and where its value came from."""

    def part(text: str, name: str) -> str:
        origin = _ORIGINS.get(degradation.origin.get(name, ""))
        return f"{text} ({origin})" if origin else text

    if degradation.psf is not None:
        blur = part(f"blur by {degradation.psf_name or 'a point-spread function'}", "psf")
    elif degradation.blur_sigma > 0:
        blur = part(f"blur sigma {degradation.blur_sigma:g}", "blur_sigma")
    else:
        blur = part("no blur", "blur_sigma")
    noise, scale = degradation.noise_std, degradation.sr_scale
    parts = [
        part(f"noise std {noise:g}" if noise else "no noise", "noise_std"),
        blur,
        part(f"{scale} times smaller" if scale > 1 else "full size", "sr_scale"),
    ]
    if degradation.zero_border:
        parts.append(part("borders darkened by the blur", "zero_border"))
    parts += [_SEEN[name].format(value) for name, value in degradation.seen.items()]
    return ", ".join(parts)
