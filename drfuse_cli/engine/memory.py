"""How much a device is given at once, and what to try when that was too much."""

from __future__ import annotations

import os
from dataclasses import dataclass

import torch

_SMALLEST_TILE = 128
_UNKNOWN = 8 << 30


def total_memory(device: torch.device) -> int:
    """Bytes that a device has; a guess where nobody says."""
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return _UNKNOWN


@dataclass(frozen=True)
class Rung:
    """How much the network is given at once, and what led there."""

    batch: int
    tile: int
    warnings: tuple[str, ...] = ()

    def lower(self, edge: int) -> Rung | None:
        """Less at once for images up to ``edge`` pixels a side; None where there is no less."""
        if self.batch > 1:
            half = self.batch // 2
            return self._after(f"for {self.batch} pairs at once: {half} at once", half, self.tile)
        tile = _power_of_two_below(min(edge, self.tile) if self.tile else edge)
        if tile < _SMALLEST_TILE:
            return None
        now = f"tiles of {self.tile} pixels" if self.tile else "the image as a whole"
        return self._after(f"for {now}: tiles of {tile}", 1, tile)

    def _after(self, step: str, batch: int, tile: int) -> Rung:
        return Rung(batch, tile, (*self.warnings, f"not enough memory {step}"))


def _power_of_two_below(n: int) -> int:
    return 1 << ((n - 1).bit_length() - 1) if n > 1 else 0


def is_out_of_memory(error: BaseException) -> bool:
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and (
        "can't allocate memory" in text or "out of memory" in text
    )
