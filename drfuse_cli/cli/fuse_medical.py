"""``drfuse fuse`` for DICOM and NIfTI: a slice or a volume of each source in, one out."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drfuse_cli.cli import console
from drfuse_cli.cli.clock import Clock
from drfuse_cli.cli.loading import load_engine
from drfuse_cli.cli.outputs import check_outputs, fused_path, inside, write_json
from drfuse_cli.cli.profile import Chosen
from drfuse_cli.config import Degradation, FuseOptions, Register, Task
from drfuse_cli.degradations import Mode
from drfuse_cli.degradations import describe as describe_degradation
from drfuse_cli.errors import DrfuseError
from drfuse_cli.medical.kinds import kind_of_input, kind_of_name
from drfuse_cli.medical.options import MedicalOptions

if TYPE_CHECKING:
    from drfuse_cli.engine import Engine, FuseResult
    from drfuse_cli.imageio import Image
    from drfuse_cli.medical.collected import Collected
    from drfuse_cli.medical.pair import MedicalPair

_NOT_SQUARE = 1.01


def is_medical(sources: tuple[str, str], output: str, task: Task, medical: MedicalOptions) -> bool:
    """Whether a run needs what is here: by its files, or by a flag that only works here.

    Raises ``DrfuseError`` where it does, but the task is another.
    """
    files = [path for path in sources if not os.path.isdir(path) and kind_of_input(path)]
    files += [output] if kind_of_name(output) else []
    if task == "medical":
        return bool(files or medical.given or any(map(os.path.isdir, sources)))
    if files:
        raise DrfuseError("is a medical file", hint="Add --task medical.", path=files[0])
    if medical.given:
        raise DrfuseError(f"{medical.given} is for medical images", hint="Add --task medical.")
    return False


@dataclass(frozen=True)
class MedicalRequest:
    """Everything the flags ask for."""

    sources: tuple[str, str]
    output: str
    mode: Mode
    said: Chosen
    options: FuseOptions
    medical: MedicalOptions
    save_sources: str | None
    explain: str | None
    sidecar: bool
    overwrite: bool
    as_json: bool

    @property
    def quiet(self) -> bool:
        """Whether stderr carries the JSON."""
        return self.as_json and self.output == "-"


def fuse_medical(request: MedicalRequest) -> None:
    """Run, and print what the command prints."""
    from drfuse_cli.medical.extra import require_medical

    _refuse_to_register(request.said.register)
    paths = _Paths.of(request)
    inputs = [Path(file) for file in (*request.sources, *filter(None, request.said.overrides.psf))]
    check_outputs(paths.files, inputs, overwrite=request.overwrite)
    require_medical(next(filter(kind_of_input, request.sources), None))
    document = _run(request, paths)
    if request.as_json:
        console.document(document, on_stderr=request.quiet)
    elif request.output != "-":
        console.result(request.output)


# ---- where things go ------------------------------------------------------------------------


@dataclass(frozen=True)
class _Paths:
    """``fused`` is None for stdout; ``volume`` says that it is no ordinary image."""

    fused: Path | None
    volume: bool
    sidecar: Path | None
    sources: tuple[Path, ...]
    explain: tuple[Path, ...]

    @classmethod
    def of(cls, request: MedicalRequest) -> _Paths:
        from drfuse_cli.report.explain import names

        volume = kind_of_name(request.output) is not None
        fused = Path(request.output) if volume else fused_path(request.output)
        suffix = _suffix(request.output) if volume else ".png"
        return cls(
            fused=fused,
            volume=volume,
            sidecar=fused.with_name(f"{fused.name}.json") if fused and request.sidecar else None,
            sources=inside(request.save_sources, [f"source1{suffix}", f"source2{suffix}"]),
            explain=inside(request.explain, names(request.options.steps)),
        )

    @property
    def files(self) -> list[Path]:
        single = [path for path in (self.fused, self.sidecar) if path is not None]
        return [*single, *self.sources, *self.explain]


def _suffix(name: str) -> str:
    return ".nii.gz" if name.lower().endswith(".nii.gz") else Path(name).suffix


# ---- the run --------------------------------------------------------------------------------


def _run(request: MedicalRequest, paths: _Paths) -> dict[str, Any]:
    """Read, assume, load, fuse, write; returns the sidecar's document."""
    from drfuse_cli.medical.assumed import assume_volumes
    from drfuse_cli.medical.description import describe
    from drfuse_cli.medical.pair import open_pair

    clock = Clock()
    with clock.measure("read"), console.working("reading"):
        pair = open_pair(request.sources, request.medical)
        _check_form(pair, request, paths)
        overrides = request.said.overrides
        degradations = assume_volumes(pair, request.options.task, request.mode, overrides)
    if not request.quiet:
        request.said.tell()
        for line, degradation in zip(describe(pair), degradations, strict=True):
            console.note(line)
            console.note(f"  {describe_degradation(degradation)}")
    with clock.measure("load"), console.working("loading the network"):
        weights, engine = load_engine(request.options)
    with clock.measure("fuse"):
        fused = _fuse(pair, degradations, engine, paths)
    with clock.measure("write"), console.working("writing"):
        _write(fused, pair, paths)
    warnings = [*pair.warnings, *_squeezed(pair, paths), *weights.warnings, *fused.warnings]
    if not request.quiet:
        for warning in warnings:
            console.warn(warning)
    from drfuse_cli.report import sidecar

    run = sidecar.Run(
        request.options,
        pair.images(0),
        degradations,
        weights,
        fused.last,
        str(paths.fused or sidecar.STDOUT),
        clock.seconds,
        warnings,
        rig=request.said.rig,
    )
    document = _document(sidecar.fuse_document(run), pair, request, fused)
    if paths.sidecar is not None:
        write_json(paths.sidecar, document)
    return document


