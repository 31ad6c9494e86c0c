"""Colour maps for grey activity: the well-known palettes of DICOM, and one like published data."""

from __future__ import annotations

from functools import cache

import numpy as np

from drfuse_cli.scenes.palette import colour_map

# Well-known palettes of DICOM PS3.6, annex B, by their identifiers
_PALETTES = {
    "hot": "1.2.840.10008.1.5.1",
    "pet": "1.2.840.10008.1.5.2",
    "hot-metal-blue": "1.2.840.10008.1.5.3",
}
NAMES = (*_PALETTES, "rainbow")


def colourise(unit: np.ndarray, name: str) -> np.ndarray:
    """RGB in 0..1, H x W x 3 float32, of activity in 0..1, H x W; colours between are mixed.

    ``name`` is one of ``NAMES``; ``rainbow`` resembles the PET pictures of published fusion
    data, the others are the palettes of DICOM.
    """
    table = _table(name)
    positions = np.linspace(0, 1, len(table))
    channels = [np.interp(unit, positions, table[:, c]) for c in range(3)]
    return np.stack(channels, axis=-1).astype(np.float32)


@cache
def _table(name: str) -> np.ndarray:
    """256 x 3 colours in 0..1."""
    if name == "rainbow":
        levels = colour_map(np.linspace(0, 1, 256), "pet")
    else:
        from pydicom.pixels.processing import apply_color_lut

        levels = apply_color_lut(np.arange(256, dtype=np.uint8), palette=_PALETTES[name])
    table: np.ndarray = levels / 255.0
    return table
