"""How many times smaller than the fused image sources are."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from drfuse_cli.degradations.overrides import MAX_SCALE, Both, Overrides
from drfuse_cli.errors import DrfuseError

if TYPE_CHECKING:
    from drfuse_cli.imageio import Image

Size = tuple[int, int]
"""Height and width."""

_TOLERANCE = 0.02


def size_of(image: Image) -> Size:
    """Its height and width."""
    return image.height, image.width


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


def _size(size: Size) -> str:
    return f"{size[1]}x{size[0]}"
