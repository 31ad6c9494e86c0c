"""``drfuse fuse``: one pair in, one image out."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from drfuse_cli.cli import console, options
from drfuse_cli.cli.outputs import check_outputs
from drfuse_cli.config import FuseOptions
from drfuse_cli.degradations import Mode, Overrides, assume, describe, parse_overrides
from drfuse_cli.errors import DrfuseError

if TYPE_CHECKING:
    from drfuse_cli.engine import Engine, FuseResult
    from drfuse_cli.imageio import Image
    from drfuse_cli.weights import LoadedWeights

Source1 = Annotated[
    str, typer.Argument(metavar="SOURCE1", help="Infrared; MRI or CT; the near-focused image.")
]
Source2 = Annotated[
    str, typer.Argument(metavar="SOURCE2", help="Visible; PET, SPECT or MRI; the far-focused one.")
]
Output = Annotated[
    str,
    typer.Option(
        "--output", "-o", metavar="OUT", help="The fused image; - writes a PNG to stdout."
    ),
]


def fuse(
    source1: Source1,
    source2: Source2,
    output: Output,
    task: options.TaskOption = "ivif",
    degrade: options.DegradeOption = "auto",
    noise_std: options.NoiseOption = None,
    blur_sigma: options.BlurOption = None,
    psf: options.PsfOption = None,
    sr_scale: options.ScaleOption = None,
    method: options.MethodOption = "drfusion",
    weights: options.WeightsOption = None,
    steps: options.StepsOption = 3,
    no_correction: options.NoCorrectionOption = False,
    correction: options.CorrectionOption = None,
    device: options.DeviceOption = "auto",
    precision: options.PrecisionOption = "auto",
    tile: options.TileOption = "auto",
    seed: options.SeedOption = 0,
    overwrite: options.OverwriteOption = False,
    as_json: options.JsonOption = False,
    save_sources: options.SaveSourcesOption = None,
    explain: options.ExplainOption = None,
    no_sidecar: options.NoSidecarOption = False,
) -> None:
    """Restore and fuse one pair of registered images.

    Example: drfuse fuse ir.png vis.png -o out.png --degrade composite
    """
    options.check_method(method)
    chosen = FuseOptions(
        task=task,
        weights=weights,
        steps=steps,
        correction=options.parse_correction(no_correction, correction),
        device=options.parse_device(device),
        precision=precision,
        tile=options.parse_tile(tile),
        seed=seed,
        keep_states=explain is not None,
    )
    outputs = _Outputs.of(output, save_sources, explain, steps, not no_sidecar)
    overrides = parse_overrides(noise_std, blur_sigma, sr_scale, psf)
    quiet = as_json and outputs.fused is None
    request = _Request((source1, source2), outputs, degrade, overrides, chosen, quiet)
    inputs = [Path(file) for file in (source1, source2, *filter(None, overrides.psf))]
    check_outputs(outputs.files, inputs, overwrite=overwrite)
    document = _run(request)
    if as_json:
        console.document(document, on_stderr=quiet)
    elif outputs.fused is not None:
        console.result(str(outputs.fused))


@dataclass(frozen=True)
class _Outputs:
    """Where things go: ``fused`` is None for stdout, the others are empty where not asked for."""

    fused: Path | None
    sidecar: Path | None
    sources: tuple[Path, ...]
    explain: tuple[Path, ...]

    @classmethod
    def of(
        cls, output: str, save_sources: str | None, explain: str | None, steps: int, sidecar: bool
    ) -> _Outputs:
        from drfuse_cli.report.explain import names

        fused = _fused_path(output)
        return cls(
            fused=fused,
            sidecar=fused.with_name(f"{fused.name}.json") if fused and sidecar else None,
            sources=_inside(save_sources, ["source1.png", "source2.png"]),
            explain=_inside(explain, names(steps)),
        )

    @property
    def files(self) -> list[Path]:
        single = [path for path in (self.fused, self.sidecar) if path is not None]
        return [*single, *self.sources, *self.explain]


def _fused_path(output: str) -> Path | None:
    from drfuse_cli.imageio import check_suffix

    if output == "-":
        if console.stdout_is_terminal():
            raise DrfuseError(
                "a PNG cannot be shown on the terminal", hint="Redirect it: drfuse ... > out.png"
            )
        return None
    path = Path(output)
    if not path.name or path.name == ".." or os.path.isdir(path):
        raise DrfuseError(
            "is a folder, not a file name", hint="Name a file in it: -o DIR/fused.png", path=output
        )
    check_suffix(path.suffix, path=output)
    return path


def _inside(folder: str | None, names: list[str]) -> tuple[Path, ...]:
    return () if folder is None else tuple(Path(folder) / name for name in names)


@dataclass(frozen=True)
class _Request:
    """Everything the flags ask for; ``quiet`` where stderr carries the JSON."""

    sources: tuple[str, str]
    outputs: _Outputs
    mode: Mode
    overrides: Overrides
    options: FuseOptions
    quiet: bool


def _run(request: _Request) -> dict[str, Any]:
    """Read, assume, load, fuse, write; returns the sidecar's document."""
    clock = _Clock()
    with clock.measure("read"):
        images = _read(request)
        degradations = assume(request.options.task, request.mode, request.overrides, images)
    if not request.quiet:
        for number, (image, assumed) in enumerate(zip(images, degradations, strict=True), 1):
            console.note(f"source {number} ({image.path}): {describe(assumed)}")
    warnings = _doubts(images, request.options)
    with clock.measure("load"), console.working("loading the network"):
        weights, engine = _load(request.options)
    with clock.measure("fuse"), console.working("fusing"):
        result = engine.fuse(*images, degradations)
    with clock.measure("write"):
        _write(request.outputs, result)
    warnings += [*weights.warnings, *result.warnings]
    if not request.quiet:
        for warning in warnings:
            console.warn(warning)
    from drfuse_cli.report import sidecar

    output = str(request.outputs.fused or sidecar.STDOUT)
    document = sidecar.fuse_document(
        sidecar.Run(
            request.options, images, degradations, weights, result, output, clock.seconds, warnings
        )
    )
    if request.outputs.sidecar is not None:
        _write_json(request.outputs.sidecar, document)
    return document


