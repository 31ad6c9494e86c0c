"""What the flags say about medical files; light, so that a command can parse before it works."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from drfuse_cli.errors import DrfuseError

Axis = Literal["auto", "axial", "coronal", "sagittal"]
Colours = Literal["auto", "none", "hot", "pet", "hot-metal-blue", "rainbow"]

Range = tuple[float, float]
"""Centre and width of a window, in the units of the file."""


@dataclass(frozen=True)
class MedicalOptions:
    """Windows and slices hold an entry a source, None where the file decides; slices from 1.

    ``window`` keeps the text of the flag. ``ignore_geometry`` takes the files voxel for voxel,
    wherever they say that they lie.
    """

    windows: tuple[Range | None, Range | None] = (None, None)
    slices: tuple[int, int] | None = None
    axis: Axis = "auto"
    colours: Colours = "auto"
    ignore_geometry: bool = False
    window: str | None = None

    @classmethod
    def of(
        cls,
        window: str | None = None,
        slices: str | None = None,
        axis: Axis = "auto",
        colours: Colours = "auto",
        ignore_geometry: bool = False,
    ) -> MedicalOptions:
        """From the text of the flags; raises ``DrfuseError`` naming the one that is wrong."""
        return cls(
            parse_windows(window), parse_slices(slices), axis, colours, ignore_geometry, window
        )

    @property
    def given(self) -> str | None:
        """The first of the flags that was given, by name."""
        default = MedicalOptions()
        flags = {
            "--window": self.windows != default.windows,
            "--slice": self.slices is not None,
            "--axis": self.axis != default.axis,
            "--colormap": self.colours != default.colours,
            "--ignore-geometry": self.ignore_geometry,
        }
        return next((flag for flag, said in flags.items() if said), None)


def parse_windows(text: str | None) -> tuple[Range | None, Range | None]:
    """``C,W`` for source 1, ``C,W,C2,W2`` for both; ``auto`` may stand for either ``C,W``.

    Raises ``DrfuseError`` for anything else, and for a width that is not positive.
    """
    if text is None:
        return None, None
    words = [word.strip().lower() for word in text.split(",")]
    found: list[Range | None] = []
    while words:
        taken = 1 if words[0] == "auto" else 2
        found.append(None if taken == 1 else _range(words[:2], text))
        words = words[taken:]
    if len(found) > 2:
        raise _bad_window(text)
    return found[0], found[1] if len(found) == 2 else None


def _range(words: list[str], text: str) -> Range:
    try:
        centre, width = map(float, words)
    except ValueError:
        raise _bad_window(text) from None
    if not (math.isfinite(centre) and math.isfinite(width) and width > 0):
        raise _bad_window(text)
    return centre, width


def _bad_window(text: str) -> DrfuseError:
    return DrfuseError(
        f"--window is {text!r}",
        hint="Give centre and width in the units of the file, C,W for source 1 or C,W,C2,W2: "
        "--window 40,80 or --window auto,5,10.",
    )


def parse_slices(text: str | None) -> tuple[int, int] | None:
    """``N`` for both sources or ``N,N2``, from 1; raises ``DrfuseError`` otherwise."""
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")]
    whole = all(part.isascii() and part.isdecimal() and int(part) > 0 for part in parts)
    if not whole or len(parts) > 2:
        raise DrfuseError(
            f"--slice is {text!r}", hint="Slices count from 1: --slice 12, or --slice 12,14."
        )
    return int(parts[0]), int(parts[-1])
