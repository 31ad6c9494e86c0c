"""One plane of a file, with what several estimates need of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from drfuse_cli.operators.estimate.features import SMALLEST, contrast_gain, features
from drfuse_cli.operators.estimate.levels import blocks
from drfuse_cli.operators.estimate.planes import Plane
from drfuse_cli.operators.estimate.white import White, white_noise


@dataclass(frozen=True, eq=False)
class Look:
    """White noise, and the features that the networks read: none of a plane that is too small.

    ``gain``: by how much the features stand for a plane of more contrast.
    """

    white: White
    gain: float
    features: npt.NDArray[np.float64] | None


def look_at(plane: Plane, step: float) -> Look:
    """``plane`` in grey levels (0..255) whose values are ``step`` apart."""
    scales = blocks(plane, step)
    white = white_noise(scales)
    if min(plane.shape) < SMALLEST:
        return Look(white, 1.0, None)
    gain = contrast_gain(plane, step)
    return Look(white, gain, features(plane, scales, white.level, step, gain))
