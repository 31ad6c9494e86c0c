"""``drfuse degrade``: clean pairs in, degraded pairs out, the same pixels for the same seed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from drfuse_cli.cli import console, options
from drfuse_cli.cli.outputs import check_outputs
from drfuse_cli.config import Degradation, Pair, Task
from drfuse_cli.degradations import applied, describe, parse_overrides
from drfuse_cli.errors import DrfuseError
from drfuse_cli.pairs import ROLES, find_pairs

if TYPE_CHECKING:
    from drfuse_cli.imageio import Image

SCHEMA = "drfuse.degrade/1"

Clean = Annotated[
    list[Path], typer.Argument(metavar="CLEAN", help="A folder of clean pairs, or two images.")
]
Output = Annotated[
    Path, typer.Option("--output", "-o", metavar="DIR", help="Gets one folder a source.")
]
CleanOut = Annotated[
    Path | None,
    typer.Option(
        "--clean-out", metavar="DIR", help="Also write the clean pairs, cropped as the others are."
    ),
]
Unpaired = Annotated[bool, typer.Option("--allow-unpaired", help="Skip files without a partner.")]


def degrade(
    clean: Clean,
    output: Output,
    task: options.TaskOption = "ivif",
    degrade: options.ApplyOption = "auto",
    noise_std: options.NoiseOption = None,
    blur_sigma: options.BlurOption = None,
    psf: options.PsfOption = None,
    sr_scale: options.ScaleOption = None,
    seed: options.SeedOption = 2026,
    clean_out: CleanOut = None,
    allow_unpaired: Unpaired = False,
    overwrite: options.OverwriteOption = False,
    as_json: options.JsonOption = False,
) -> None:
    """Make degraded inputs from clean pairs: blur, then noise, then pooling.

    Example: drfuse degrade clean/ -o degraded/ --degrade composite
    """
    overrides = parse_overrides(noise_std, blur_sigma, sr_scale, psf)
    degradations = applied(task, degrade, overrides)
    jobs = [_job(pair, task) for pair in _pairs(clean, task, allow_unpaired)]
    files = [path for job in jobs for path in job.files(output, clean_out)]
    inputs = [path for job in jobs for path in (job.pair.source1, job.pair.source2)]
    check_outputs(files, inputs, overwrite=overwrite)
    for number, degradation in enumerate(degradations, 1):
        console.note(f"source {number}: {describe(degradation)}")
    with console.progress() as bar:
        for job in bar.track(jobs, description="degrading"):
            _degrade(job, degradations, seed, output, clean_out)
    if as_json:
        console.document(_document(task, degradations, seed, jobs, output))
    else:
        console.result(f"{len(jobs)} pair{'s' if len(jobs) != 1 else ''} -> {output}")


@dataclass(frozen=True)
class _Job:
    """A pair, and the roles that name its folders and key its noise."""

    pair: Pair
    roles: tuple[str, str]

    def files(self, *folders: Path | None) -> list[Path]:
        return [
            folder / role / f"{self.pair.name}.png"
            for folder in folders
            if folder is not None
            for role in self.roles
        ]


def _pairs(clean: list[Path], task: Task, allow_unpaired: bool) -> list[Pair]:
    if len(clean) == 1:
        return find_pairs(clean[0], task, allow_unpaired)
    if len(clean) > 2:
        raise DrfuseError(
            f"{len(clean)} paths given", hint="Give one folder of clean pairs, or two images."
        )
    first, second = clean
    names = [_without_role(path.stem, task) for path in (first, second)]
    return [Pair(names[0] if names[0] == names[1] else "_".join(names), first, second)]


def _job(pair: Pair, task: Task) -> _Job:
    first, second = ROLES[task]
    one, two = _role(pair.source1, first), _role(pair.source2, second)
    return _Job(pair, (one, two) if one != two else (first[0], second[0]))


def _role(path: Path, known: tuple[str, ...]) -> str:
    """The role that a file's folders or its name speak of; the first known where they do not.

    Medical roles are what the images are; elsewhere the names are aliases of one role.
    """
    words = [path.stem.rpartition("_")[2], path.stem.rpartition("-")[2]]
    words += [parent.name for parent in path.parents]
    said = next((word.lower() for word in words if word.lower() in known), known[0])
    return said if said in _MODALITIES else known[0]


_MODALITIES = {"mri", "ct", "pet", "spect"}


def _without_role(stem: str, task: Task) -> str:
    """``x`` of ``x_ir``."""
    roles = {role for side in ROLES[task] for role in side}
    for mark in "_-":
        scene, _, role = stem.rpartition(mark)
        if scene and role.lower() in roles:
            return scene
    return stem


def _degrade(
    job: _Job,
    degradations: tuple[Degradation, Degradation],
    seed: int,
    output: Path,
    clean_out: Path | None,
) -> None:
    from drfuse_cli.imageio import write_image
    from drfuse_cli.operators.simulate import degrade_image, generator

    images = _read_cropped(job.pair, math.lcm(*(d.sr_scale for d in degradations)))
    for image, degradation, role in zip(images, degradations, job.roles, strict=True):
        name = f"{job.pair.name}.png"
        rng = generator(seed, job.pair.name, role)
        write_image(output / role / name, degrade_image(image, degradation, rng))
        if clean_out is not None:
            write_image(clean_out / role / name, image)


def _read_cropped(pair: Pair, multiple: int) -> list[Image]:
    """Both sources, cut at the bottom and right to sizes that every pooling factor divides."""
    from drfuse_cli.imageio import Image, read_image

    first, second = read_image(pair.source1), read_image(pair.source2)
    if (first.height, first.width) != (second.height, second.width):
        raise DrfuseError(
            f"this pair differs in size: {first.width}x{first.height} and "
            f"{second.width}x{second.height}",
            hint="Clean pairs must be registered and of one size.",
            path=pair.source1,
        )
    height, width = (n // multiple * multiple for n in (first.height, first.width))
    if not (height and width):
        raise DrfuseError(
            f"{first.width}x{first.height} pixels are too few to pool {multiple}x{multiple}",
            hint="Leave this pair out, or give a smaller --sr-scale.",
            path=pair.source1,
        )
    return [Image(image.pixels[:height, :width], image.path) for image in (first, second)]


def _document(
    task: Task,
    degradations: tuple[Degradation, Degradation],
    seed: int,
    jobs: list[_Job],
    output: Path,
) -> dict[str, Any]:
    from drfuse_cli.report.sidecar import operator_document

    return {
        "schema": SCHEMA,
        "task": task,
        "operators": [operator_document(degradation) for degradation in degradations],
        "seed": seed,
        "pairs": [
            {"name": job.pair.name, "files": [str(path) for path in job.files(output)]}
            for job in jobs
        ],
    }
