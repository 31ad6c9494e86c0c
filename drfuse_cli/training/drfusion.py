"""Training DRFusion: one set of weights for every degradation of a task."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from drfuse_cli.models import DRFusion
from drfuse_cli.networks.precision import autocast, choose_precision
from drfuse_cli.samplers.observation import FUSED
from drfuse_cli.training.data import CleanPair, draw_crops
from drfuse_cli.training.decoding import aimed, decoding_loss
from drfuse_cli.training.degradations import MARGIN, degrade, draw
from drfuse_cli.training.denoising import denoising_loss, see, taught
from drfuse_cli.training.learner import Learner, optimisers
from drfuse_cli.training.losses import WEIGHTS, aim_of, fusion_loss, restoration_loss
from drfuse_cli.training.options import TrainOptions
from drfuse_cli.training.parts import starting_model
from drfuse_cli.training.validation import Validation

_STEP_ODDS = {3: 0.5, 2: 0.25, 1: 0.25}
_EARLIER = 0.2
"""What the estimates before the last count."""


@contextmanager
def uncorrected(model: DRFusion) -> Iterator[list[Tensor]]:
    """Fills with what the network says before each learned correction, as the model runs.

    Held against the clean pair beside what the correction makes of it, it keeps the network
    from leaving to the correction what it could do better itself.
    """
    found: list[Tensor] = []
    hook = model.correction.register_forward_hook(lambda _, given, made: found.append(given[0]))
    try:
        yield found
    finally:
        hook.remove()


@contextmanager
def undecoded(model: DRFusion) -> Iterator[None]:
    """Fuses as the steps alone would, which the decoder only adds to."""
    network = model.network
    decoder, network.decoder = network.decoder, None
    try:
        yield
    finally:
        network.decoder = decoder


_EDGES = ("_head", "decoder.head", "denoiser.entry")
"""Convolutions from and to images, whose kernels Muon would make too large."""


class DRFusionLearner(Learner):
    """The corrected diffusion loop, unrolled and held against the clean pair."""

    model: DRFusion
    average: DRFusion

    def __init__(self, options: TrainOptions, device: torch.device, run_dir: Path) -> None:
        super().__init__(options, device)
        self.precision = choose_precision(device, options.precision)
        self._begin(starting_model(options))
        self.teacher = copy.deepcopy(self.average.denoiser) if options.self_distil else None
        self.aim = aimed(options.task, options.aim)
        self.optimisers = self._optimisers()
        self.validation = Validation.of(options.val, options.task, run_dir, options.correction)

    def _optimisers(self) -> list[torch.optim.Optimizer]:
        named = dict(self.model.network.named_parameters())
        if self.model.denoiser is not None:
            named |= self.model.denoiser.named_parameters("denoiser")
        kernels = [
            p
            for name, p in named.items()
            if p.ndim == 4 and not any(edge in name for edge in _EDGES)
        ]
        chosen = set(map(id, kernels))
        others: list[nn.Parameter] = [p for p in named.values() if id(p) not in chosen]
        few = [*self.model.correction.parameters(), *self.model.schedule.parameters()]
        return optimisers(kernels, others, few, self.options.lr)

    def architecture(self) -> dict[str, Any]:
        return self.model.arch.as_dict()

    def learn(self, pairs: list[CleanPair], rng: np.random.Generator, lr: float) -> float:
        losses = (self.loss(pairs, rng) for _ in range(self.options.draws))
        return self._descend(losses, self.optimisers, lr)

    def measure(self, loss: float) -> str:
        return self.validation.run(self.average, self.step, loss, self.history)

    def loss(self, pairs: list[CleanPair], rng: np.random.Generator) -> Tensor:
        """The loss of one batch, eq. (20) with deep supervision of the restored sources."""
        o = self.options
        if o.denoiser_only:
            return self._denoising_loss(pairs, rng)
        with undecoded(self.model) if o.steps_only else nullcontext():
            return self._fusing_loss(pairs, rng)

    def _fusing_loss(self, pairs: list[CleanPair], rng: np.random.Generator) -> Tensor:
        o = self.options
        draws = draw(o.task, o.batch_size, rng)
        crops = draw_crops(
            pairs, o.batch_size, o.crop + 2 * MARGIN, rng, colourise=o.task == "ivif"
        )
        first, rgb, sharp = map(torch.from_numpy, crops)
        inputs, clean = degrade(first, rgb, draws, rng, self.device)
        x1, x2 = clean[:, :1], clean[:, 1:2]
        ideal = aim_of(x1, x2, o.task, sharp[..., MARGIN:-MARGIN, MARGIN:-MARGIN].to(self.device))
        steps = int(rng.choice(list(_STEP_ODDS), p=list(_STEP_ODDS.values())))
        self.model.correction.belief = float(rng.uniform())
        estimates: list[Tensor] = []
        with uncorrected(self.model) as raw:
            state = self.model(
                inputs, steps, o.correction, self.precision, lambda t, X, m: estimates.append(X)
            )
        if o.fusion_only:
            return decoding_loss(state[:, FUSED], x1, x2, ideal, self.aim)
        weights = WEIGHTS[o.task]
        restoration = torch.zeros((), device=self.device)
        for index, estimate in enumerate(estimates):
            seen = [estimate, *raw[index : index + 1]]
            errors = [restoration_loss(X, clean, inputs.lifted) for X in seen]
            share = 1.0 if index == len(estimates) - 1 else _EARLIER
            restoration = restoration + share * sum(errors) / len(errors)
        fused = fusion_loss(state[:, FUSED], x1, x2, ideal, weights)
        return fused + weights.restoration * restoration

    def _denoising_loss(self, pairs: list[CleanPair], rng: np.random.Generator) -> Tensor:
        student = self.model.denoiser
        assert student is not None
        o, losses = self.options, []
        for drawn in see(pairs, o.task, o.batch_size, o.crop, rng):
            seen = drawn.to(self.device)
            wanted = taught(seen, self.teacher, o.self_distil, rng)
            with autocast(self.device, self.precision):
                restored = student(seen.noisy, seen.chroma, seen.stated_std, seen.blur_sigma)
            losses.append(denoising_loss(restored.float(), wanted))
        return torch.stack(losses).mean()
