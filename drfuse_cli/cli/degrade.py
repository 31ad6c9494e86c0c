"""``drfuse degrade``: clean pairs in, degraded pairs out, the same pixels for the same seed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from drfuse_cli.cli import console, options
from drfuse_cli.cli import profile as rigs
from drfuse_cli.cli.outputs import check_outputs
from drfuse_cli.config import Degradation, Pair, Task
from drfuse_cli.degradations import applied, describe, parse_overrides
from drfuse_cli.errors import DrfuseError
from drfuse_cli.pairs import ROLES, find_pairs, roles_of

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
    ctx: typer.Context,
    clean: Clean,
    output: Output,
    task: options.TaskOption = "ivif",
    profile: rigs.AskedProfileOption = None,
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
    said = rigs.choose(ctx, parse_overrides(noise_std, blur_sigma, sr_scale, psf))
    degradations = applied(task, degrade, said.overrides)
    jobs = [_Job(pair, roles_of(pair, task)) for pair in _pairs(clean, task, allow_unpaired)]
    files = [path for job in jobs for path in job.files(output, clean_out)]
    inputs = [path for job in jobs for path in (job.pair.source1, job.pair.source2)]
    check_outputs(files, inputs, overwrite=overwrite)
    said.tell()
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
    from drfuse_cli.evaluation.cases import CleanPair, make_case
    from drfuse_cli.imageio import write_image

    files = job.pair.source1, job.pair.source2
    case = make_case(CleanPair(job.pair.name, job.roles, files), degradations, seed)
    for folder, images in ((output, case.degraded), (clean_out, case.clean)):
        if folder is not None:
            for path, image in zip(job.files(folder), images, strict=True):
                write_image(path, image)


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
