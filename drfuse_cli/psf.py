"""Point-spread functions from files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from drfuse_cli.errors import DrfuseError
from drfuse_cli.imageio import read_image
from drfuse_cli.operators.kernels import normalise_psf


def load_psf(path: str) -> np.ndarray:
    """Reads a PSF from ``.npy`` or a grey image, normalised to sum 1.

    Raises DrfuseError naming the file for everything :func:`normalise_psf` refuses.
    """
    if Path(path).suffix.lower() != ".npy":
        pixels = read_image(path).pixels
        if pixels.ndim != 2:
            raise DrfuseError("a point-spread function is a grey image", path=path)
        return normalise_psf(pixels, path)
    try:
        with open(path, "rb") as handle:
            kernel = np.lib.format.read_array(handle, allow_pickle=False)
    except FileNotFoundError:
        raise DrfuseError("no such file", path=path) from None
    except Exception as error:  # a damaged header raises anything, a false size MemoryError
        raise DrfuseError(f"not a readable .npy array ({error})", path=path) from None
    if not np.issubdtype(kernel.dtype, np.number) or np.iscomplexobj(kernel):
        raise DrfuseError("a point-spread function holds real numbers", path=path)
    return normalise_psf(kernel, path)
