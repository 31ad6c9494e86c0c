"""What a training run is asked for, and what it says of itself on the way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from drfuse_cli.config import Correction, Method, Task

Stage = Literal["all", "autoencoder", "branches", "coupled", "refiner"]
"""Of ReCoFuse: the shared auto-encoder, each branch by itself, branches and fusion together, and
what refines the decoded images."""

Regularisation = Literal["alternating", "joint", "separate"]
"""Of ReCoFuse's last stage: the published one, and the two it is compared with."""

Size = Literal["small", "published"]
"""Of ReCoFuse: the one that is bundled, and that of the paper."""


@dataclass(frozen=True)
class TrainOptions:
    """One training run: these fields, the data and the machine decide the weights."""

    data: tuple[Path, ...]
    task: Task
    output: Path
    balance: bool = False
    """Pairs of small families come more often, see ``data.balanced``."""
    photographs: Path | None = None
    """Of the denoiser: pictures to learn from beside the pairs, see ``data.with_photographs``."""
    self_distil: float = 0.0
    """Of the denoiser: the share of what it is to find that the one in ``init`` says, 0..1."""
    denoiser_blocks: tuple[int, int, int] | None = None
    """Of the denoiser: blocks at a half, a quarter and an eighth of the resolution, where it is
    to be deeper than in ``init``."""
    steps: int = 20000
    minutes: float | None = None
    """Wall-clock budget: the schedule ends when it or ``steps`` is used up."""
    batch_size: int = 12
    draws: int = 1
    """Of DRFusion: batches of other degradations whose gradients make one step."""
    crop: int = 64
    lr: float = 1e-3
    seed: int = 0
    device: str = "auto"
    precision: str = "auto"
    width: int = 64
    middle: int = 3
    """Blocks at an eighth of the resolution."""
    init: str | None = None
    """Weights to start from, as ``load_weights`` takes them; their sizes replace those here."""
    freeze_encoder: bool = False
    """Of DRFusion: what reads the sources stays as ``init`` has it, the steps alone learn."""
    steps_only: bool = False
    """Of DRFusion: encoder and steps learn; denoiser, correction and decoder stay likewise."""
    fusion_only: bool = False
    """Of DRFusion: the fusion decoder alone learns, added to ``init`` where it has none."""
    aim: Mapping[str, float] = field(default_factory=dict)
    """Of the fusion decoder and of ReCoFuse's refiner: what scores count, where not as usual."""
    denoiser_only: bool = False
    """Of DRFusion: the denoiser of the sources alone learns, added to ``init`` likewise."""
    resume: bool = False
    val: Path | None = None
    val_every: int = 1000
    checkpoint_every: int = 500
    run_dir: Path | None = None
    correction: Correction = "joint"
    method: Method = "drfusion"
    stage: Stage = "all"
    size: Size = "small"
    regularisation: Regularisation = "alternating"
    restore_first: bool = False
    """Of ReCoFuse: poor cameras after the scene, and DRFusion before the networks."""
    image_loss: float = 8.0
    """Of ReCoFuse: what an error of a decoded prediction counts beside one of its latent."""


@dataclass(frozen=True)
class TrainProgress:
    """Where a run stands; ``message`` is set when there is something to say."""

    step: int
    steps: int
    loss: float
    seconds: float
    eta_seconds: float
    message: str | None = None


OnProgress = Callable[[TrainProgress], None]
