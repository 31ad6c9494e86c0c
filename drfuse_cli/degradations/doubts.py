"""Flags held against what the files show."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from drfuse_cli.config import Degradation
from drfuse_cli.degradations.assumed import believed, most_blur
from drfuse_cli.degradations.overrides import Both
from drfuse_cli.degradations.seen import seen_in

if TYPE_CHECKING:
    from drfuse_cli.imageio import Image
    from drfuse_cli.operators.estimate import SourceEstimate

_OVERSTATED = 1.15
"""A stated sigma over the estimated one, from which on the statement is doubted."""
_FAR = 1.3
"""A stated noise over the estimated one, or that over it, from which on it is doubted."""


def doubted_flags(images: Both[Image], degradations: Both[Degradation]) -> Iterator[str]:
    """What is said of flags that the files do not bear out."""
    for number, (image, said) in enumerate(zip(images, degradations, strict=True), 1):
        blur, noise = _is_stated(said, "blur_sigma"), _is_stated(said, "noise_std")
        blur = blur and said.psf is None and said.blur_sigma > 0
        if not blur and not noise:
            continue
        found = seen_in(image)
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
    from drfuse_cli.operators.estimate import NOISY

    seen = believed(found, said.sr_scale)
    sure = seen.origin["blur_sigma"] == "estimate" and "enlarged" not in seen.seen
    sure = sure and found.noise.value < NOISY
    most = most_blur(found, said)
    if sure and said.blur_sigma > _OVERSTATED * seen.blur_sigma:
        shown = f"the file looks like {seen.blur_sigma:.1f}"
    elif said.blur_sigma > most:
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
