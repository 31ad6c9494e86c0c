"""Two videos as pairs of frames: by their order, where rates and lengths agree."""

from __future__ import annotations

from dataclasses import dataclass, replace

from drfuse_cli.config import Degradation
from drfuse_cli.degradations.stripes import Stripes, find_common_stripes
from drfuse_cli.errors import DrfuseError
from drfuse_cli.imageio import Image
from drfuse_cli.registration import Registration
from drfuse_cli.sequence.look import Look
from drfuse_cli.sequence.steady import steady
from drfuse_cli.sources import Assumptions, aligned, at_levels

_SAME_RATE = 1e-3
_APART = 0.5
"""Frames that two videos may be out of step before they are doubted."""


@dataclass(frozen=True)
class Match:
    """Two videos that go together, ``frames`` of them, and how all these are to be treated.

    ``registration``: the motion that is undone in every frame; ``None`` where there is none.
    """

    looks: tuple[Look, Look]
    frames: int
    degradations: tuple[Degradation, Degradation]
    sampled: int
    warnings: tuple[str, ...]
    told: Assumptions
    registration: Registration | None = None

    def taken(self, frames: tuple[Image, Image]) -> tuple[Image, Image]:
        """Frames as they are fused: without what is cut off, on each other."""
        images = _rid(self.told.rig.cropped(frames), self.told.stripes)
        if self.registration is None:
            return images
        return aligned(images, self.degradations, self.told)[0]

    @property
    def colour(self) -> bool:
        return any(look.colour for look in self.looks)

    @property
    def depth(self) -> int:
        """Bits of the fused frames."""
        return max(look.video.depth for look in self.looks)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the fused frames: of the source that is known the finest."""
        finest = self.degradations[0].sr_scale > self.degradations[1].sr_scale
        video, scale = self.looks[finest].video, self.degradations[finest].sr_scale
        off = self.told.rig.crop[finest]
        return (video.height - off.down) * scale, (video.width - off.across) * scale

    @property
    def shown(self) -> Look:
        """The source whose colours and pixel format are kept: that with colour, or the finer."""
        coloured = [look for look in self.looks if look.colour]
        finest = self.degradations[0].sr_scale > self.degradations[1].sr_scale
        return coloured[-1] if coloured else self.looks[finest]


def match(looks: tuple[Look, Look], told: Assumptions, allow_unpaired: bool = False) -> Match:
    """Pair the frames of two videos, and settle what they have been through.

    Raises ``DrfuseError`` where the rates or sizes do not go together, or the numbers of
    frames, unless ``allow_unpaired`` leaves out the last frames of the longer one.
    """
    first, second = looks
    if abs(first.rate / second.rate - 1) > _SAME_RATE:
        raise _unlike_rates(first, second)
    if first.frames != second.frames and not allow_unpaired:
        raise _unlike_lengths(first, second)
    frames = min(first.frames, second.frames)
    numbers = [number for number in first.sample if number in second.sample]
    crop = told.rig.cropped
    sample = [crop((first.sample[number], second.sample[number])) for number in numbers]
    stripes = find_common_stripes([infrared for infrared, _ in sample], told.destripe)
    told = replace(told, stripes=stripes, overrides=at_levels(told.overrides, sample))
    sample = [_rid(images, stripes) for images in sample]
    degradations, registration = steady(told, sample), None
    if told.rig.motion is not None:
        _, degradations, registration = aligned(sample[0], degradations, told)
    warnings = [*first.warnings, *second.warnings, *_left_over(looks, frames), *_drift(looks)]
    return Match(looks, frames, degradations, len(sample), tuple(warnings), told, registration)


def _rid(images: tuple[Image, Image], stripes: Stripes | None) -> tuple[Image, Image]:
    """Both images, the first without its stripes."""
    return (stripes.taken_out(images[0]), images[1]) if stripes else images


def _left_over(looks: tuple[Look, Look], frames: int) -> list[str]:
    return [
        f"{look.video.path}: its last {look.frames - frames} frames are left out"
        for look in looks
        if look.frames > frames
    ]


def _drift(looks: tuple[Look, Look]) -> list[str]:
    first, second = looks
    ticks = zip(first.ticks, second.ticks, strict=False)
    apart = max(abs(a * first.video.tick - b * second.video.tick) for a, b in ticks)
    if apart * first.rate <= _APART:
        return []
    return [f"frames are paired by their order, and are up to {float(apart):.2f} s apart"]


def _unlike_rates(first: Look, second: Look) -> DrfuseError:
    rate = float(first.rate)
    return DrfuseError(
        f"{rate:.5g} frames a second, but {second.video.path} has {float(second.rate):.5g}",
        hint=f"Give one the rate of the other: ffmpeg -i {second.video.path} -r {rate:.5g} OUT",
        path=first.video.path,
    )


def _unlike_lengths(first: Look, second: Look) -> DrfuseError:
    message = f"{first.frames} frames, but {second.video.path} has {second.frames}"
    return DrfuseError(
        "; ".join([message, *(look.cut for look in (first, second) if look.cut)]),
        hint="Cut both to the same span, or leave out the last frames of the longer one with "
        "--allow-unpaired.",
        path=first.video.path,
    )