@dataclass
class _Fused:
    """All fused slices; ``last`` is the result of one, with the residuals of all."""

    last: FuseResult
    volumes: list[Collected]
    warnings: list[str]


def _fuse(
    pair: MedicalPair,
    degradations: tuple[Degradation, Degradation],
    engine: Engine,
    paths: _Paths,
) -> _Fused:
    """Slice by slice: what is in memory does not grow with the volume."""
    from drfuse_cli.medical.collected import Collected

    volumes = [Collected(pair.slices) for _ in range(3 if paths.sources else 1)]
    squares, warnings = [0.0, 0.0], dict[str, None]()
    with console.counting("fusing", pair.slices, "slices") as advance:
        for k in range(pair.slices):
            result = engine.fuse(*pair.images(k), degradations)
            for volume, image in zip(volumes, (result.fused, *result.sources), strict=False):
                volume.put(k, image)
            squares = [s + r.rms**2 for s, r in zip(squares, result.residuals, strict=True)]
            warnings.update(dict.fromkeys(result.warnings))
            advance()
    first, second = (
        replace(residual, rms=(square / pair.slices) ** 0.5)
        for residual, square in zip(result.residuals, squares, strict=True)
    )
    return _Fused(replace(result, residuals=(first, second)), volumes, list(warnings))


def _write(fused: _Fused, pair: MedicalPair, paths: _Paths) -> None:
    """Write every file; the fused one last, so that where it stands, the rest does too."""
    from drfuse_cli.imageio import encode_image, write_image
    from drfuse_cli.report.explain import pictures

    result = fused.last
    if paths.explain:
        found = pictures(result)
        for path in paths.explain:
            write_image(path, found[path.name])
    images = (result.fused, *result.sources)
    for path, image, volume in zip(paths.sources, images[1:], fused.volumes[1:], strict=False):
        _write_one(path, image, volume, pair)
    if paths.fused is None:
        console.binary(encode_image(result.fused, ".png"))
    else:
        _write_one(paths.fused, result.fused, fused.volumes[0], pair)


def _write_one(path: Path, image: Image, volume: Collected, pair: MedicalPair) -> None:
    from drfuse_cli.imageio import write_image

    if kind_of_name(path):
        volume.write(path, pair)
    else:
        write_image(path, image)


# ---- checks and words -----------------------------------------------------------------------


def _refuse_to_register(register: Register) -> None:
    if register in ("translation", "homography"):
        raise DrfuseError(
            f"--register {register} is not for DICOM and NIfTI, whose files say where they lie",
            hint="Leave it out. Volumes that lie apart are registered in space: with ANTs, "
            "elastix or 3D Slicer, before they are fused.",
        )


def _check_form(pair: MedicalPair, request: MedicalRequest, paths: _Paths) -> None:
    """Refuse a volume where only a slice will do, and a format that is too shallow."""
    from drfuse_cli.imageio import check_suffix

    if pair.slices > 1 and not paths.volume:
        raise DrfuseError(
            f"has {pair.slices} slices, and {paths.fused or 'a PNG'} holds one image",
            hint=f"Choose one of them: --slice 1 to {pair.slices}; or write them all: -o "
            "fused.nii.gz, or fused.dcm.",
            path=pair.reference.path,
        )
    if pair.slices > 1 and paths.explain:
        raise DrfuseError("--explain is for one slice", hint="Choose one of them with --slice N.")
    if paths.fused is not None and not paths.volume:
        bits = max(image.bits for image in pair.images(0))
        check_suffix(paths.fused.suffix, bits, paths.fused)


def _squeezed(pair: MedicalPair, paths: _Paths) -> list[str]:
    across, down, _ = pair.reference.space.spacing
    if paths.volume or max(across / down, down / across) < _NOT_SQUARE:
        return []
    return [
        f"pixels are {across:.3g} mm wide and {down:.3g} mm high, which an image does not say; "
        "DICOM and NIfTI do"
    ]


def _document(
    document: dict[str, Any], pair: MedicalPair, request: MedicalRequest, fused: _Fused
) -> dict[str, Any]:
    from drfuse_cli.medical.description import document as describe_medical

    columns, rows, slices = fused.volumes[0].voxels.shape[:3]
    space = pair.fused_space((columns, rows, slices))
    document["output"]["slices"] = slices
    document["output"]["voxel_mm"] = [round(mm, 6) for mm in space.spacing]
    if kind_of_name(request.output):
        document["output"]["bit_depth"] = 8 * fused.volumes[0].voxels.dtype.itemsize
    document["medical"] = describe_medical(pair, request.medical)
    return document
