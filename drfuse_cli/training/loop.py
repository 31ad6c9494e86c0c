"""The training loop: repeatable from its seed, resumable from its last checkpoint."""

from __future__ import annotations

import io
import math
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from drfuse_cli.config import Method
from drfuse_cli.errors import DrfuseError
from drfuse_cli.imageio import write_bytes
from drfuse_cli.training.data import CleanPair, balanced, load_pairs, with_photographs
from drfuse_cli.training.drfusion import DRFusionLearner
from drfuse_cli.training.learner import Learner
from drfuse_cli.training.options import OnProgress, TrainOptions, TrainProgress
from drfuse_cli.training.recofuse import RecoFuseLearner
from drfuse_cli.weights import save_weights

_LEARNERS: dict[Method, Callable[[TrainOptions, torch.device, Path], Learner]] = {
    "drfusion": DRFusionLearner,
    "recofuse": RecoFuseLearner,
}


def _save_checkpoint(path: Path, learner: Learner) -> None:
    buffer = io.BytesIO()
    torch.save(learner.state(), buffer)
    write_bytes(path, buffer.getvalue())


def _load_checkpoint(path: Path, learner: Learner) -> None:
    try:
        learner.load_state(torch.load(path, map_location=learner.device, weights_only=True))
    except FileNotFoundError:
        return
    except Exception as error:
        raise DrfuseError(
            f"this checkpoint does not fit the run ({type(error).__name__})",
            hint="give the options it was started with, or start anew without --resume",
            path=path,
        ) from error


def _progress(options: TrainOptions, learner: Learner) -> float:
    done = learner.step / options.steps
    if options.minutes:
        done = max(done, learner.seconds / (60 * options.minutes))
    return done


def _choose_device(asked: str) -> torch.device:
    if asked == "auto":
        asked = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(asked)


def _record(options: TrainOptions) -> dict[str, Any]:
    """The options that decide the weights, for their metadata; folders by name only."""
    record = asdict(options)
    record["data"] = ["/".join(path.resolve().parts[-2:]) for path in options.data]
    record["photographs"] = options.photographs and options.photographs.resolve().name
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
    run_dir = options.run_dir or options.output.with_suffix("")
    learner = _LEARNERS[options.method](options, device, run_dir)
    checkpoint = run_dir / "checkpoint.pt"
    if options.resume:
        _load_checkpoint(checkpoint, learner)
    found = load_pairs(options.data, options.task)
    size = sum(p.numel() for p in learner.model.parameters())
    say = f"{len(found)} pairs, {size} parameters{learner.preparation}"
    on_progress(TrainProgress(learner.step, options.steps, math.nan, 0.0, math.nan, say))
    loaded = learner.taken(found)
    pairs = balanced(loaded) if options.balance else loaded
    if options.photographs is not None and options.method == "drfusion":
        pairs = with_photographs(pairs, options.photographs)
    _run(options, learner, pairs, checkpoint, on_progress)
    tensors = {name: t.cpu().contiguous() for name, t in learner.average.state_dict().items()}
    extra = {"training": {**_record(options), "steps_done": learner.step}}
    save_weights(
        options.output, tensors, learner.architecture(), options.task, options.method, extra=extra
    )
    return options.output


def _run(
    options: TrainOptions,
    learner: Learner,
    pairs: list[CleanPair],
    checkpoint: Path,
    on_progress: OnProgress,
) -> None:
    mean, clock = math.nan, time.perf_counter()
    while (progress := _progress(options, learner)) < 1:
        loss = learner.update(pairs, progress)
        mean = loss if math.isnan(mean) else 0.98 * mean + 0.02 * loss
        now = time.perf_counter()
        learner.seconds, clock = learner.seconds + now - clock, now
        progress = _progress(options, learner)
        eta = learner.seconds / progress * (1 - progress)
        message = None
        last = progress >= 1
        if learner.step % options.val_every == 0 or last:
            message = learner.measure(mean)
            clock = time.perf_counter()  # measuring is not training: keep it out of the budget
        elif learner.step % 100 == 0:
            message = f"step {learner.step}, loss {mean:.4f}"
        if learner.step % options.checkpoint_every == 0 or last:
            _save_checkpoint(checkpoint, learner)
        on_progress(TrainProgress(learner.step, options.steps, mean, learner.seconds, eta, message))
