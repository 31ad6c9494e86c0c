"""Arrays that may be larger than memory: kept in unnamed temporary files that go with them."""

from __future__ import annotations

import math
import tempfile
from typing import IO, Any

import numpy as np
from numpy.typing import DTypeLike

_IN_MEMORY = 64 << 20
_PIECE = 1 << 20


def spool(shape: tuple[int, ...], dtype: DTypeLike) -> np.ndarray:
    """An array of zeros; above 64 MiB it lies in a temporary file.

    Raises ``OSError`` where the disk cannot hold it: space is taken now, since a disk that is
    full when a mapped page is written ends the process.
    """
    size = math.prod(shape) * np.dtype(dtype).itemsize
    if size <= _IN_MEMORY:
        return np.zeros(shape, dtype)
    with tempfile.TemporaryFile() as stream:
        reserve(stream, size)
        return np.memmap(stream, dtype, "r+", shape=shape)


def reserve(stream: IO[Any], size: int) -> None:
    """Write ``size`` zeros."""
    for start in range(0, size, _PIECE):
        stream.write(bytes(min(_PIECE, size - start)))
    stream.flush()
