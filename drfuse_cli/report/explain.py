"""Pictures of what happened inside a run, for ``--explain``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from drfuse_cli.colour import quantise
from drfuse_cli.imageio import Image

if TYPE_CHECKING:
    from drfuse_cli.engine import FuseResult, Residual

_STATES = {"x1": "source1", "x2": "source2", "f": "fused", "m": "weights"}
_BLUE, _RED = np.array([0.05, 0.19, 0.57]), np.array([0.60, 0.05, 0.07])


def names(steps: int) -> list[str]:
    """The file names that :func:`pictures` gives for a run of so many steps."""
    states = [f"step{k}_{name}.png" for k in range(1, steps + 1) for name in _STATES.values()]
    return ["weight_map.png", *states, "residual1.png", "residual2.png"]


def pictures(result: FuseResult) -> dict[str, Image]:
    """File name to 8-bit picture.

    The weight map and ``stepK_weights`` are white where source 1 alone counts. Residuals are
    blue where the observation is brighter than the restored source explains, red where it is
    darker, white where both agree; full colour at four times the noise assumed.
    """
    found = {"weight_map.png": _grey(result.weight_map)}
    for k, state in enumerate(result.states, 1):
        for key, name in _STATES.items():
            found[f"step{k}_{name}.png"] = _grey(state[key])
    for k, residual in enumerate(result.residuals, 1):
        found[f"residual{k}.png"] = _signed(residual)
    return found


def _grey(values: npt.NDArray[np.floating]) -> Image:
    return Image(quantise(values, 8))


def _signed(residual: Residual) -> Image:
    limit = max(4 * residual.expected, 2.0)
    share = np.clip(np.asarray(residual.map, np.float64) / limit, -1, 1)[..., None]
    end = np.where(share < 0, _BLUE, _RED)
    return Image(quantise(1 - np.abs(share) * (1 - end), 8))
