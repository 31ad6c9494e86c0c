"""``drfuse eval``: degrade, fuse and score clean pairs, or score any method's fused images."""

from __future__ import annotations

import os
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from drfuse_cli.cli import console, options
from drfuse_cli.cli import profile as rigs
from drfuse_cli.cli.outputs import check_outputs
from drfuse_cli.config import FuseOptions
from drfuse_cli.degradations import describe, parse_overrides
from drfuse_cli.errors import DrfuseError, ExitCode

if TYPE_CHECKING:
    from drfuse_cli.evaluation.gates import Gate
    from drfuse_cli.evaluation.results import Evaluation
    from drfuse_cli.evaluation.run import Fuse, Plan
    from drfuse_cli.report.evaluation import Grid

_SCORED = "What is scored"

Dataset = Annotated[
    Path | None,
    typer.Argument(
        metavar="DATASET",
        help="A folder of clean pairs; without it the built-in rendered scenes of the task.",
    ),
]
Fused = Annotated[
    list[str] | None,
    typer.Option(
        "--fused",
        metavar="[NAME=]DIR",
        help="Score the fused images in this folder, of any method, instead of fusing; repeat "
        "it for more methods.",
        rich_help_panel=_SCORED,
    ),
]
Against = Annotated[
    str | None,
    typer.Option(
        "--against",
        metavar="ID[,ID]",
        help="Also average, maximum, laplacian, wavelet or guided on the degraded inputs; after "
        "classical restoration: restore+laplacian and so on. Beside --fused also drfusion.",
        rich_help_panel=_SCORED,
    ),
]
Metrics = Annotated[
    str,
    typer.Option(
        "--metrics",
        metavar="all|drfusion|recofuse|ID[,ID]",
        help="What is measured: everything, the columns of a paper, or these metrics.",
        rich_help_panel=_SCORED,
    ),
]
MetricsDevice = Annotated[
    str,
    typer.Option(
        "--metrics-device",
        metavar="cpu|cuda|auto",
        help="Where metrics are computed: in the --workers, or all on one GPU; auto: on a GPU "
        "where there is one.",
        rich_help_panel=_SCORED,
    ),
]
Gates = Annotated[
    list[str] | None,
    typer.Option(
        "--gate",
        metavar="[METHOD:]ID>=X",
        help="Exit with 1 where a mean misses this bound; also <=, > and <. Repeat it, or "
        "separate by commas.",
        rich_help_panel=_SCORED,
    ),
]
Output = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        metavar="DIR",
        help="Gets report.json, report.csv, report.tex, report.html and the images.",
    ),
]


def evaluate(
    ctx: typer.Context,
    dataset: Dataset = None,
    output: Output = None,
    task: options.TaskOption = "ivif",
    profile: rigs.AskedProfileOption = None,
    fused: Fused = None,
    against: Against = None,
    metrics: Metrics = "drfusion",
    metrics_device: MetricsDevice = "cpu",
    gate: Gates = None,
    degrade: options.ApplyOption = "auto",
    noise_std: options.NoiseOption = None,
    blur_sigma: options.BlurOption = None,
    psf: options.PsfOption = None,
    sr_scale: options.ScaleOption = None,
    method: options.MethodOption = "drfusion",
    weights: options.WeightsOption = None,
    steps: options.StepsOption = None,
    no_correction: options.NoCorrectionOption = False,
    correction: options.CorrectionOption = None,
    self_ensemble: options.SelfEnsembleOption = 1,
    restore_first: options.RestoreFirstOption = False,
    device: options.DeviceOption = "auto",
    precision: options.PrecisionOption = "auto",
    tile: options.TileOption = "auto",
    seed: options.SeedOption = 2026,
    workers: options.WorkersOption = None,
    limit: options.LimitOption = None,
    allow_unpaired: options.UnpairedOption = False,
    overwrite: options.OverwriteOption = False,
    resume: options.ResumeOption = False,
    as_json: options.JsonOption = False,
) -> None:
    """Degrade clean pairs, fuse them, and score the result against the clean sources.

    Example: drfuse eval clean/ --degrade composite --against restore+laplacian -o out/
    """
    _check_flags(output, overwrite, resume)
    chosen = options.fuse_options(
        task=task,
        method=method,
        weights=weights,
        steps=steps,
        no_correction=no_correction,
        correction=correction,
        self_ensemble=self_ensemble,
        restore_first=restore_first,
        device=device,
        precision=precision,
        tile=tile,
        seed=seed,
    )
    said = rigs.choose(ctx, parse_overrides(noise_std, blur_sigma, sr_scale, psf))
    said.tell()
    from drfuse_cli.evaluation.plan import Request, make_plan
    from drfuse_cli.report.evaluation import IMAGES

    plan = make_plan(
        Request(
            task=task,
            method=method,
            dataset=dataset,
            degrade=degrade,
            overrides=said.overrides,
            seed=seed,
            metrics=metrics,
            against=against,
            fused=fused or (),
            limit=limit,
            allow_unpaired=allow_unpaired,
            images=None if output is None else output / IMAGES,
            metrics_device=_metrics_device(metrics_device),
        )
    )
    gates = _gates(gate or [], plan)
    if output is not None:
        check_outputs(_files(output), [], overwrite=overwrite or resume)
    found = _run(plan, chosen, output, resume, workers)
    found = replace(found, gates=tuple(gate.judge(found) for gate in gates))
    _show(found, output, as_json)
    _judge(found)


