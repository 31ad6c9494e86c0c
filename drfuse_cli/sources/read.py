"""The two sources of a pair: read, doubted, and what they are taken to have been through."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from statistics import median

import numpy as np

from drfuse_cli.config import Degradation, Task
from drfuse_cli.degradations import Overrides, assume, doubted_flags
from drfuse_cli.imageio import Image, StrPath, read_image
from drfuse_cli.registration import Registration, move, register
from drfuse_cli.sources.assumptions import Assumptions
from drfuse_cli.sources.intake import Intake, take


@dataclass(frozen=True)
class Sources:
    """Both images as they are to be fused, the degradation of each, and what to warn of.

    ``registration``: how they lay on each other; ``None`` where that was not looked at.
    ``intake``: what else was done to the files.
    """

    images: tuple[Image, Image]
    degradations: tuple[Degradation, Degradation]
    warnings: tuple[str, ...]
    registration: Registration | None = None
    intake: Intake = field(default_factory=Intake)


def read_sources(paths: tuple[StrPath, StrPath], told: Assumptions) -> Sources:
    """Read a pair, fit it together, and align it where that was asked for.

    May run in any thread. Raises ``DrfuseError`` naming the file that cannot be read, or where
    the two do not go together.
    """
    files = read_pair(paths, told)
    doubts = tuple(_doubts(files, told.task))
    images, intake = take_pair(files, told)
    overrides = at_levels(told.overrides, [files])
    degradations = told.settled or intake.as_taken(assume(told.task, told.mode, overrides, images))
    if told.doubt_flags:
        # Before anything is moved, which smooths noise.
        doubts += tuple(doubted_flags(images, degradations))
    images, degradations, found = aligned(images, degradations, told)
    warnings = (*doubts, *intake.warnings, *(found.warnings if found else ()))
    return Sources(images, degradations, warnings, found, intake)


def read_pair(paths: tuple[StrPath, StrPath], told: Assumptions) -> tuple[Image, Image]:
    """Both images as they stand in their files, but for what a rig cuts off.

    Measured infrared may be floating-point.
    """
    measured = told.task == "ivif" and told.agc != "none"
    return told.rig.cropped((read_image(paths[0], measured), read_image(paths[1])))


def take_pair(files: tuple[Image, Image], told: Assumptions) -> tuple[tuple[Image, Image], Intake]:
    """Images as they are to be fused, from those of the files."""
    return take(files, told)


def aligned(
    images: tuple[Image, Image], degradations: tuple[Degradation, Degradation], told: Assumptions
) -> tuple[tuple[Image, Image], tuple[Degradation, Degradation], Registration | None]:
    """Moved as the rig always needs it; else as `register` finds."""
    if told.rig.motion is not None:
        return move(images, degradations, told.rig.motion)
    return register(images, degradations, told.task, told.register)


def at_levels(overrides: Overrides, frames: Iterable[tuple[Image, Image]]) -> Overrides:
    """Noise curves read off at the median level of each source, over all ``frames``."""
    if overrides.noise_curve == (None, None):
        return overrides
    first, second = zip(*((_middle(one), _middle(two)) for one, two in frames), strict=True)
    return overrides.at_levels((median(first), median(second)))


def _middle(image: Image) -> float:
    """The median level in 0..255."""
    return float(np.median(image.pixels)) * 255 / image.max_value


def _doubts(images: tuple[Image, Image], task: Task) -> list[str]:
    first, second = images
    found = []
    if first.sha256 == second.sha256:
        found.append("both sources are the same file")
    if task != "multifocus" and first.colour and not second.colour:
        found.append("source 1 has colour and source 2 is grey: are the roles swapped?")
    for number, image in enumerate(images, 1):
        if image.pixels.min() == image.pixels.max():
            found.append(f"source {number} has one value everywhere: it holds no scene")
    return found
