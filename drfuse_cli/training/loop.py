"""The training loop: repeatable from its seed, resumable from its last checkpoint."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from drfuse_cli.config import Correction, Task
from drfuse_cli.errors import DrfuseError, ExitCode
from drfuse_cli.imageio import write_bytes
from drfuse_cli.model import DRFusion
from drfuse_cli.networks.fusion_net import Architecture
from drfuse_cli.networks.precision import Precision, choose_precision
from drfuse_cli.samplers.observation import FUSED
from drfuse_cli.training.data import CleanPair, draw_crops, load_pairs
from drfuse_cli.training.degradations import MARGIN, degrade, draw
from drfuse_cli.training.losses import WEIGHTS, fusion_loss, restoration_loss
from drfuse_cli.training.muon import Muon
from drfuse_cli.training.validation import Validation
from drfuse_cli.weights import load_weights, save_weights


@dataclass(frozen=True)
class TrainOptions:
    """One training run: these fields, the data and the machine decide the weights."""

    data: tuple[Path, ...]
    task: Task
    output: Path
    steps: int = 20000
    minutes: float | None = None
    """Wall-clock budget: the schedule ends when it or ``steps`` is used up."""
    batch_size: int = 12
    crop: int = 64
    lr: float = 1e-3
    seed: int = 0
    device: str = "auto"
    precision: str = "auto"
    width: int = 64
    init: str | None = None
    """Weights to start from, as ``load_weights`` takes them; their sizes replace ``width``."""
    resume: bool = False
    val: Path | None = None
    val_every: int = 1000
    checkpoint_every: int = 500
    run_dir: Path | None = None
    correction: Correction = "joint"


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
_WARMUP = 0.02
_STEP_ODDS = {3: 0.5, 2: 0.25, 1: 0.25}


def learning_rate(peak: float, progress: float) -> float:
    """Linear warm-up, then half a cosine down to a hundredth of ``peak``; progress in 0..1."""
    if progress < _WARMUP:
        return peak * (progress / _WARMUP * 0.95 + 0.05)
    angle = math.pi * (progress - _WARMUP) / (1 - _WARMUP)
    return peak * (0.01 + 0.99 * 0.5 * (1 + math.cos(min(angle, math.pi))))


def _start(options: TrainOptions) -> DRFusion:
    if options.init is None:
        return DRFusion(Architecture.of_width(options.width))
    model = load_weights(options.init, options.task).network()
    assert isinstance(model, DRFusion)
    return model.train().requires_grad_(True)


class Trainer:
    """The model, its average and its optimiser."""

    def __init__(self, options: TrainOptions, device: torch.device, precision: Precision) -> None:
        torch.manual_seed(options.seed)
        self.options, self.device, self.precision = options, device, precision
        self.model = _start(options).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = copy.deepcopy(self.model).eval().requires_grad_(False)
        self.optimisers = self._optimisers()
        self.step = 0
        self.seconds = 0.0
        self.skipped = 0
        self.history: list[dict[str, float | int | str]] = []

    def _optimisers(self) -> tuple[torch.optim.Optimizer, ...]:
        """Muon for the kernels between input and heads, AdamW for all else.

        Trust and schedule are a few numbers in logarithms: they may move faster.
        """
        named = dict(self.model.network.named_parameters())
        kernels = [p for name, p in named.items() if p.ndim == 4 and "_head" not in name]
        chosen = set(map(id, kernels))
        others = [p for p in named.values() if id(p) not in chosen]
        few = [*self.model.correction.parameters(), *self.model.schedule.parameters()]
        groups = [{"params": others, "factor": 1.0}, {"params": few, "factor": 5.0}]
        return (
            torch.optim.AdamW(groups, lr=self.options.lr, betas=(0.9, 0.99), weight_decay=1e-4),
            Muon([{"params": kernels, "factor": 2.0}], lr=self.options.lr),
        )

    def loss(self, pairs: list[CleanPair], rng: np.random.Generator) -> Tensor:
        """The loss of one batch, eq. (20) with deep supervision of the restored sources."""
        o = self.options
        draws = draw(o.task, o.batch_size, rng)
        first, rgb = draw_crops(
            pairs, o.batch_size, o.crop + 2 * MARGIN, rng, colourise=o.task == "ivif"
        )
        tensors = torch.from_numpy(first), torch.from_numpy(rgb)
        inputs, clean = degrade(*tensors, draws, rng, self.device)
        steps = int(rng.choice(list(_STEP_ODDS), p=list(_STEP_ODDS.values())))
        estimates: list[Tensor] = []
        state = self.model(
            inputs, steps, o.correction, self.precision, lambda t, X, m: estimates.append(X)
        )
        weights = WEIGHTS[o.task]
        restoration = restoration_loss(state, clean, inputs.lifted)
        for earlier in estimates[:-1]:
            restoration = restoration + 0.2 * restoration_loss(earlier, clean, inputs.lifted)
        fused = fusion_loss(state[:, FUSED], clean[:, :1], clean[:, 1:2], weights)
        return fused + weights.restoration * restoration

    def update(self, pairs: list[CleanPair], progress: float) -> float:
        """One optimiser step; every random number comes from the seed and the step."""
        rng = np.random.default_rng([self.options.seed, self.step])
        for optimiser in self.optimisers:
            for group in optimiser.param_groups:
                group["lr"] = group["factor"] * learning_rate(self.options.lr, progress)
        loss = self.loss(pairs, rng)
        self.model.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self._refuse_divergence(bool(torch.isfinite(norm)))
        if self.skipped == 0:
            for optimiser in self.optimisers:
                optimiser.step()
        self.step += 1
        self._follow()
        return float(loss.detach())

    def _refuse_divergence(self, finite: bool) -> None:
        """A single overflow is skipped; many in a row are a failed run."""
        self.skipped = 0 if finite else self.skipped + 1
        if self.skipped >= 10:
            raise DrfuseError(
                f"training diverged at step {self.step}: ten gradients in a row are not finite",
                hint="lower --lr, or use --precision fp32",
                code=ExitCode.FAILED,
            )

    @torch.no_grad()
    def _follow(self) -> None:
        decay = min(0.999, (1 + self.step) / (10 + self.step))
        for mean, now in zip(self.average.parameters(), self.model.parameters(), strict=True):
            mean.lerp_(now, 1 - decay)

    def state(self) -> dict[str, Any]:
        return {
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimisers": [optimiser.state_dict() for optimiser in self.optimisers],
            "step": self.step,
            "seconds": self.seconds,
            "history": self.history,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        for optimiser, saved in zip(self.optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(saved)
        self.step, self.seconds, self.history = state["step"], state["seconds"], state["history"]


def _save_checkpoint(path: Path, trainer: Trainer) -> None:
    import io

    buffer = io.BytesIO()
    torch.save(trainer.state(), buffer)
    write_bytes(path, buffer.getvalue())


def _load_checkpoint(path: Path, trainer: Trainer) -> None:
    try:
        trainer.load_state(torch.load(path, map_location=trainer.device, weights_only=True))
    except FileNotFoundError:
        return
    except Exception as error:
        raise DrfuseError(
            f"this checkpoint does not fit the run ({type(error).__name__})",
            hint="give the options it was started with, or start anew without --resume",
            path=path,
        ) from error


def _progress(options: TrainOptions, trainer: Trainer) -> float:
    done = trainer.step / options.steps
    if options.minutes:
        done = max(done, trainer.seconds / (60 * options.minutes))
    return done


def _choose_device(asked: str) -> torch.device:
    if asked == "auto":
        asked = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(asked)


def _record(options: TrainOptions) -> dict[str, Any]:
    """The options that decide the weights, for their metadata; folders by name only."""
    record = asdict(options)
    record["data"] = ["/".join(path.resolve().parts[-2:]) for path in options.data]
    record["init"] = options.init and Path(options.init).name
    for name in ("output", "val", "run_dir", "resume", "val_every", "checkpoint_every"):
        record.pop(name)
    return record


def train(options: TrainOptions, on_progress: OnProgress) -> Path:
    """Trains one set of weights for every degradation of a task; returns the file written.

    Checkpoints, ``log.csv`` and ``progress.png`` go to ``run_dir`` (default: beside the
    output). With ``resume`` the run goes on from the last checkpoint exactly.
    """
    device = _choose_device(options.device)
    trainer = Trainer(options, device, choose_precision(device, options.precision))
    run_dir = options.run_dir or options.output.with_suffix("")
    checkpoint = run_dir / "checkpoint.pt"
    if options.resume:
        _load_checkpoint(checkpoint, trainer)
    pairs = load_pairs(options.data, options.task)
    validation = Validation.of(options.val, options.task, run_dir, options.correction)
    say = f"{len(pairs)} pairs, {sum(p.numel() for p in trainer.model.parameters())} parameters"
    on_progress(TrainProgress(trainer.step, options.steps, math.nan, 0.0, math.nan, say))
    _run(options, trainer, pairs, validation, checkpoint, on_progress)
    tensors = {name: t.cpu().contiguous() for name, t in trainer.average.state_dict().items()}
    extra = {"training": {**_record(options), "steps_done": trainer.step}}
    save_weights(options.output, tensors, trainer.model.arch.as_dict(), options.task, extra=extra)
    return options.output


def _run(
    options: TrainOptions,
    trainer: Trainer,
    pairs: list[CleanPair],
    validation: Validation,
    checkpoint: Path,
    on_progress: OnProgress,
) -> None:
    mean, clock = math.nan, time.perf_counter()
    while (progress := _progress(options, trainer)) < 1:
        loss = trainer.update(pairs, progress)
        mean = loss if math.isnan(mean) else 0.98 * mean + 0.02 * loss
        now = time.perf_counter()
        trainer.seconds, clock = trainer.seconds + now - clock, now
        progress = _progress(options, trainer)
        eta = trainer.seconds / progress * (1 - progress)
        message = None
        last = progress >= 1
        if trainer.step % options.val_every == 0 or last:
            message = validation.run(trainer.average, trainer.step, mean, trainer.history)
            clock = time.perf_counter()  # measuring is not training: keep it out of the budget
        elif trainer.step % 100 == 0:
            message = f"step {trainer.step}, loss {mean:.4f}"
        if trainer.step % options.checkpoint_every == 0 or last:
            _save_checkpoint(checkpoint, trainer)
        on_progress(TrainProgress(trainer.step, options.steps, mean, trainer.seconds, eta, message))
