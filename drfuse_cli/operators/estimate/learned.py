"""Small networks that turn the features of a plane into quantiles of what it went through."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

FOLDER = Path(__file__).parent
QUANTILES = {"blur": (0.1, 0.3, 0.5), "grain": (0.1, 0.3, 0.5), "most": (0.95,)}
"""Of all files that look like one, this share went through less than the value."""


def quantiles(name: str, seen: Array) -> list[float]:
    """The :data:`QUANTILES` that the network ``name`` reads off features, in order.

    ``blur`` and ``most`` are sigmas of a blur, ``grain`` a standard deviation of noise.
    ``bench/estimate/train.py`` made its weights.
    """
    tensors = _network(name)
    x = (seen - tensors["mean"]) / tensors["std"]
    depth = sum(key.startswith("weight") for key in tensors)
    for i in range(depth):
        x = tensors[f"weight{i}"] @ x + tensors[f"bias{i}"]
        if i < depth - 1:
            x = x / (1 + np.exp(-x))  # SiLU
    return sorted(float(value) for value in x)


@lru_cache(maxsize=len(QUANTILES))
def _network(name: str) -> dict[str, Array]:
    from safetensors.numpy import load_file

    tensors = load_file(FOLDER / f"{name}.safetensors")
    return {key: value.astype(np.float64) for key, value in tensors.items()}
