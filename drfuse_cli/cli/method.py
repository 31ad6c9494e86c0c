"""``--method``: which one, how many steps it takes, and what it leaves unused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from drfuse_cli.config import Destripe, FuseOptions, Method
from drfuse_cli.degradations import Mode, Overrides

if TYPE_CHECKING:
    from drfuse_cli.choice import Choice
    from drfuse_cli.imageio import StrPath
    from drfuse_cli.sources import Assumptions

AskedMethod = Literal["auto", "drfusion", "recofuse"]

_LOOKED_AT = 5
"""Pairs of a folder that decide for all."""

STEPS: dict[Method, int] = {"drfusion": 3, "recofuse": 6}
"""Sampling steps where ``--steps`` is silent."""


@dataclass(frozen=True)
class Told:
    """What the flags say of the sources, as far as a method listens, and what it does not hear."""

    mode: Mode
    overrides: Overrides
    destripe: Destripe
    warnings: tuple[str, ...] = ()


def heard(mode: Mode, overrides: Overrides, destripe: Destripe, options: FuseOptions) -> Told:
    """ReCoFuse works without operators: all that it takes of them is how sizes differ.

    A preset says all that a file went through, so that nothing else is looked for.
    """
    if destripe == "auto" and options.task != "ivif":
        destripe = "none"
    if options.restore_first:
        return Told(mode, overrides, destripe)
    if options.method == "drfusion":
        looked_for = destripe != "auto" or mode == "auto"
        return Told(mode, overrides, destripe if looked_for else "none")
    unused = {
        f"--degrade {mode}": mode not in ("auto", "none"),
        "--noise-std": any(overrides.noise_std),
        "--blur-sigma": any(overrides.blur_sigma),
        "--psf": any(overrides.psf),
        "--cap-blur": overrides.cap_blur,
        f"--correction {options.correction}": options.correction != "joint",
        f"--self-ensemble {options.self_ensemble}": options.self_ensemble != 1,
    }
    flags = ", ".join(flag for flag, given in unused.items() if given)
    warnings = (f"recofuse works without operators and does not use {flags}",) if flags else ()
    size = replace(Overrides(), sr_scale=overrides.sr_scale)
    return Told("none", size, destripe, warnings)


def decide(told: Assumptions, pairs: Sequence[tuple[StrPath, StrPath]]) -> Choice:
    """What ``auto`` stands for: the method that most of a few pairs call for, and why.

    Raises ``DrfuseError`` naming a file that cannot be read.
    """
    from drfuse_cli.choice import Choice, settled

    if choice := settled(told.task, told.mode, told.overrides):
        return choice
    apart = max(1, len(pairs) // _LOOKED_AT)
    found = [_of_pair(pair, told) for pair in pairs[::apart][:_LOOKED_AT]]
    methods = [choice.method for choice in found]
    method = max(dict.fromkeys(methods), key=methods.count)
    reasons = next(choice.reasons for choice in found if choice.method == method)
    if len(found) > 1:
        reasons = (f"{methods.count(method)} of {len(found)} pairs looked at", *reasons)
    return Choice(method, reasons)


def _of_pair(pair: tuple[StrPath, StrPath], told: Assumptions) -> Choice:
    from drfuse_cli.choice import choose
    from drfuse_cli.operators.estimate import estimate
    from drfuse_cli.sources.read import read_pair, take_pair

    images, _ = take_pair(read_pair(pair, told), told)
    return choose(images, (estimate(images[0]), estimate(images[1])))
