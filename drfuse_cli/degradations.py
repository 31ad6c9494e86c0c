"""From flags, presets and the files themselves to the degradation of both sources."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, TypeVar

from drfuse_cli.config import PRESET_NAMES, Degradation, PresetName, Task, preset
from drfuse_cli.errors import DrfuseError

if TYPE_CHECKING:
    from drfuse_cli.imageio import Image

T = TypeVar("T")
Both = tuple[T, T]
Size = tuple[int, int]
"""Height and width."""

Mode = Literal["auto", PresetName]
MODES: tuple[Mode, ...] = ("auto", *PRESET_NAMES)

_MAX_NOISE, _MAX_SIGMA, _MAX_SCALE = 255.0, 50.0, 32
_TOLERANCE = 0.02


@dataclass(frozen=True)
class Overrides:
    """What the flags say, one entry a source; ``None`` where a flag is silent."""

    noise_std: Both[float | None] = (None, None)
    blur_sigma: Both[float | None] = (None, None)
    sr_scale: Both[int | None] = (None, None)
    psf: Both[str | None] = (None, None)

    @property
    def is_empty(self) -> bool:
        return self == Overrides()


# ---- parsing --------------------------------------------------------------------------------


def parse_overrides(
    noise_std: str | None = None,
    blur_sigma: str | None = None,
    sr_scale: str | None = None,
    psf: str | None = None,
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
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= _MAX_SCALE):
        raise DrfuseError(
            f"--sr-scale: {text!r} is not a whole number from 1 to {_MAX_SCALE}",
            hint="It says how many times smaller a source is than the fused image.",
        )
    return int(text)


# ---- fuse: what is assumed of the files ---------------------------------------------------------


def assume(task: Task, mode: Mode, overrides: Overrides, images: Both[Image]) -> Both[Degradation]:
    """What the two files are taken to have been through.

    ``mode`` is ``auto`` (noise measured in the file, no blur) or a preset; scales come from
    the sizes; ``overrides`` win over both. Raises ``DrfuseError`` where the sizes do not go
    together or a point-spread function cannot be read.
    """
    scales = _scales(overrides, (_size_of(images[0]), _size_of(images[1])))
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


def _of_source(overrides: Overrides, i: int) -> _Flags:
    return _Flags(
        overrides.noise_std[i], overrides.blur_sigma[i], overrides.sr_scale[i], overrides.psf[i]
    )


def _assume_one(
    mode: Mode, base: Degradation, flags: _Flags, scale: int, image: Image
) -> Degradation:
    origin = dict.fromkeys(("noise_std", "blur_sigma"), "preset")
    origin["sr_scale"] = "sizes"
    start = _pooled(base, mode, scale)
    if mode == "auto":
        origin["blur_sigma"] = "default"
        if flags.noise_std is None:
            from drfuse_cli.operators.estimate import noise_std

            start = replace(start, noise_std=round(noise_std(image), 2))
            origin["noise_std"] = "estimate"
    return _with_zero_border(_override(replace(start, origin=origin), flags), image)


def _pooled(base: Degradation, mode: Mode, scale: int) -> Degradation:
    """A preset at another scale: composite noise comes before the pooling, which divides it."""
    share = base.sr_scale / scale if mode == "composite" else 1
    return replace(base, noise_std=base.noise_std * share, sr_scale=scale)


def _override(base: Degradation, flags: _Flags) -> Degradation:
    """``base`` with what the flags of this source say in its place."""
    origin = dict(base.origin)
    given = {
        name: value for name, value in vars(flags).items() if name != "psf" and value is not None
    }
    origin.update(dict.fromkeys(given, "flag"))
    result = replace(base, **given, origin=origin)
    if flags.psf is None:
        return result
    from drfuse_cli.psf import load_psf

    origin.update(psf="flag", blur_sigma="flag")
    return replace(
        result, blur_sigma=0.0, psf=load_psf(flags.psf), psf_name=flags.psf, origin=origin
    )


def _with_zero_border(degradation: Degradation, image: Image) -> Degradation:
    if degradation.blur_free:
        return degradation
    from drfuse_cli.operators.estimate import has_zero_border

    if not has_zero_border(image, _spread(degradation)):
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
    if scale > _MAX_SCALE:
        raise DrfuseError(
            f"one source is {scale} times smaller than the other; at most {_MAX_SCALE} is supported"
        )
    if not _agree((small, large), (scale, 1)):
        raise _no_scale(small, large, scale)
    return (scale, 1) if small == first else (1, scale)


def _scales(overrides: Overrides, sizes: Both[Size]) -> Both[int]:
    first, second = overrides.sr_scale
    if first is None or second is None:
        return scales_from_sizes(*sizes)
    if not _agree(sizes, (first, second)):
        one, two = _enlarge(sizes[0], first), _enlarge(sizes[1], second)
        raise DrfuseError(
            f"--sr-scale {first},{second} makes source 1 {_size(one)} and source 2 {_size(two)}",
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
            f"{sizes}: their shapes differ", hint="Crop both to the same field of view."
        )
    fitting = _size(_enlarge(small, scale))
    return DrfuseError(
        f"{sizes}, {columns:.3g} times as large: not a whole number of times",
        hint=f"Resize one of them; {fitting} would be {scale} times {_size(small)}.",
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
    "preset": "preset",
    "estimate": "estimated from the file",
    "sizes": "from the sizes",
    "default": "assumed",
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
    return ", ".join(parts)
