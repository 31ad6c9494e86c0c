"""White noise: what even the calmest blocks of an image hold, and most of them alike."""

from __future__ import annotations

from dataclasses import dataclass

from drfuse_cli.operators.estimate.findings import Estimate
from drfuse_cli.operators.estimate.levels import COMMON, Blocks, level_of

_FEWEST_BLOCKS = 6
_MANY = 0.7
_DEAD = 0.1
_LEAST_BEHIND_MASK, _COMMON_BEHIND_MASK = 3.0, 0.65
_ROUNDING = 0.7
_RISE = 1.15


@dataclass(frozen=True)
class White:
    """What to make of the noise in the finest details.

    ``level``: what is taken to be noise, ``bound``: what is no more than that, in grey levels
    (0..255). ``only``: nothing else can be there, neither correlated noise nor any at all.
    """

    estimate: Estimate
    level: float = 0.0
    bound: float = 0.0
    only: bool = False


def white_noise(scales: list[Blocks]) -> White:
    """Noise without correlation between pixels.

    Blocks that agree on one level hold noise; those on a black background tell it best, where
    nothing else varies. Areas without any noise prove that there is little elsewhere.
    """
    if not scales or scales[0].stds.size < _FEWEST_BLOCKS:
        return White(Estimate(0.0, 0.0, "too few pixels to judge"))
    finest = scales[0]
    bound, share = level_of(finest.background, finest.scatter)
    if share < COMMON:
        bound, share = level_of(finest.stds, finest.scatter)
    if finest.dead > _DEAD and (bound < _LEAST_BEHIND_MASK or share < _COMMON_BEHIND_MASK):
        confidence = 0.6 if bound < _LEAST_BEHIND_MASK else 0.3
        return White(Estimate(0.0, confidence, "large areas hold none"), only=True)
    # Where blocks do not agree, they hold texture, too.
    level = bound * min(1.0, share / COMMON)
    return White(_judged(level, share), level, bound, _alike(bound, scales[1:2]))


def _alike(level: float, halved: list[Blocks]) -> bool:
    """Whether half the size has the same level: what is correlated has more there."""
    found = [level_of(blocks.stds, blocks.scatter) for blocks in halved]
    return any(share >= COMMON and other < _RISE * level for other, share in found)


def _judged(level: float, share: float) -> Estimate:
    if level < _ROUNDING:
        return Estimate(level, 0.9 if share >= COMMON else 0.7, "hardly more than rounding")
    if share < COMMON:
        return Estimate(level, 0.5, "texture everywhere: less than its calmest blocks hold")
    return Estimate(level, min(1.0, share / _MANY), "the same in most blocks")
