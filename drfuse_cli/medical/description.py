"""What is told about medical sources: to people, and in the sidecar; nothing about patients."""

from __future__ import annotations

from typing import Any

from drfuse_cli.medical.options import MedicalOptions
from drfuse_cli.medical.pair import MedicalPair
from drfuse_cli.medical.rendering import Rendering, modality
from drfuse_cli.medical.volume import Volume

_ORIGINS = {"flag": "given", "file": "from the file", "values": "from its values"}


def describe(pair: MedicalPair) -> list[str]:
    """A line for each source: what it is, and how its values become a picture."""
    return [
        f"source {number} ({volume.path}): {_describe(volume, rendering)}"
        for number, (volume, rendering) in enumerate(
            zip(pair.volumes, pair.renderings, strict=True), 1
        )
    ]


def _describe(volume: Volume, rendering: Rendering) -> str:
    columns, rows, slices = volume.shape
    count = f"{slices} slices of " if slices > 1 else ""
    spacing = " x ".join(f"{mm:.3g}" for mm in volume.space.spacing)
    parts = [modality(volume) or "modality unknown", f"{count}{columns}x{rows}, {spacing} mm"]
    if rendering.window is not None and rendering.origin != "pixels":
        window, origin = rendering.window, _ORIGINS[rendering.origin]
        parts.append(f"window {window.centre:.6g},{window.width:.6g} ({origin})")
    if rendering.colours is not None:
        parts.append(f"coloured by {rendering.colours} (--colormap)")
    return ", ".join(parts)


def document(pair: MedicalPair, options: MedicalOptions) -> dict[str, Any]:
    """The part of the sidecar that only medical files have; enough to cut and show them again."""
    colours = pair.renderings[1].colours
    return {
        "axis": pair.axis,
        "slice": None if options.slices is None else list(options.slices),
        "slices": pair.slices,
        "window": options.window,
        "colormap": "none" if colours is None else colours,
        "ignore_geometry": options.ignore_geometry,
        "sources": [
            _source(volume, rendering)
            for volume, rendering in zip(pair.volumes, pair.renderings, strict=True)
        ],
    }


def _source(volume: Volume, rendering: Rendering) -> dict[str, Any]:
    window = rendering.window
    return {
        "modality": modality(volume),
        "slices": volume.shape[2],
        "voxel_mm": [round(mm, 6) for mm in volume.space.spacing],
        "window": window and {"centre": window.centre, "width": window.width},
        "window_origin": rendering.origin,
    }