@dataclass
class _Clock:
    """Seconds spent in the parts of a run."""

    seconds: dict[str, float] = field(
        default_factory=lambda: dict.fromkeys(("load", "read", "fuse", "write"), 0.0)
    )

    @contextmanager
    def measure(self, part: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self.seconds[part] += time.perf_counter() - started


def _read(request: _Request) -> tuple[Image, Image]:
    from drfuse_cli.imageio import check_suffix, read_image

    first, second = (read_image(path) for path in request.sources)
    fused = request.outputs.fused
    if fused is not None:
        check_suffix(fused.suffix, max(first.bits, second.bits), fused)
    return first, second


def _doubts(images: tuple[Image, Image], chosen: FuseOptions) -> list[str]:
    """Warnings about sources that are readable, yet probably not what was meant."""
    first, second = images
    found = []
    if first.sha256 == second.sha256:
        found.append("both sources are the same file")
    if chosen.task != "multifocus" and first.colour and not second.colour:
        found.append("source 1 has colour and source 2 is grey: are the roles swapped?")
    for number, image in enumerate(images, 1):
        if image.pixels.min() == image.pixels.max():
            found.append(f"source {number} has one value everywhere: it holds no scene")
    return found


def _load(chosen: FuseOptions) -> tuple[LoadedWeights, Engine]:
    from drfuse_cli.weights import load_weights

    weights = load_weights(chosen.weights, chosen.task, chosen.method)
    from drfuse_cli.engine import Engine

    return weights, Engine(weights, chosen)


def _write(outputs: _Outputs, result: FuseResult) -> None:
    """Write every image; the fused one last, so that where it stands, the rest does too."""
    from drfuse_cli.imageio import encode_image, write_image

    if outputs.sources:
        for path, image in zip(outputs.sources, result.sources, strict=True):
            write_image(path, image)
    if outputs.explain:
        from drfuse_cli.report.explain import pictures

        found = pictures(result)
        for path in outputs.explain:
            write_image(path, found[path.name])
    if outputs.fused is None:
        console.binary(encode_image(result.fused, ".png"))
    else:
        write_image(outputs.fused, result.fused)


def _write_json(path: Path, document: dict[str, Any]) -> None:
    from drfuse_cli.imageio import write_bytes

    write_bytes(path, json.dumps(document, indent=2, allow_nan=False).encode() + b"\n")
