"""``drfuse inspect``: what files tell about their own degradation."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from drfuse_cli.cli import console
from drfuse_cli.cli.options import JsonOption
from drfuse_cli.degradations import believed, describe
from drfuse_cli.errors import DrfuseError, ExitCode

if TYPE_CHECKING:
    from drfuse_cli.degradations.stripes import Stripes
    from drfuse_cli.imageio import Image
    from drfuse_cli.operators.estimate import Estimate, SourceEstimate
    from drfuse_cli.sources.levels import Levels

SCHEMA = "drfuse.inspect/1"

Images = Annotated[list[str], typer.Argument(metavar="IMAGE...", help="Images to look at.")]

_CHANNELS = ("red", "green", "blue")


def inspect(images: Images, as_json: JsonOption = False) -> None:
    """Estimate noise, blur and more from images, each with a confidence and the reason.

    Example: drfuse inspect ir.png vis.png
    """
    found: list[dict[str, Any]] = []
    problems: list[DrfuseError] = []
    for path in images:
        try:
            with console.working(f"looking at {path}"):
                image, levels, stripes, findings = _look(path)
        except DrfuseError as problem:
            console.error(problem)
            problems.append(problem)
            found.append({"path": path, "error": problem.message})
            continue
        found.append(_document(image, levels, findings))
        if not as_json:
            if levels is not None:
                console.note(f"{path}: {levels.describe()}")
            if stripes is not None:
                console.note(f"{path}: as an infrared source, {stripes.describe()} first")
            console.table(_title(image), _COLUMNS, _rows(findings), words=2)
            console.result(f"--degrade auto takes it for: {describe(believed(findings))}")
    if as_json:
        console.document({"schema": SCHEMA, "images": found})
    if problems:
        raise typer.Exit(problems[0].code if len(images) == 1 else ExitCode.FAILED)


def _look(path: str) -> tuple[Image, Levels | None, Stripes | None, SourceEstimate]:
    """A file, how fuse would take it, and what it tells with its stripes in it."""
    from drfuse_cli.degradations.stripes import find_stripes
    from drfuse_cli.imageio import read_image
    from drfuse_cli.operators.estimate import estimate
    from drfuse_cli.sources.levels import find_levels

    image = read_image(path, measured=True)
    as_infrared, as_visible = find_levels((image, image), "ivif", "auto")
    levels = as_infrared or as_visible
    taken = levels.apply(image) if levels else image
    stripes = None if image.colour else find_stripes(taken, "auto")
    return image, levels, stripes, estimate(taken)


def _document(image: Image, levels: Levels | None, found: SourceEstimate) -> dict[str, Any]:
    assumed = believed(found)
    return {
        "path": image.path,
        "sha256": image.sha256,
        "width": image.width,
        "height": image.height,
        "bit_depth": 32 if image.unit else image.bits,
        "colour": image.colour,
        "levels": levels and levels.document(),
        **asdict(found),
        "assumed": {
            "noise_std": assumed.noise_std,
            "blur_sigma": assumed.blur_sigma,
            "origin": {name: assumed.origin[name] for name in ("noise_std", "blur_sigma")},
            "seen": dict(assumed.seen),
        },
    }


# ---- for people -----------------------------------------------------------------------------

_COLUMNS = ("finding", "why", "value", "confidence")


def _title(image: Image) -> str:
    kind = "colour" if image.colour else "grey"
    return f"{image.path} ({image.width}x{image.height}, {image.bits}-bit {kind})"


def _rows(found: SourceEstimate) -> list[tuple[console.Styled, ...]]:
    def row(name: str, one: Estimate, value: str) -> tuple[console.Styled, ...]:
        style = "" if one.trusted else "dim"
        cells = (name, one.why, value if one.trusted else f"({value})", f"{one.confidence:.2f}")
        return tuple((cell, style) for cell in cells)

    channels = found.channels if len(found.channels) > 1 else ()
    return [
        row("noise, std in grey levels", found.noise, f"{found.noise.value:.1f}"),
        *(
            row(f"  in {name}", one, f"{one.value:.1f}")
            for name, one in zip(_CHANNELS, channels, strict=False)
        ),
        row("blur, sigma in pixels", found.blur, _some(found.blur, "none")),
        row("enlarged", found.scale, f"{found.scale.value:g}x" if found.scale.value > 1 else "no"),
        row("zero-padded blur, sigma", found.zero_border, _some(found.zero_border, "none")),
        row("JPEG quality", found.jpeg, f"{found.jpeg.value:g}" if found.jpeg.value < 100 else "-"),
        row("stripes, std", found.stripes, _some(found.stripes, "none")),
    ]


def _some(one: Estimate, otherwise: str) -> str:
    return f"{one.value:.1f}" if one.value > 0 else otherwise
