"""From presets and flags alone to the degradation of both sources."""

from __future__ import annotations

from dataclasses import replace

from drfuse_cli.config import Degradation, Task, preset
from drfuse_cli.degradations.overrides import Both, Mode, Overrides, SourceFlags
from drfuse_cli.errors import DrfuseError


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
        overridden(pooled(base, mode, flags.sr_scale or base.sr_scale), flags)
        for base, flags in ((presets[i], overrides.of_source(i)) for i in (0, 1))
    )
    return first, second


def pooled(base: Degradation, mode: Mode, scale: int) -> Degradation:
    """A preset at another scale: composite noise comes before the pooling, which divides it."""
    share = base.sr_scale / scale if mode == "composite" else 1
    return replace(base, noise_std=base.noise_std * share, sr_scale=scale)


def overridden(base: Degradation, flags: SourceFlags) -> Degradation:
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
