"""From values to pictures: window, inversion and colour map of one source."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import Literal

import numpy as np

from drfuse_cli.colour import quantise
from drfuse_cli.imageio import Image
from drfuse_cli.medical.colourmaps import colourise
from drfuse_cli.medical.options import Colours, Range
from drfuse_cli.medical.volume import Array, Volume
from drfuse_cli.medical.window import Window, automatic, sample

Origin = Literal["flag", "file", "values", "pixels"]

DEFAULT_COLOURS = "hot"
_BYTES = Window.between(0, 255)
_MODALITIES = {
    **dict.fromkeys(("pet", "pt", "fdg"), "PT"),
    **dict.fromkeys(("spect", "nm"), "NM"),
    **dict.fromkeys(("mri", "mr", "t1", "t1w", "t2", "t2w", "pd", "flair"), "MR"),
    "ct": "CT",
}
_FUNCTIONAL = {"PT", "NM"}


@dataclass(frozen=True)
class Rendering:
    """How the slices of a volume become pictures; ``window`` is None for pictures already."""

    window: Window | None
    origin: Origin
    colours: str | None
    bits: int

    def image(self, volume: Volume, k: int) -> Image:
        """Slice ``k`` of the last axis, as rows x columns."""
        voxels = np.ascontiguousarray(volume.voxels[:, :, k].swapaxes(0, 1))
        if self.window is None:
            return Image(voxels, volume.path, volume.sha256)
        unit = self.window.apply(volume.values(voxels))
        if volume.inverted:
            unit = 1 - unit
        if self.colours is not None:
            unit = colourise(unit, self.colours)
        return Image(quantise(unit, self.bits), volume.path, volume.sha256)


def render(volume: Volume, asked: Range | None, colours: str | None) -> Rendering:
    """How to show a volume: through the window asked for, that of the file, or a fitting one."""
    ready = volume.colour or (volume.kind is None and colours is None)
    if ready:
        return Rendering(None, "pixels", None, 8 * volume.voxels.dtype.itemsize)
    window, origin = _window(volume, asked)
    raw = volume.voxels.dtype == np.uint8 and (volume.slope, volume.intercept) == (1, 0)
    return Rendering(window, origin, colours, 8 if raw else 16)


def _window(volume: Volume, asked: Range | None) -> tuple[Window, Origin]:
    if asked is not None:
        return Window(*asked), "flag"
    if volume.window is not None:
        return volume.window, "file"
    if volume.kind != "nifti" and volume.voxels.dtype.kind == "u":
        return _BYTES if volume.voxels.dtype == np.uint8 else Window.between(0, 65535), "pixels"
    values = volume.values(sample(volume.voxels))
    return automatic(values, hounsfield=modality(volume) in (None, "CT")), "values"


def choose_colours(volume: Volume, colours: Colours) -> str | None:
    """The colour map of source 2: none where it has colour, or is MR or CT.

    ``auto`` takes what is not known to be MR or CT for the functional source that it should be.
    """
    if volume.colour or colours == "none":
        return None
    if colours != "auto":
        return colours
    found = modality(volume)
    functional = found in _FUNCTIONAL if found or volume.kind == "dicom" else True
    return DEFAULT_COLOURS if functional and volume.kind is not None else None


def modality(volume: Volume) -> str | None:
    """DICOM's code of what a volume is, from the file or, NIfTI being silent, from its name."""
    if volume.modality is not None:
        return volume.modality
    folder, name = os.path.split(volume.path)
    for text in (name, os.path.basename(folder)):
        for word in reversed(re.split(r"[^a-z0-9]+", text.lower())):
            if word in _MODALITIES:
                return _MODALITIES[word]
    return None


def doubts(volume: Volume, number: int) -> list[str]:
    """Warnings that a volume may not be what was meant."""
    values: Array = sample(volume.voxels)
    found = []
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        found.append(f"source {number} holds values that are no numbers; they are taken as black")
    if values.min() == values.max():
        found.append(f"source {number} has one value everywhere: it holds no scene")
    return found
