"""Between files and fusion: the levels and sizes that sources are taken with, and the way back."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Protocol

from drfuse_cli.config import Agc, Degradation, Destripe
from drfuse_cli.degradations.stripes import Stripes, document, find_stripes
from drfuse_cli.imageio import Image
from drfuse_cli.sources.assumptions import Assumptions
from drfuse_cli.sources.fitting import Fitting, fit
from drfuse_cli.sources.levels import Both, Levels, find_levels

Images = tuple[Image, Image]
Degradations = tuple[Degradation, Degradation]


class Restored(Protocol):
    """What an engine returns, as far as it matters here."""

    @property
    def fused(self) -> Image: ...

    @property
    def sources(self) -> Images: ...


@dataclass(frozen=True)
class Intake:
    """What was done to both files; ``None`` where nothing was. ``stripes``: of source 1."""

    agc: Agc = "none"
    levels: Both = (None, None)
    destripe: Destripe = "none"
    stripes: Stripes | None = None
    fitting: Fitting | None = None
    warnings: tuple[str, ...] = ()

    def describe(self) -> list[str]:
        """A line for everything that was done."""
        told = [
            f"source {number}: {levels.describe()}"
            for number, levels in enumerate(self.levels, 1)
            if levels is not None
        ]
        if self.stripes is not None:
            told.append(f"source 1: {self.stripes.describe()}")
        return told + (self.fitting.describe() if self.fitting else [])

    def noise_gains(self, index: int) -> tuple[float, float]:
        """By how much noise grows that is given by its grey levels in the file, or by a preset.

        Presets are meant for pictures as they are looked at: the gain of levels is not theirs.
        """
        levels, fitting = self.levels[index], self.fitting
        averaged = fitting.changes[index].noise_gain if fitting else 1.0
        return (levels.noise_gain if levels else 1.0) * averaged, averaged

    def as_taken(self, assumed: Degradations) -> Degradations:
        """Degradations of the files as those of the images that are fused.

        What was estimated was so from these images.
        """
        first, second = (self._as_taken(assumed[i], *self.noise_gains(i)) for i in (0, 1))
        return first, second

    @staticmethod
    def _as_taken(assumed: Degradation, of_flag: float, of_preset: float) -> Degradation:
        gains = {"flag": of_flag, "profile": of_flag, "preset": of_preset}
        gain = gains.get(assumed.origin.get("noise_std", ""), 1.0)
        if gain == 1:
            return assumed
        noise = min(255.0, float(f"{assumed.noise_std * gain:.12g}"))
        return replace(assumed, noise_std=noise)

    def fused(self, result: Restored) -> Image:
        """The fused image, outside a common field that of the one source that sees it."""
        if self.fitting is None or self.fitting.alone is None:
            return result.fused
        return self.fitting.fused(result.fused, result.sources)

    def restored(self, result: Restored) -> Images:
        """Both restored sources, in the counts of their files as far as that is possible."""
        one, other = (
            levels.undo(image) if levels else image
            for levels, image in zip(self.levels, result.sources, strict=True)
        )
        return self.fitting.restored((one, other)) if self.fitting else (one, other)

    def document(self) -> dict[str, Any]:
        """For the sidecar."""
        levels = [one and one.document() for one in self.levels]
        return {
            "agc": {"mode": self.agc, "sources": levels},
            "destripe": document(self.destripe, self.stripes),
            "fit": self.fitting and self.fitting.document(),
        }


def mapped(images: Images, told: Assumptions) -> tuple[Images, Both]:
    """Both pictures in grey levels, and those; raises ``DrfuseError`` as `find_levels`."""
    found = told.levels or find_levels(images, told.task, told.agc)
    first, second = (
        levels.mapped(image) if levels else image
        for levels, image in zip(found, images, strict=True)
    )
    return (first, second), found


def take(images: Images, told: Assumptions) -> tuple[Images, Intake]:
    """Images as they are to be fused.

    Raises ``DrfuseError`` where a flag cannot be followed.
    """
    (first, second), levels = mapped(images, told)
    # Before contrast is evened out, which makes them differ from place to place.
    stripes = told.stripes if told.levels else find_stripes(first, told.destripe)
    first = stripes.taken_out(first) if stripes else first
    evened = _evened(first, levels[0]), _evened(second, levels[1])
    taken, fitting = fit(evened, told.fit, told.overrides)
    warnings = _clipped(images, levels) if told.levels else ()
    return taken, Intake(told.agc, levels, told.destripe, stripes, fitting, warnings)


def _evened(image: Image, levels: Levels | None) -> Image:
    return levels.evened(image) if levels else image


def _clipped(images: Images, found: Both) -> tuple[str, ...]:
    pairs = enumerate(zip(images, found, strict=True), 1)
    counted = [(number, levels.clipped(image)) for number, (image, levels) in pairs if levels]
    return tuple(
        f"source {number}: {pixels} pixels lie beyond the range of the sequence and were clipped"
        for number, pixels in counted
        if pixels
    )
