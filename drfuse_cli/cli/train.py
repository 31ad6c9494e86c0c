"""``drfuse train``: from folders of clean pairs to a ``.safetensors`` file."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from drfuse_cli.cli import console, options
from drfuse_cli.cli.outputs import check_outputs
from drfuse_cli.config import Correction, Method
from drfuse_cli.errors import DrfuseError

if TYPE_CHECKING:
    from rich.progress import Progress

    from drfuse_cli.training import TrainOptions, TrainProgress

Data = Annotated[list[Path], typer.Argument(metavar="DATA", help="Folders of clean pairs.")]
Output = Annotated[
    Path, typer.Option("--output", "-o", metavar="OUT.safetensors", help="The trained weights.")
]
Steps = Annotated[int, typer.Option("--steps", min=1, help="Optimiser steps.")]
Balance = Annotated[
    bool,
    typer.Option(
        "--balance",
        help="Show pairs of small families more often; a family is what stands before the first "
        "underscore or hyphen of a name.",
    ),
]
Photographs = Annotated[
    Path | None,
    typer.Option(
        "--photographs",
        metavar="DIR",
        help="With --denoiser-only: pictures to learn from besides; best shrunk, so that they "
        "hold no noise of their own.",
    ),
]
SelfDistil = Annotated[
    float,
    typer.Option(
        "--self-distil",
        min=0,
        max=1,
        help="With --denoiser-only: the share of what it is to find that the denoiser of --init "
        "says, such as 0.75; the rest is the clean source.",
    ),
]
DenoiserBlocks = Annotated[
    str | None,
    typer.Option(
        "--denoiser-blocks",
        metavar="A,B,C",
        help="With --denoiser-only: a denoiser deeper than that of --init (2,2,4), by its blocks "
        "at a half, a quarter and an eighth of the resolution; what is new adds nothing at first.",
    ),
]
Aim = Annotated[
    str | None,
    typer.Option(
        "--aim",
        metavar="SCORE=COUNT,...",
        help="With --fusion-only, or for the refiner of recofuse: what scores count in the loss, "
        "such as Q_P=4.5,Q_CB=1.3; others as usual.",
    ),
]
Minutes = Annotated[
    float | None, typer.Option("--minutes", min=0.01, help="Stop after so many minutes, if sooner.")
]
BatchSize = Annotated[
    int | None, typer.Option("--batch-size", min=1, help="Crops per step (12; recofuse: 4).")
]
Draws = Annotated[
    int,
    typer.Option(
        "--draws", min=1, help="Batches a step, each of other degradations: a steadier gradient."
    ),
]
Crop = Annotated[
    int | None, typer.Option("--crop", min=32, help="Edge of a crop in pixels (64; recofuse: 128).")
]
LearningRate = Annotated[float, typer.Option("--lr", min=0, help="Peak learning rate.")]
Width = Annotated[int, typer.Option("--width", min=8, help="Channels of the network.")]
Middle = Annotated[
    int, typer.Option("--middle", min=1, help="Blocks of the network at its lowest resolution.")
]
Init = Annotated[
    str | None, typer.Option("--init", metavar="WEIGHTS", help="Weights to start from.")
]
FreezeEncoder = Annotated[
    bool,
    typer.Option(
        "--freeze-encoder",
        help="Keep what --init learned to see in the sources; train what the steps make of it.",
    ),
]
FusionOnly = Annotated[
    bool,
    typer.Option(
        "--fusion-only",
        help="Train the fusion decoder alone; restored sources stay exactly as --init has them.",
    ),
]
StepsOnly = Annotated[
    bool,
    typer.Option(
        "--steps-only",
        help="Train what restores after the denoiser; denoiser, correction and fusion decoder "
        "stay as --init has them.",
    ),
]
DenoiserOnly = Annotated[
    bool,
    typer.Option(
        "--denoiser-only",
        help="Train the denoiser that the sources go through first; all else stays as it is.",
    ),
]
Resume = Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint.")]
Val = Annotated[
    Path | None, typer.Option("--val", metavar="DIR", help="Clean pairs to measure on.")
]
ValEvery = Annotated[int, typer.Option("--val-every", min=1, help="Steps between measurements.")]
CheckpointEvery = Annotated[
    int, typer.Option("--checkpoint-every", min=1, help="Steps between checkpoints.")
]
RunDir = Annotated[
    Path | None,
    typer.Option("--run-dir", metavar="DIR", help="Checkpoints and logs; beside OUT by default."),
]
TrainCorrection = Annotated[
    Correction, typer.Option("--correction", help="Parts of the correction to train with.")
]

_RECOFUSE = "ReCoFuse"
Stage = Annotated[
    Literal["all", "autoencoder", "branches", "coupled", "refiner"],
    typer.Option(
        "--stage",
        help="One stage alone, going on from --init: the shared auto-encoder, each branch by "
        "itself, branches and fusion together, or what refines the decoded images.",
        rich_help_panel=_RECOFUSE,
    ),
]
Size = Annotated[
    Literal["small", "published"],
    typer.Option("--size", help="Sizes of the networks.", rich_help_panel=_RECOFUSE),
]
Regularisation = Annotated[
    Literal["alternating", "joint", "separate"],
    typer.Option(
        "--regularisation",
        help="How the last stage takes turns: restoration moves all and fusion its module alone "
        "(alternating); both move all at once (joint); each its own part (separate).",
        rich_help_panel=_RECOFUSE,
    ),
]
ImageLoss = Annotated[
    float,
    typer.Option(
        "--image-loss",
        min=0,
        help="Weight of restored images beside their latents; 0 as published.",
        rich_help_panel=_RECOFUSE,
    ),
]

RestoreFirst = Annotated[
    bool,
    typer.Option(
        "--restore-first",
        help="Learn from pairs that cameras blurred and pooled as well, restored by DRFusion as "
        "`drfuse fuse --restore-first` does.",
        rich_help_panel=_RECOFUSE,
    ),
]

_CROPS: dict[Method, tuple[int, int]] = {"drfusion": (12, 64), "recofuse": (4, 128)}


def train(
    data: Data,
    output: Output,
    task: options.TaskOption = "ivif",
    method: options.MethodOption = "drfusion",
    balance: Balance = False,
    photographs: Photographs = None,
    self_distil: SelfDistil = 0.0,
    denoiser_blocks: DenoiserBlocks = None,
    aim: Aim = None,
    steps: Steps = 20000,
    minutes: Minutes = None,
    batch_size: BatchSize = None,
    draws: Draws = 1,
    crop: Crop = None,
    lr: LearningRate = 1e-3,
    seed: options.SeedOption = 0,
    device: options.DeviceOption = "auto",
    precision: options.PrecisionOption = "auto",
    width: Width = 64,
    middle: Middle = 3,
    init: Init = None,
    freeze_encoder: FreezeEncoder = False,
    steps_only: StepsOnly = False,
    fusion_only: FusionOnly = False,
    denoiser_only: DenoiserOnly = False,
    resume: Resume = False,
    val: Val = None,
    val_every: ValEvery = 1000,
    checkpoint_every: CheckpointEvery = 500,
    run_dir: RunDir = None,
    correction: TrainCorrection = "joint",
    stage: Stage = "all",
    size: Size = "small",
    regularisation: Regularisation = "alternating",
    restore_first: RestoreFirst = False,
    image_loss: ImageLoss = 8.0,
    threads: options.ThreadsOption = None,
    overwrite: options.OverwriteOption = False,
) -> None:
    """Train one set of weights for every degradation of a task.

    Example: drfuse train pairs/ -o mine.safetensors --val pairs-val/ --minutes 60
    """
    if output.suffix.lower() != ".safetensors":
        raise DrfuseError("does not end in .safetensors", hint="Rename it.", path=output)
    check_outputs([output], [], overwrite=overwrite or resume)
    from drfuse_cli.training import TrainOptions
    from drfuse_cli.training import train as run

    usual_batch, usual_crop = _CROPS[method]
    chosen = TrainOptions(
        data=tuple(data), task=task, method=method, output=output, balance=balance,
        photographs=photographs, self_distil=self_distil,
        denoiser_blocks=options.parse_blocks(denoiser_blocks), aim=options.parse_aim(aim),
        steps=steps, minutes=minutes,
        batch_size=batch_size or usual_batch, draws=draws, crop=crop or usual_crop, lr=lr,
        seed=seed, device=options.parse_device(device), precision=precision, width=width,
        middle=middle, init=init, freeze_encoder=freeze_encoder, steps_only=steps_only,
        fusion_only=fusion_only, denoiser_only=denoiser_only, resume=resume, val=val,
        val_every=val_every, checkpoint_every=checkpoint_every, run_dir=run_dir,
        correction=correction, stage=stage, size=size, regularisation=regularisation,
        restore_first=restore_first, image_loss=image_loss,
    )  # fmt: skip
    for flag in _unheard(chosen):
        console.warn(f"training {method} does not use {flag}")
    _use_threads(threads)
    with console.progress(counted=False) as bar:
        run(chosen, _reporter(bar))
    console.result(str(output))


_OF: dict[Method, tuple[str, ...]] = {
    "drfusion": (
        *("draws", "width", "middle", "freeze_encoder"),
        *("steps_only", "fusion_only", "denoiser_only", "photographs", "self_distil"),
        *("denoiser_blocks", "correction"),
    ),
    "recofuse": ("stage", "size", "regularisation", "restore_first", "image_loss"),
}
"""What one method listens to alone."""


def _unheard(chosen: TrainOptions) -> Iterator[str]:
    """The flags given that only the other method uses."""
    usual = {field.name: field.default for field in fields(chosen)}
    for method, names in _OF.items():
        for name in names if method != chosen.method else ():
            if getattr(chosen, name) != usual[name]:
                yield f"--{name.replace('_', '-')}"


def _use_threads(threads: int | None) -> None:
    if threads is not None:
        import torch

        torch.set_num_threads(threads)


def _reporter(bar: Progress) -> Callable[[TrainProgress], None]:
    """A bar on a terminal, a line for every message anywhere."""
    task = bar.add_task("starting", total=1.0)

    def report(progress: TrainProgress) -> None:
        spent, left = progress.seconds, progress.eta_seconds
        if not math.isnan(left):  # not a number until the first step is done
            done = spent / max(spent + left, 1e-9)
            text = f"step {progress.step}, loss {progress.loss:.4f}, {console.duration(left)} left"
            bar.update(task, completed=done, description=text)
        if progress.message:
            times = f"{console.duration(spent)}, {console.duration(left)} left"
            console.note(f"{progress.message} ({times})", bar)

    return report
