"""One degradation for a whole sequence, from a sample of its frames.

Noise and blur belong to the camera, the file to the moment: estimates from single frames scatter
with what the scene shows, and a restoration that follows them flickers. So every value is the
median over frames from the whole sequence, and stays.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from statistics import median
from typing import TypeVar

from drfuse_cli.config import Degradation
from drfuse_cli.degradations import assume
from drfuse_cli.errors import DrfuseError
from drfuse_cli.imageio import Image
from drfuse_cli.sources import Assumptions

T = TypeVar("T")

MOST = 16
"""Frames in a sample: the median over as many scatters a quarter as much as a single one."""


def evenly(items: Sequence[T], most: int = MOST) -> list[T]:
    """At most so many items, from the first to the last, evenly spaced."""
    if len(items) <= most:
        return list(items)
    return [items[round(i * (len(items) - 1) / (most - 1))] for i in range(most)]


def steady(
    told: Assumptions, sample: Iterable[tuple[Image, Image]]
) -> tuple[Degradation, Degradation]:
    """What both sources of a sequence are taken to have been through, all along.

    Raises ``DrfuseError`` as `assume` does, where it does so for every pair of frames.
    """
    found: list[tuple[Degradation, Degradation]] = []
    failure: DrfuseError | None = None
    for images in sample:
        try:
            found.append(assume(told.task, told.mode, told.overrides, images))
        except DrfuseError as error:
            failure = failure or error
    if not found:
        raise failure or DrfuseError("the sequence has no frames")
    first, second = zip(*found, strict=True)
    return settle(first), settle(second)


def settle(found: Sequence[Degradation]) -> Degradation:
    """The degradation that findings about several frames of a source speak for.

    Noise and blur are medians over the frames that tell of them, or nothing where fewer than
    half do; everything else is what most frames say.
    """
    common = Counter(found_one.sr_scale for found_one in found).most_common(1)[0][0]
    agreed = [one for one in found if one.sr_scale == common]
    noise, noise_origin = _middle([(one.noise_std, one.origin["noise_std"]) for one in agreed])
    blur, blur_origin = _middle([(one.blur_sigma, one.origin["blur_sigma"]) for one in agreed])
    zero_border = 2 * sum(one.zero_border for one in agreed) > len(agreed)
    origin = {**agreed[0].origin, "noise_std": noise_origin, "blur_sigma": blur_origin}
    origin.pop("zero_border", None)
    if zero_border:
        origin["zero_border"] = "estimate"
    return replace(
        agreed[0],
        noise_std=noise,
        blur_sigma=blur,
        zero_border=zero_border,
        origin=origin,
        seen=_seen(agreed),
    )


def _seen(found: Sequence[Degradation]) -> dict[str, float]:
    values: dict[str, list[float]] = {}
    for one in found:
        for name, value in one.seen.items():
            values.setdefault(name, []).append(value)
    return {name: median(v) for name, v in values.items() if 2 * len(v) > len(found)}


def _middle(values: Sequence[tuple[float, str]]) -> tuple[float, str]:
    known = [(value, origin) for value, origin in values if origin != "default"]
    if 2 * len(known) < len(values):
        return 0.0, "default"
    return round(median(value for value, _ in known), 2), known[0][1]
