"""Clean pairs to judge by, and what the methods are given of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from drfuse_cli.config import Degradation, Task
from drfuse_cli.errors import DrfuseError
from drfuse_cli.imageio import Image, read_image
from drfuse_cli.pairs import ROLES, find_pairs, roles_of

Both = tuple[Image, Image]
Degradations = tuple[Degradation, Degradation]
Size = tuple[int, int]
"""Height and width."""

CLEAN: Degradations = (Degradation(), Degradation())


@dataclass(frozen=True)
class CleanPair:
    """Where a clean pair comes from: two files, or without files the rendered scene ``name``.

    ``roles`` key the noise.
    """

    name: str
    roles: tuple[str, str]
    files: tuple[Path, Path] | None = None

    def read(self) -> Both:
        """Both sources. Raises ``DrfuseError`` where they cannot be read or differ in size."""
        if self.files is None:
            from drfuse_cli.scenes import render

            return render(self.name)
        first, second = (read_image(path) for path in self.files)
        if size_of(first) != size_of(second):
            raise DrfuseError(
                f"this pair differs in size: {in_words(first)} and {in_words(second)}",
                hint="Clean pairs must be registered and of one size.",
                path=self.files[0],
            )
        return first, second


@dataclass(frozen=True)
class Case:
    """A clean pair as it was read, and its degraded copy, cropped to what the scales divide."""

    name: str
    whole: Both
    degraded: Both
    degradations: Degradations

    @property
    def is_clean(self) -> bool:
        return all(degradation.is_clean for degradation in self.degradations)

    @cached_property
    def clean(self) -> Both:
        """The clean sources, cropped as the degraded ones are."""
        return crop(self.whole, cropped(size_of(self.whole[0]), factor_of(self.degradations)))


def clean_pairs(root: Path, task: Task, allow_unpaired: bool = False) -> list[CleanPair]:
    """The pairs under ``root`` in natural order; raises as `find_pairs` does."""
    return [
        CleanPair(pair.name, roles_of(pair, task), (pair.source1, pair.source2))
        for pair in find_pairs(root, task, allow_unpaired)
    ]


def scene_pairs(task: Task) -> list[CleanPair]:
    """The built-in rendered scenes of a task; raises ``DrfuseError`` where there are none."""
    from drfuse_cli.scenes import SCENES

    first, second = ROLES[task]
    roles = first[0], second[0]
    found = [CleanPair(name, roles) for name, scene in SCENES.items() if scene.task == task]
    if not found:
        raise DrfuseError(
            f"there are no built-in scenes for the task {task}",
            hint="Name a folder of clean pairs: drfuse eval DATASET.",
        )
    return found


def make_case(pair: CleanPair, degradations: Degradations, seed: int) -> Case:
    """Read a pair, crop it and degrade it; the pixels are those of ``drfuse degrade``.

    Raises ``DrfuseError`` where it cannot be read, differs in size or is too small to pool.
    """
    whole = pair.read()
    factor = factor_of(degradations)
    size = cropped(size_of(whole[0]), factor)
    if 0 in size:
        raise DrfuseError(
            f"{in_words(whole[0])} pixels are too few to pool {factor}x{factor}",
            hint="Leave this pair out, or give a smaller --sr-scale.",
            path=whole[0].path,
        )
    degraded = degrade_pair(crop(whole, size), degradations, seed, pair.name, pair.roles)
    return Case(pair.name, whole, degraded, degradations)


def degrade_pair(
    images: Both, degradations: Degradations, seed: int, name: str, roles: tuple[str, str]
) -> Both:
    """Both images degraded; height and width must be multiples of the scales."""
    first, second = (
        _degrade(image, degradation, seed, name, role)
        for image, degradation, role in zip(images, degradations, roles, strict=True)
    )
    return first, second


def _degrade(image: Image, degradation: Degradation, seed: int, name: str, role: str) -> Image:
    if degradation.is_clean:
        return image
    from drfuse_cli.operators.simulate import degrade_image, generator

    return degrade_image(image, degradation, generator(seed, name, role))


# ---- sizes ------------------------------------------------------------------------------------


def factor_of(degradations: Degradations) -> int:
    """What height and width must be multiples of for both scales to divide them."""
    return math.lcm(*(degradation.sr_scale for degradation in degradations))


def cropped(size: Size, factor: int) -> Size:
    """The largest multiples of ``factor`` that fit."""
    return size[0] // factor * factor, size[1] // factor * factor


def crop(images: Both, size: Size) -> Both:
    """The top left of both images."""
    height, width = size
    first, second = (Image(image.pixels[:height, :width], image.path) for image in images)
    return first, second


def size_of(image: Image) -> Size:
    return image.height, image.width


def in_words(image: Image) -> str:
    """``640x480``: width and height."""
    return f"{image.width}x{image.height}"
