"""``drfuse batch``: a folder of pairs in, a folder of images and a manifest out."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from drfuse_cli.cli import console, options
from drfuse_cli.cli import profile as rigs
from drfuse_cli.cli.batch_folder import FolderRequest, fuse_folder
from drfuse_cli.cli.method import decide, heard
from drfuse_cli.cli.video import VideoRequest, fuse_video, refuse_flags
from drfuse_cli.config import Method, Pair, Register
from drfuse_cli.degradations import parse_overrides
from drfuse_cli.errors import DrfuseError
from drfuse_cli.pairs import is_video

if TYPE_CHECKING:
    from drfuse_cli.batch.plan import Outputs
    from drfuse_cli.batch.run import Existing
    from drfuse_cli.sources import Assumptions

_RUN = "Running"
_EXISTING = "What an earlier run left"
_VIDEO = "Video and sequences"
Root = Annotated[
    Path | None,
    typer.Argument(
        metavar="DIR|VIDEO1",
        help="A folder with one folder a source, such as ir and vis, or with files such as "
        "x_ir.png and x_vis.png; or the video of source 1.",
    ),
]
Second = Annotated[
    Path | None,
    typer.Argument(metavar="[VIDEO2]", help="The video of source 2, frame by frame."),
]
Output = Annotated[
    Path,
    typer.Option(
        "--output",
        "-o",
        metavar="OUTDIR|VIDEO",
        help="Gets an image for every pair, manifest.jsonl and summary.json; of two videos, "
        "the fused one: .mp4, .mov or .mkv.",
    ),
]
PairsFile = Annotated[
    Path | None,
    typer.Option(
        "--pairs",
        metavar="FILE.csv",
        help="Columns source1, source2 and perhaps name, paths relative to this file; then DIR "
        "is not looked into.",
    ),
]
BatchSize = Annotated[
    str,
    typer.Option(
        "--batch-size",
        metavar="auto|N",
        help="Pairs of one size that a GPU takes at once.",
        rich_help_panel=_RUN,
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(
        "--workers",
        min=1,
        help="Threads that read, and as many that write; one a core by default. With --engine "
        "ray: workers, one a GPU or else one a core.",
        rich_help_panel=_RUN,
    ),
]
ShardOption = Annotated[
    str | None,
    typer.Option(
        "--shard",
        metavar="I/N",
        help="Only part I of N; all parts together leave what a single run leaves.",
        rich_help_panel=_RUN,
    ),
]
EngineOption = Annotated[
    Literal["local", "ray"],
    typer.Option(
        "--engine",
        help="What spreads the work: this process, or Ray on this machine or a cluster.",
        rich_help_panel=_RUN,
    ),
]
RayAddress = Annotated[
    str | None,
    typer.Option(
        "--ray-address",
        metavar="HOST:PORT|auto",
        envvar="RAY_ADDRESS",
        show_envvar=True,
        help="The Ray cluster to use; without one, --engine ray starts Ray on this machine.",
        rich_help_panel=_RUN,
    ),
]
FailFast = Annotated[
    bool,
    typer.Option("--fail-fast", help="Stop at the first pair that fails.", rich_help_panel=_RUN),
]
DryRun = Annotated[
    bool,
    typer.Option("--dry-run", help="Show what would be done; write nothing.", rich_help_panel=_RUN),
]
Resume = Annotated[
    bool,
    typer.Option(
        "--resume",
        help="Go on with a run of the same settings; pairs that failed are tried again.",
        rich_help_panel=_EXISTING,
    ),
]
SkipExisting = Annotated[
    bool,
    typer.Option(
        "--skip-existing",
        help="Leave out pairs whose fused image exists, whatever made it.",
        rich_help_panel=_EXISTING,
    ),
]
Overwrite = Annotated[
    bool,
    typer.Option(
        "--overwrite", help="Replace files that exist already.", rich_help_panel=_EXISTING
    ),
]
NoSidecar = Annotated[
    bool,
    typer.Option(
        "--no-sidecar", help="As for fuse; of a folder, the manifest holds the sidecars anyway."
    ),
]
Sequence = Annotated[
    bool,
    typer.Option(
        "--sequence",
        help="The pairs are frames of one sequence, in natural order: estimates are made once, "
        "from all of it, so that nothing flickers. Always so for videos.",
        rich_help_panel=_VIDEO,
    ),
]
CodecOption = Annotated[
    Literal["auto", "h264", "ffv1"],
    typer.Option(
        "--codec",
        help="Of a fused video: H.264, or lossless FFV1 (.mkv), which auto takes for 16 bits.",
        rich_help_panel=_VIDEO,
    ),
]


def batch(
    ctx: typer.Context,
    root: Root = None,
    second: Second = None,
    *,
    output: Output,
    task: options.TaskOption = "ivif",
    profile: rigs.ProfileOption = None,
    pairs: PairsFile = None,
    allow_unpaired: options.UnpairedOption = False,
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
    batch_size: BatchSize = "auto",
    workers: Workers = None,
    shard: ShardOption = None,
    engine: EngineOption = "local",
    ray_address: RayAddress = None,
    fail_fast: FailFast = False,
    dry_run: DryRun = False,
    resume: Resume = False,
    skip_existing: SkipExisting = False,
    overwrite: Overwrite = False,
    as_json: options.JsonOption = False,
    save_sources: options.SaveFoldersOption = None,
    explain: options.ExplainOption = None,
    no_sidecar: NoSidecar = False,
    sequence: Sequence = False,
    codec: CodecOption = "auto",
) -> None:
    """Restore and fuse a folder of pairs, or two videos.

    Examples: drfuse batch pairs/ -o fused/ --degrade composite
    and: drfuse batch ir.mp4 vis.mp4 -o fused.mp4
    """
    from drfuse_cli.batch.plan import Shard, gather_pairs, make_plan
    from drfuse_cli.sources import Assumptions

    started = time.perf_counter()
    options.check_infrared(task, agc, destripe)
    flags = parse_overrides(noise_std, blur_sigma, sr_scale, psf, cap_blur)
    said = rigs.choose(ctx, flags, register, crop, motion)
    sources = _videos(root, second)
    if method == "auto":
        refuse_flags({"--method auto": sources is not None})
        folders = _outputs(output, save_sources, explain, steps=1)
        all_pairs = gather_pairs(root, pairs, task, allow_unpaired, folders, said.roles)
        told = Assumptions(
            task, degrade, said.overrides, agc=agc, destripe=destripe, fit=fit, rig=said.rig
        )
        method = _look(told, all_pairs)
        restore_first = method == "recofuse"
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
        keep_states=explain is not None,
    )
    listened = heard(degrade, said.overrides, destripe, chosen)
    said = replace(said, overrides=listened.overrides)
    for warning in listened.warnings:
        console.warn(warning)
    if sources is not None or sequence:
        said = replace(said, register=_of_frames(said.register))
    said.tell()
    if sources is not None:
        refuse_flags(
            {
                "--pairs": pairs is not None,
                "--explain": explain is not None,
                "--shard": shard is not None,
                "--resume": resume,
                "--skip-existing": skip_existing,
                "--engine ray": engine == "ray",
                f"--agc {agc}": agc in ("percentile", "clahe"),
                f"--fit {fit}": fit != "none",
            }
        )
        from drfuse_cli.evaluation.pool import processors

        fuse_video(
            VideoRequest(
                sources,
                output,
                None if save_sources is None else Path(save_sources),
                chosen,
                Assumptions(
                    task,
                    listened.mode,
                    said.overrides,
                    destripe=listened.destripe,
                    rig=said.rig,
                ),
                codec,
                allow_unpaired,
                _batch_size(batch_size),
                workers or processors(),
                overwrite,
                not no_sidecar,
                dry_run,
                as_json,
            )
        )
        return
    if codec != "auto":
        raise DrfuseError(f"--codec {codec} is for videos", hint="Folders hold PNG.")
    part = Shard.of(shard) if shard is not None else None
    outputs = _outputs(output, save_sources, explain, chosen.steps)
    found = gather_pairs(root, pairs, task, allow_unpaired, outputs, said.roles)
    request = FolderRequest(
        chosen,
        listened.mode,
        said,
        agc,
        listened.destripe,
        fit,
        make_plan(found, outputs, part),
        tuple(found) if sequence else (),
        _existing(resume, skip_existing, overwrite),
        _batch_size(batch_size),
        workers,
        fail_fast,
        started,
    )
    fuse_folder(request, (ray_address or "") if engine == "ray" else None, dry_run, as_json)


def _videos(first: Path | None, second: Path | None) -> tuple[Path, Path] | None:
    """The two videos, where that is what was given."""
    if first is not None and second is not None:
        return first, second
    if first is not None and is_video(first) and not first.is_dir():
        raise DrfuseError(
            "this is one video",
            hint="Give that of source 2 as well: drfuse batch ir.mp4 vis.mp4 -o fused.mp4",
            path=first,
        )
    return None


def _look(told: Assumptions, pairs: list[Pair]) -> Method:
    """The method that some of all pairs call for, those of other shards included."""
    with console.working("looking at the pairs"):
        choice = decide(told, [(pair.source1, pair.source2) for pair in pairs])
    console.note(choice.describe())
    return choice.method


# ---- flags and checks -------------------------------------------------------------------------


def _existing(resume: bool, skip_existing: bool, overwrite: bool) -> Existing:
    asked: dict[str, Existing] = {}
    if resume:
        asked["--resume"] = "resume"
    if skip_existing:
        asked["--skip-existing"] = "skip"
    if overwrite:
        asked["--overwrite"] = "overwrite"
    if len(asked) > 1:
        raise DrfuseError(f"{' and '.join(asked)} contradict each other", hint="Give one.")
    return next(iter(asked.values()), "refuse")


def _of_frames(register: Register) -> Register:
    """Nothing is looked for in frames; raise ``DrfuseError`` where they were to be moved."""
    if register in ("translation", "homography"):
        raise DrfuseError(
            f"--register {register} would move every frame of a sequence by itself",
            hint="Leave it out, and align videos beforehand. drfuse fuse FRAME1 FRAME2 on one "
            "pair of frames says by how much they are off.",
        )
    return "none"


def _batch_size(text: str) -> int | None:
    """The number of pairs; ``None`` for ``auto``."""
    if text == "auto":
        return None
    if not (text.isascii() and text.isdecimal() and int(text)):
        raise DrfuseError(f"--batch-size is {text!r}", hint="Use auto, or a number of pairs.")
    return int(text)


def _outputs(output: Path, save_sources: str | None, explain: str | None, steps: int) -> Outputs:
    from drfuse_cli.batch.plan import Outputs
    from drfuse_cli.report.explain import names

    return Outputs(
        output,
        None if save_sources is None else Path(save_sources),
        None if explain is None else Path(explain),
        tuple(names(steps)) if explain is not None else (),
    )