def _check_flags(output: Path | None, overwrite: bool, resume: bool) -> None:
    if resume and output is None:
        raise DrfuseError(
            "--resume without a folder to resume in", hint="Name the earlier one with -o DIR."
        )
    if resume and overwrite:
        raise DrfuseError("--resume and --overwrite contradict each other", hint="Give one.")


def _metrics_device(asked: str) -> str | None:
    """The name of the GPU; None for the processor, for which torch is not loaded."""
    if options.parse_device(asked, "--metrics-device") == "cpu":
        return None
    if asked == "mps":
        raise DrfuseError(
            "--metrics-device mps: metrics need double precision, which MPS has not",
            hint="Leave it at cpu.",
        )
    from drfuse_cli.engine.device import choose_device

    device = choose_device(asked)
    return str(device) if device.type == "cuda" else None


def _gates(texts: list[str], plan: Plan) -> list[Gate]:
    from drfuse_cli.evaluation.gates import parse_gates

    judged = [plan.network] if plan.network else list(plan.fused)
    return parse_gates(texts, plan.setting.metrics, plan.methods, judged)


def _files(output: Path) -> list[Path]:
    from drfuse_cli.evaluation import journal
    from drfuse_cli.report.evaluation import FILES

    return [output / name for name in (*FILES, journal.NAME)]


# ---- running ----------------------------------------------------------------------------------


def _run(
    plan: Plan, chosen: FuseOptions, output: Path | None, resume: bool, workers: int | None
) -> Evaluation:
    from drfuse_cli.evaluation.journal import NAME, Journal
    from drfuse_cli.evaluation.pool import processors
    from drfuse_cli.evaluation.run import evaluate

    _tell(plan)
    fuse, settings = _load(plan, chosen)
    plan = replace(plan, settings={**settings, **plan.settings})
    with ExitStack() as stack:
        journal = None
        if output is not None:
            journal = stack.enter_context(Journal(output / NAME, _identity(plan, settings), resume))
        advance = stack.enter_context(console.counting("evaluating", len(plan.pairs)))
        return evaluate(
            plan,
            fuse,
            journal=journal,
            workers=workers or processors(),
            advance=advance,
        )


def _tell(plan: Plan) -> None:
    if plan.degrade is not None:
        for number, degradation in enumerate(plan.setting.degradations, 1):
            console.note(f"source {number}: {describe(degradation)}")
    pairs, methods = len(plan.pairs), ", ".join(plan.methods)
    console.note(f"{pairs} pair{'s' if pairs != 1 else ''}; methods: {methods}")
    if plan.setting.metrics_device is not None:
        console.note(f"metrics on {plan.setting.metrics_device}")


def _load(plan: Plan, chosen: FuseOptions) -> tuple[Fuse | None, dict[str, Any]]:
    """The network where the plan has one, and what the results depend on."""
    from drfuse_cli.report.evaluation import run_settings

    if plan.network is None:
        return None, run_settings(plan, None, chosen)
    from drfuse_cli.weights import load_weights

    with console.working("loading the network"):
        weights = load_weights(chosen.weights, chosen.task, chosen.method)
        from drfuse_cli.engine import Engine

        engine = Engine(weights, chosen)
    for warning in weights.warnings:
        console.warn(warning)
    return engine.fuse, run_settings(plan, weights, chosen)


def _identity(plan: Plan, settings: dict[str, Any]) -> dict[str, Any]:
    """What a run must share with the one that it resumes."""
    return {
        "task": plan.task,
        "dataset": os.path.realpath(plan.dataset),
        "degrade": plan.degrade,
        "metrics": plan.setting.metrics,
        **settings,
    }


# ---- telling ----------------------------------------------------------------------------------


def _show(found: Evaluation, output: Path | None, as_json: bool) -> None:
    from drfuse_cli.report.evaluation import (
        PAGE,
        evaluation_document,
        gaps,
        restoration_grid,
        score_grid,
        write_reports,
    )

    if output is not None:
        with console.working("writing the reports"):
            write_reports(found, output)
    for warning in found.warnings:
        console.warn(warning)
    for failure in found.failures:
        method = f", {failure.method}" if failure.method else ""
        console.warn(f"{failure.pair}{method}: {failure.message}")
    for gap in gaps(found):
        console.note(gap)
    if as_json:
        console.document(evaluation_document(found))
        return
    _print_grid(f"{found.task}, {found.degrade or 'fused images'}: means", score_grid(found))
    if found.restorations:
        _print_grid("Sources: luma PSNR, dB", restoration_grid(found))
    if output is not None:
        console.result(str(output / PAGE))


def _print_grid(title: str, grid: Grid) -> None:
    styles = {1: "bold", 2: "underline"}
    rows: list[list[console.Styled]] = [
        [label, *((cell.text, styles.get(cell.place or 0, "")) for cell in cells)]
        for label, cells in grid.rows
    ]
    console.table(title, grid.columns, rows)


def _judge(found: Evaluation) -> None:
    """Raise where a pair failed or a gate was missed."""
    parts, failed = [], {failure.pair for failure in found.failures}
    if failed:
        parts.append(f"{len(failed)} of {len(found.pairs)} pairs failed")
    for verdict in found.gates:
        if not verdict.passed:
            value = "is undefined" if verdict.value is None else f"is {verdict.value:.6g}"
            by = "" if verdict.missed_by is None else f", missed by {verdict.missed_by:.3g}"
            parts.append(f"gate {verdict.gate}: the mean of {verdict.method} {value}{by}")
    if parts:
        raise DrfuseError("; ".join(parts), code=ExitCode.FAILED)
