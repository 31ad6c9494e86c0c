"""``drfuse fuse``: one pair in, one image out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from drfuse_cli.cli import console, options
from drfuse_cli.cli import profile as rigs
from drfuse_cli.cli.clock import Clock
from drfuse_cli.cli.loading import load_engine
from drfuse_cli.cli.method import AskedMethod, decide, heard
from drfuse_cli.cli.outputs import check_outputs, fused_path, inside, write_json
from drfuse_cli.config import Agc, Destripe, Fit, FuseOptions, Task
from drfuse_cli.degradations import Mode, describe, parse_overrides
from drfuse_cli.errors import DrfuseError
from drfuse_cli.medical.options import MedicalOptions
from drfuse_cli.pairs import is_video

if TYPE_CHECKING:
    from drfuse_cli.choice import Choice
    from drfuse_cli.engine import FuseResult
    from drfuse_cli.sources import Sources
    from drfuse_cli.sources.intake import Intake

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
    ctx: typer.Context,
    source1: Source1,
    source2: Source2,
    output: Output,
    task: options.TaskOption = "ivif",
    profile: rigs.ProfileOption = None,
    degrade: options.DegradeOption = "auto",
    noise_std: options.NoiseOption = None,
    blur_sigma: options.BlurOption = None,
    cap_blur: options.CapBlurOption = False,
    psf: options.PsfOption = None,
    sr_scale: options.ScaleOption = None,
    register: options.RegisterOption = "auto",
    crop: rigs.CropOption = None,
    motion: rigs.MotionOption = None,
    agc: options.AgcOption = "auto",
    destripe: options.DestripeOption = "auto",
    fit: options.FitOption = "none",
    method: options.AnyMethodOption = "drfusion",
    weights: options.WeightsOption = None,
    steps: options.StepsOption = None,
    no_correction: options.NoCorrectionOption = False,
    correction: options.CorrectionOption = None,
    self_ensemble: options.SelfEnsembleOption = 1,
    restore_first: options.RestoreFirstOption = False,
    device: options.DeviceOption = "auto",
    precision: options.PrecisionOption = "auto",
    tile: options.TileOption = "auto",
    seed: options.SeedOption = 0,
    overwrite: options.OverwriteOption = False,
    as_json: options.JsonOption = False,
    save_sources: options.SaveSourcesOption = None,
    explain: options.ExplainOption = None,
    no_sidecar: options.NoSidecarOption = False,
    window: options.WindowOption = None,
    slices: options.SliceOption = None,
    axis: options.AxisOption = "auto",
    colormap: options.ColormapOption = "auto",
    ignore_geometry: options.IgnoreGeometryOption = False,
) -> None:
    """Restore and fuse one pair of registered images.

    Example: drfuse fuse ir.png vis.png -o out.png --degrade composite
    """
    _refuse_videos(source1, source2)
    options.check_infrared(task, agc, destripe)
    flags = parse_overrides(noise_std, blur_sigma, sr_scale, psf, cap_blur)
    said = rigs.choose(ctx, flags, register, crop, motion)
    from drfuse_cli.cli.fuse_medical import MedicalRequest, fuse_medical, is_medical

    sources = source1, source2
    medical = MedicalOptions.of(window, slices, axis, colormap, ignore_geometry)
    volumes = is_medical(sources, output, task, medical)
    choice = _choose(method, sources, task, degrade, said, agc, destripe, fit, volumes=volumes)
    chosen = options.fuse_options(
        task=task,
        method=choice.method,
        weights=weights,
        steps=steps,
        no_correction=no_correction,
        correction=correction,
        self_ensemble=self_ensemble,
        restore_first=choice.method == "recofuse" if method == "auto" else restore_first,
        device=device,
        precision=precision,
        tile=tile,
        seed=seed,
        keep_states=explain is not None,
    )
    told = heard(degrade, said.overrides, destripe, chosen)
    said = replace(said, overrides=told.overrides)
    if volumes:
        _refuse_to_fit(fit)
        said.refuse_for_volumes()
        fuse_medical(
            MedicalRequest(
                sources=sources,
                output=output,
                mode=told.mode,
                said=said,
                options=chosen,
                medical=medical,
                save_sources=save_sources,
                explain=explain,
                sidecar=not no_sidecar,
                overwrite=overwrite,
                as_json=as_json,
            )
        )
        return
    outputs = _Outputs.of(output, save_sources, explain, chosen.steps, not no_sidecar)
    quiet = as_json and outputs.fused is None
    request = _Request(
        sources=sources,
        outputs=outputs,
        mode=told.mode,
        said=said,
        agc=agc,
        destripe=told.destripe,
        fit=fit,
        options=chosen,
        quiet=quiet,
        reasons=choice.reasons,
        warnings=told.warnings,
    )
    inputs = [Path(file) for file in (source1, source2, *filter(None, said.overrides.psf))]
    check_outputs(outputs.files, inputs, overwrite=overwrite)
    document = _run(request)
    if as_json:
        console.document(document, on_stderr=quiet)
    elif outputs.fused is not None:
        console.result(str(outputs.fused))


def _choose(
    asked: AskedMethod,
    sources: tuple[str, str],
    task: Task,
    mode: Mode,
    said: rigs.Chosen,
    agc: Agc,
    destripe: Destripe,
    fit: Fit,
    *,
    volumes: bool,
) -> Choice:
    from drfuse_cli.choice import Choice

    if asked != "auto":
        return Choice(asked, ())
    if volumes:
        return Choice("drfusion", ("ReCoFuse is not for DICOM and NIfTI",))
    from drfuse_cli.sources import Assumptions

    told = Assumptions(
        task, mode, said.overrides, agc=agc, destripe=destripe, fit=fit, rig=said.rig
    )
    with console.working("looking at the sources"):
        return decide(told, [sources])


def _refuse_videos(*sources: str) -> None:
    for source in sources:
        if is_video(Path(source)):
            raise DrfuseError(
                "is a video",
                hint="Two videos: drfuse batch ir.mp4 vis.mp4 -o fused.mp4",
                path=source,
            )


def _refuse_to_fit(fit: Fit) -> None:
    if fit != "none":
        raise DrfuseError(
            f"--fit {fit} is not for DICOM and NIfTI, whose files say where they lie",
            hint="Leave it out.",
        )


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

        fused = fused_path(output)
        return cls(
            fused=fused,
            sidecar=fused.with_name(f"{fused.name}.json") if fused and sidecar else None,
            sources=inside(save_sources, ["source1.png", "source2.png"]),
            explain=inside(explain, names(steps)),
        )

    @property
    def files(self) -> list[Path]:
        single = [path for path in (self.fused, self.sidecar) if path is not None]
        return [*single, *self.sources, *self.explain]


@dataclass(frozen=True)
class _Request:
    """Everything the flags ask for; ``quiet`` where stderr carries the JSON."""

    sources: tuple[str, str]
    outputs: _Outputs
    mode: Mode
    said: rigs.Chosen
    agc: Agc
    destripe: Destripe
    fit: Fit
    options: FuseOptions
    quiet: bool
    reasons: tuple[str, ...]
    warnings: tuple[str, ...]


def _run(request: _Request) -> dict[str, Any]:
    """Read, assume, load, fuse, write; returns the sidecar's document."""
    clock = Clock()
    with clock.measure("read"):
        sources = _read(request)
    if not request.quiet:
        request.said.tell()
        if request.reasons:
            console.note(f"{', '.join(request.reasons)}: {request.options.method}")
        for line in sources.intake.describe():
            console.note(line)
        for number, image in enumerate(sources.images, 1):
            assumed = describe(sources.degradations[number - 1])
            if request.options.method == "recofuse" and not request.options.restore_first:
                assumed = f"{image.width}x{image.height}"
            console.note(f"source {number} ({image.path}): {assumed}")
        if moved := sources.registration and sources.registration.describe():
            console.note(moved)
    with clock.measure("load"), console.working("loading the network"):
        weights, engine = load_engine(request.options)
    with clock.measure("fuse"), console.working("fusing"):
        result = engine.fuse(*sources.images, sources.degradations)
    with clock.measure("write"):
        _write(request.outputs, result, sources.intake)
    warnings = [*request.warnings, *sources.warnings, *weights.warnings, *result.warnings]
    if not request.quiet:
        for warning in warnings:
            console.warn(warning)
    from drfuse_cli.report import sidecar

    output = str(request.outputs.fused or sidecar.STDOUT)
    document = sidecar.fuse_document(
        sidecar.Run(
            request.options,
            sources.images,
            sources.degradations,
            weights,
            result,
            output,
            clock.seconds,
            warnings,
            sources.registration,
            sources.intake,
            request.said.rig,
            request.reasons,
        )
    )
    if request.outputs.sidecar is not None:
        write_json(request.outputs.sidecar, document)
    return document


def _read(request: _Request) -> Sources:
    from drfuse_cli.imageio import check_suffix
    from drfuse_cli.sources import Assumptions, read_sources

    task = request.options.task
    told = Assumptions(
        task,
        request.mode,
        request.said.overrides,
        register=request.said.register,
        agc=request.agc,
        destripe=request.destripe,
        fit=request.fit,
        rig=request.said.rig,
        doubt_flags=True,
    )
    sources = read_sources(request.sources, told)
    fused = request.outputs.fused
    if fused is not None:
        check_suffix(fused.suffix, max(image.bits for image in sources.images), fused)
    return sources


def _write(outputs: _Outputs, result: FuseResult, intake: Intake) -> None:
    """Write every image; the fused one last, so that where it stands, the rest does too."""
    from drfuse_cli.imageio import encode_image, write_image

    if outputs.sources:
        for path, image in zip(outputs.sources, intake.restored(result), strict=True):
            write_image(path, image)
    if outputs.explain:
        from drfuse_cli.report.explain import pictures

        found = pictures(result)
        for path in outputs.explain:
            write_image(path, found[path.name])
    fused = intake.fused(result)
    if outputs.fused is None:
        console.binary(encode_image(fused, ".png"))
    else:
        write_image(outputs.fused, fused)
