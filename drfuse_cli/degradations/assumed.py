"""From flags, presets and the files themselves to the degradation of both sources."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from drfuse_cli.config import Degradation, Task, preset
from drfuse_cli.degradations.overrides import Both, Mode, Overrides, SourceFlags
from drfuse_cli.degradations.scales import scales_of, size_of
from drfuse_cli.degradations.seen import seen_in
from drfuse_cli.degradations.stated import overridden, pooled

if TYPE_CHECKING:
    from drfuse_cli.imageio import Image
    from drfuse_cli.operators.estimate import SourceEstimate

_WITHIN_ROUNDING = 0.5


def assume(task: Task, mode: Mode, overrides: Overrides, images: Both[Image]) -> Both[Degradation]:
    """What the two files are taken to have been through.

    ``mode`` is ``auto`` (noise and blur estimated from the file, less where it is in doubt)
    or a preset; scales come from the sizes; ``overrides`` win over both. Raises
    ``DrfuseError`` where the sizes do not go together or a point-spread function cannot be
    read.
    """
    scales = scales_of(overrides, (size_of(images[0]), size_of(images[1])))
    presets = preset(task, "none" if mode == "auto" else mode)
    first, second = (
        _assume_one(mode, presets[i], overrides.of_source(i), scales[i], images[i]) for i in (0, 1)
    )
    return first, second


def _assume_one(
    mode: Mode, base: Degradation, flags: SourceFlags, scale: int, image: Image
) -> Degradation:
    if mode == "auto":
        start = _measured(image, flags, scale)
    else:
        origin = dict.fromkeys(("noise_std", "blur_sigma"), "preset")
        start = replace(pooled(base, mode, scale), origin={**origin, "sr_scale": "sizes"})
    said = overridden(start, flags)
    return _with_zero_border(_capped(said, image) if flags.cap_blur else said, image)


def _capped(said: Degradation, image: Image) -> Degradation:
    """With no more of a stated Gaussian blur than the file can have been through."""
    estimated = said.origin.get("blur_sigma") in ("estimate", "default")
    if estimated or said.blur_sigma == 0:
        return said
    most = most_blur(seen_in(image), said)
    if said.blur_sigma <= most:
        return said
    return replace(said, blur_sigma=round(most, 2), origin={**said.origin, "blur_sigma": "capped"})


def most_blur(found: SourceEstimate, said: Degradation) -> float:
    """The largest sigma that a file can have been through of which a blur is said.

    In pixels of the full size; infinite where the file shows no bound, and of a blur that is
    less in its own pixels than can be told from a soft lens.
    """
    from drfuse_cli.operators.estimate import LEAST_BLUR

    if found.most_blur is None or said.blur_sigma < LEAST_BLUR * said.sr_scale:
        return math.inf
    return found.most_blur * said.sr_scale


def _measured(image: Image, flags: SourceFlags, scale: int) -> Degradation:
    """What the file tells, unless the flags have told it all."""
    told = flags.noise_std is not None and (flags.blur_sigma is not None or flags.psf is not None)
    if told:
        return Degradation(sr_scale=scale, origin={"sr_scale": "sizes"})
    return believed(seen_in(image), scale)


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
