"""``--method``: how many steps each takes, and what each leaves unused."""

from __future__ import annotations

from dataclasses import dataclass, replace

from drfuse_cli.config import Correction, Method
from drfuse_cli.degradations import Mode, Overrides

STEPS: dict[Method, int] = {"drfusion": 3, "recofuse": 6}
"""Sampling steps where ``--steps`` is silent."""


@dataclass(frozen=True)
class Told:
    """What the flags say of the sources, as far as a method listens, and what it does not hear."""

    mode: Mode
    overrides: Overrides
    warnings: tuple[str, ...] = ()


def heard(
    method: Method, mode: Mode, overrides: Overrides, correction: Correction = "joint"
) -> Told:
    """ReCoFuse works without operators: all that it takes of them is how sizes differ."""
    if method == "drfusion":
        return Told(mode, overrides)
    unused = {
        f"--degrade {mode}": mode not in ("auto", "none"),
        "--noise-std": any(overrides.noise_std),
        "--blur-sigma": any(overrides.blur_sigma),
        "--psf": any(overrides.psf),
        f"--correction {correction}": correction != "joint",
    }
    flags = ", ".join(flag for flag, given in unused.items() if given)
    warnings = (f"recofuse works without operators and does not use {flags}",) if flags else ()
    return Told("none", replace(Overrides(), sr_scale=overrides.sr_scale), warnings)
