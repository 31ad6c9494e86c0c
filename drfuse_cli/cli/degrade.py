"""``drfuse degrade``: clean pairs in, degraded pairs out, the same pixels for the same seed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from drfuse_cli import __version__
from drfuse_cli.cli import console, options
from drfuse_cli.cli import profile as rigs
from drfuse_cli.cli.outputs import check_outputs, write_json
from drfuse_cli.config import Degradation, Pair, Task
from drfuse_cli.degradations import Mode, Overrides, applied, describe, parse_overrides
from drfuse_cli.errors import DrfuseError
from drfuse_cli.pairs import ROLES, find_pairs, roles_of

if TYPE_CHECKING:
    from drfuse_cli.imageio import Image
    from drfuse_cli.impairments import Impairment
    from drfuse_cli.kinds import Kinds

SCHEMA = "drfuse.degrade/1"
RECORD = "degrade.json"

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
KindOption = Annotated[
    str | None,
    typer.Option(
        "--kind",
        metavar="[SOURCE:]KIND,...",
        help="In place of the operators: lowlight, haze, contrast, stripes, noise with parameters "
        "drawn for every pair, or random. A kind meets the sources that know it; ir: or vis: "
        "before it names one.",
        rich_help_panel="Degradation",
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
    kind: KindOption = None,
    seed: options.SeedOption = 2026,
    clean_out: CleanOut = None,
    allow_unpaired: Unpaired = False,
    overwrite: options.OverwriteOption = False,
    as_json: options.JsonOption = False,
) -> None:
    """Make degraded inputs from clean pairs: blur, then noise, then pooling.

    With --kind, what no operator describes: low light, haze, stripes, low contrast, noise; the
    parameters drawn are written to DIR/degrade.json.

    Example: drfuse degrade clean/ -o degraded/ --degrade composite
    """
    said = rigs.choose(ctx, parse_overrides(noise_std, blur_sigma, sr_scale, psf))
    if kind is None:
        plan = _Plan(task, seed, applied(task, degrade, said.overrides))
    else:
        _refuse_beside_kinds(task, degrade, said.overrides)
        plan = _with_kinds(task, seed, kind)
    jobs = [_Job(pair, roles_of(pair, task)) for pair in _pairs(clean, task, allow_unpaired)]
    record = None if plan.kinds is None else output / RECORD
    files = [path for job in jobs for path in job.files(output, clean_out)]
    inputs = [path for job in jobs for path in job.inputs]
    check_outputs([*files, *([record] if record else [])], inputs, overwrite=overwrite)
    said.tell()
    for number, told in enumerate(plan.tell(), 1):
        console.note(f"source {number}: {told}")
    with console.progress() as bar:
        for job in bar.track(jobs, description="degrading"):
            _degrade(job, plan, output, clean_out)
    document = _document(plan, jobs, output)
    if record is not None:
        write_json(record, document)
    if as_json:
        console.document(document)
    else:
        console.result(f"{len(jobs)} pair{'s' if len(jobs) != 1 else ''} -> {output}")


@dataclass(frozen=True)
class _Plan:
    """What is done to every pair; ``kinds``: without operators, what meets each source."""

    task: Task
    seed: int
    degradations: tuple[Degradation, Degradation]
    kinds: tuple[Kinds, Kinds] | None = None

    def tell(self) -> list[str]:
        if self.kinds is None:
            return [describe(degradation) for degradation in self.degradations]
        from drfuse_cli.kinds import in_words

        return [in_words(kinds) for kinds in self.kinds]

    def drawn(self, job: _Job) -> list[tuple[Impairment, ...]]:
        """The impairments of both sources, the same whenever it is asked."""
        if self.kinds is None:
            return [(), ()]
        from drfuse_cli.kinds import draw_kinds

        return [
            draw_kinds(source, kinds, self.seed, job.pair.name, role)
            for source, (kinds, role) in enumerate(zip(self.kinds, job.roles, strict=True))
        ]


def _refuse_beside_kinds(task: Task, degrade: Mode, overrides: Overrides) -> None:
    if task != "ivif":
        raise DrfuseError(
            f"--kind is for infrared and visible sources, not for --task {task}",
            hint="Use --degrade or flags such as --noise-std.",
        )
    given = f"--degrade {degrade}" if degrade not in ("auto", "none") else ""
    if not overrides.is_empty:
        profiled = overrides.profiled and "what the profile says of noise, blur or scale"
        given = given or profiled or "flags such as --noise-std"
    if given:
        raise DrfuseError(
            f"--kind and {given} do not go together",
            hint="Degrade twice: first with --kind, then what came of it with the operators.",
        )


def _with_kinds(task: Task, seed: int, text: str) -> _Plan:
    from drfuse_cli.kinds import parse_kinds

    return _Plan(task, seed, (Degradation(), Degradation()), parse_kinds(text))


@dataclass(frozen=True)
class _Job:
    """A pair, and the roles that name its folders and key its noise."""

    pair: Pair
    roles: tuple[str, str]

    @property
    def inputs(self) -> tuple[Path, Path]:
        return self.pair.source1, self.pair.source2

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


def _degrade(job: _Job, plan: _Plan, output: Path, clean_out: Path | None) -> None:
    from drfuse_cli.evaluation.cases import CleanPair, make_case
    from drfuse_cli.imageio import write_image

    case = make_case(CleanPair(job.pair.name, job.roles, job.inputs), plan.degradations, plan.seed)
    degraded = _impaired(case.degraded, job, plan)
    for folder, images in ((output, degraded), (clean_out, case.clean)):
        if folder is not None:
            for path, image in zip(job.files(folder), images, strict=True):
                write_image(path, image)


def _impaired(images: tuple[Image, Image], job: _Job, plan: _Plan) -> list[Image]:
    if plan.kinds is None:
        return list(images)
    from drfuse_cli.impairments import impair_image
    from drfuse_cli.operators.simulate import generator

    return [
        impair_image(image, drawn, generator(plan.seed, job.pair.name, role))
        for image, drawn, role in zip(images, plan.drawn(job), job.roles, strict=True)
    ]


def _document(plan: _Plan, jobs: list[_Job], output: Path) -> dict[str, Any]:
    from drfuse_cli.report.sidecar import operator_document

    return {
        "schema": SCHEMA,
        "version": __version__,
        "task": plan.task,
        "operators": [operator_document(degradation) for degradation in plan.degradations],
        **({} if plan.kinds is None else {"kinds": plan.kinds}),
        "seed": plan.seed,
        "pairs": [_pair_document(plan, job, output) for job in jobs],
    }


def _pair_document(plan: _Plan, job: _Job, output: Path) -> dict[str, Any]:
    document: dict[str, Any] = {
        "name": job.pair.name,
        "files": [str(path) for path in job.files(output)],
    }
    if plan.kinds is None:
        return document
    from drfuse_cli import impairments

    return {
        **document,
        "inputs": [str(path) for path in job.inputs],
        "impairments": [[impairments.describe(one) for one in drawn] for drawn in plan.drawn(job)],
    }
