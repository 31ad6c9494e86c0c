"""Training ReCoFuse in its stages: auto-encoder, single branches, both with fusion, refiner."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from drfuse_cli.errors import DrfuseError
from drfuse_cli.models import RecoFuse
from drfuse_cli.models.recofuse import mean_features
from drfuse_cli.networks.precision import autocast, choose_precision
from drfuse_cli.networks.recofuse.architecture import PUBLISHED, RecoFuseArchitecture
from drfuse_cli.networks.recofuse.autoencoder import Features
from drfuse_cli.networks.recofuse.refiner import Pictures
from drfuse_cli.samplers.mean_reverting import TIMES
from drfuse_cli.samplers.recofuse import Latents, advance, start, times
from drfuse_cli.training.cameras import Cameras, as_it_is
from drfuse_cli.training.data import CleanPair, load_pairs
from drfuse_cli.training.learner import Learner, optimisers
from drfuse_cli.training.lighting import lit
from drfuse_cli.training.options import Stage, TrainOptions
from drfuse_cli.training.quads import Quad, draw_quad
from drfuse_cli.training.refining import aimed, fusion_loss, refining_loss
from drfuse_cli.training.validation import psnr, write_history
from drfuse_cli.weights import load_weights

_ENDS: dict[Stage, float] = {"autoencoder": 0.35, "branches": 0.47, "coupled": 0.8, "refiner": 1.0}
"""Where each stage of a whole run ends, as a share of it; without a refiner the rest grow."""
_VAL_CROP, _VAL_PAIRS = 256, 16
_SPREAD_SHARE = 0.02
"""Of one batch in the spread of the latents."""
_EDGE = ("entry", "exit")


def _colour(image: Tensor) -> Tensor:
    """How each channel departs from their mean."""
    return image - image.mean(1, keepdim=True)


_REFINER = 48
"""Features of a new refiner at half resolution."""


def _start(options: TrainOptions) -> RecoFuse:
    if options.init is None:
        if options.stage == "refiner":
            raise DrfuseError(
                "--stage refiner would leave all else untrained",
                hint="give the weights to start from with --init",
            )
        small = RecoFuseArchitecture(refiner=_REFINER)
        return RecoFuse(PUBLISHED if options.size == "published" else small)
    model = load_weights(options.init, options.task, "recofuse").network()
    assert isinstance(model, RecoFuse)
    if options.stage == "refiner" and model.refiner is None:
        grown = RecoFuse(replace(model.arch, refiner=_REFINER))
        grown.load_state_dict(model.state_dict(), strict=False)
        model = grown
    return model.train().requires_grad_(True)


def _optimisers(module: nn.Module, lr: float) -> list[torch.optim.Optimizer]:
    named = dict(module.named_parameters())
    kernels = [
        p
        for name, p in named.items()
        if p.ndim == 4 and min(p.shape[:2]) > 1 and not set(_EDGE) & set(name.split("."))
    ]
    chosen = set(map(id, kernels))
    return optimisers(kernels, [p for p in named.values() if id(p) not in chosen], [], lr)


class RecoFuseLearner(Learner):
    """Every stage goes on from the averaged weights of the one before."""

    model: RecoFuse
    average: RecoFuse
    preparation = "; dark visible images are lit first"

    def __init__(self, options: TrainOptions, device: torch.device, run_dir: Path) -> None:
        super().__init__(options, device)
        if options.task != "ivif":
            raise DrfuseError(
                f"recofuse is for infrared and visible pairs, not for {options.task}",
                hint="leave --task out, or use --method drfusion",
            )
        self.aim = aimed(options.aim)
        self.run_dir = run_dir
        self.precision = choose_precision(device, options.precision)
        self.see = Cameras(str(device)) if options.restore_first else as_it_is
        held_back = load_pairs((options.val,), "ivif")[:_VAL_PAIRS] if options.val else []
        self.held_back = self.taken(held_back)
        self._begin(_start(options))
        refines = self.model.refiner is not None and options.stage in ("all", "refiner")
        if options.aim and not refines:
            raise DrfuseError(
                "--aim goes with the refiner, which this run does not train",
                hint="nothing else learns towards scores; --stage refiner trains it alone",
            )
        self.stage: Stage | None = None

    def taken(self, pairs: list[CleanPair]) -> list[CleanPair]:
        """Nights as they would look lit: dark as they are, they teach to leave nights dark."""
        return [replace(pair, second=lit(pair.second)) for pair in pairs]

    def architecture(self) -> dict[str, Any]:
        return self.model.arch.as_dict()

    # ---- stages -----------------------------------------------------------------------------

    def update(self, pairs: list[CleanPair], progress: float) -> float:
        stage, within = self._where(progress)
        if stage != self.stage:
            self._enter(stage)
        return super().update(pairs, within)

    def _where(self, progress: float) -> tuple[Stage, float]:
        """The stage that a share of the run falls in, and the share of that stage."""
        if self.options.stage != "all":
            return self.options.stage, progress
        ends = dict(_ENDS)
        if self.model.refiner is None:
            del ends["refiner"]
        last, whole = list(ends)[-1], max(ends.values())
        begin = 0.0
        for stage, end in ends.items():
            if progress * whole < end:
                return stage, (progress * whole - begin) / (end - begin)
            begin = end
        return last, 1.0

    def _enter(self, stage: Stage) -> None:
        self.stage = stage
        self.model.load_state_dict(self.average.state_dict())
        m, lr = self.model, self.options.lr
        alone: dict[Stage, nn.Module | None] = {
            "autoencoder": m.autoencoder,
            "refiner": m.refiner,
        }
        m.requires_grad_(stage not in alone)
        m.autoencoder.requires_grad_(False)
        if (part := alone.get(stage)) is not None:
            part.requires_grad_(True)
            self.optimisers = _optimisers(part, lr)
            return
        self._of_branches = [*_optimisers(m.visible, lr), *_optimisers(m.infrared, lr)]
        self._of_fusion = _optimisers(m.fusion, lr)
        self.optimisers = [*self._of_branches, *self._of_fusion]

    @torch.no_grad()
    def _follow_spread(self, latent: Tensor) -> None:
        """The standard deviation of every latent channel, over the last batches or so.

        It belongs to the auto-encoder: measured again later, it would move the latents that the
        branches know.
        """
        spread = latent.std((0, 2, 3))
        if not bool(spread.isfinite().all()):
            return  # of a step that is about to be skipped
        share = max(_SPREAD_SHARE, 1 / (self.step + 1))
        for model in (self.model, self.average):
            model.spread.lerp_(spread, share)

    def learn(self, pairs: list[CleanPair], rng: np.random.Generator, lr: float) -> float:
        o = self.options
        quad = draw_quad(pairs, o.batch_size, o.crop, rng, self.device, see=self.see)
        if self.stage == "autoencoder":
            loss = self._recombination(quad, rng)
            self._descend([loss], self.optimisers, lr)
        elif self.stage == "branches":
            loss = self._restoration(*self._see(quad), quad, rng, coupled=False)
            self._descend([loss], self._of_branches, lr)
        elif self.stage == "refiner":
            loss = self._refined(quad, rng)
            self._descend([loss], self.optimisers, lr)
        else:
            loss = self._coupled(quad, rng, lr)
        return float(loss.detach())

    def _narrow(self) -> torch.autocast:
        """The block in which networks run in the precision that was asked for."""
        return autocast(self.device, self.precision)

    # ---- losses -----------------------------------------------------------------------------

    def _recombination(self, quad: Quad, rng: np.random.Generator) -> Tensor:
        """Each image from its own latent and the features of one of the four, L1.

        Over the steps all sixteen combinations come equally often. Colour counts once more:
        half of the images are grey and most others nearly so.
        """
        images = torch.cat(list(quad))
        count = len(quad.visible)
        lender = np.stack([rng.permutation(4) for _ in range(count)], axis=1)
        index = torch.from_numpy((lender * count + np.arange(count)).ravel()).to(self.device)
        with self._narrow():
            latent, features = self.model.autoencoder.encode(images)
            made = self.model.autoencoder.decode(latent, [f[index] for f in features])
        self._follow_spread(latent.float())
        return F.l1_loss(made, images) + F.l1_loss(_colour(made), _colour(images))

    @torch.no_grad()
    def _see(self, quad: Quad) -> tuple[tuple[Latents, Latents], tuple[Features, Features]]:
        """Latents of the degraded and the clean sources, features of the degraded ones."""
        with self._narrow():
            latent, features = self.model.encode(torch.cat(list(quad)))
        z = latent.chunk(4)
        h_visible, h_infrared = ([f.chunk(4)[i] for f in features] for i in (0, 1))
        return (Latents(z[0], z[1]), Latents(z[2], z[3])), (h_visible, h_infrared)

    def _coupled(self, quad: Quad, rng: np.random.Generator, lr: float) -> Tensor:
        latents, features = self._see(quad)
        how = self.options.regularisation
        coupled = self.model.arch.coupled and how != "separate"
        restoration = self._restoration(latents, features, quad, rng, coupled=coupled)
        if how == "joint":
            loss = restoration + self._fusion(latents[1], features, quad)
            self._descend([loss], self.optimisers, lr)
            return loss
        self._descend([restoration], self.optimisers if coupled else self._of_branches, lr)
        self._descend([self._fusion(latents[1], features, quad)], self._of_fusion, lr)
        return restoration

    def _restoration(
        self,
        latents: tuple[Latents, Latents],
        features: tuple[Features, Features],
        quad: Quad,
        rng: np.random.Generator,
        *,
        coupled: bool,
    ) -> Tensor:
        """Step A: L1 between where one step leads and where it should.

        Clean latents that are predicted are decoded too, and held against the clean images: not
        every error of a latent can be seen.
        """
        means, clean = latents
        if self.model.arch.predicts == "noise":
            return self._published_step(means, clean, rng, coupled=coupled)
        now, z = self._on_the_way(means, rng, coupled=coupled)
        t = torch.full((len(z.visible),), now, device=self.device)
        with self._narrow():
            z_f = self.model.fuse(z, t) if coupled else None
            found = self.model.predict(z, z_f, means, t)[1]
        loss = sum(map(F.l1_loss, found, clean), torch.zeros((), device=self.device))
        if not self.options.image_loss:
            return loss
        with self._narrow():
            seen = list(map(self.model.decode, found, features))
        errors = map(F.l1_loss, seen, (quad.visible_clean, quad.infrared_clean))
        return loss + self.options.image_loss * sum(errors)

    @torch.no_grad()
    def _on_the_way(
        self, means: Latents, rng: np.random.Generator, *, coupled: bool
    ) -> tuple[int, Latents]:
        """States at a random time, reached as the sampler reaches them.

        States made from the clean latents would show the network what it is to find.
        """
        model, schedule = self.model, times(self.model.arch.steps)
        count = int(rng.integers(model.arch.steps))
        z = start(means, torch.Generator().manual_seed(int(rng.integers(2**62))))
        with self._narrow():
            for now, after in pairwise(schedule[: count + 1]):
                z = advance(z, means, model, model.step, now, after, coupled)
        return schedule[count], z

    def _published_step(
        self, means: Latents, clean: Latents, rng: np.random.Generator, *, coupled: bool
    ) -> Tensor:
        """The next state against the posterior mean given the branch's own state, eq. (13)."""
        process = self.model.process
        t = torch.from_numpy(rng.integers(1, TIMES + 1, len(means.visible))).to(self.device)
        own = Latents(*(self._noised(*ends, t, rng) for ends in zip(clean, means, strict=True)))
        with self._narrow():
            z_f = self.model.fuse(own, t) if coupled else None
            z, found = self.model.predict(own, z_f, means, t)
        reached = self.model.step(z, found, means, t, t - 1)
        wanted = (
            process.posterior_mean(*ends, t, t - 1) for ends in zip(own, clean, means, strict=True)
        )
        return sum(map(F.l1_loss, reached, wanted), torch.zeros((), device=self.device))

    def _noised(self, clean: Tensor, mean: Tensor, t: Tensor, rng: np.random.Generator) -> Tensor:
        noise = torch.from_numpy(rng.standard_normal(tuple(clean.shape), dtype=np.float32))
        return self.model.process.noised(clean, mean, t, noise.to(self.device))

    def _fusion(self, clean: Latents, features: tuple[Features, Features], quad: Quad) -> Tensor:
        """Step B: the fusion of the clean latents, decoded with the degraded features."""
        t = torch.zeros(len(clean.visible), dtype=torch.long, device=self.device)
        with self._narrow():
            fused = self.model.decode(self.model.fuse(clean, t), mean_features(*features))
        return fusion_loss(fused.float(), quad.visible_clean, quad.infrared_clean)

    def _refined(self, quad: Quad, rng: np.random.Generator) -> Tensor:
        """Everything before the refiner as it is used, in any number of steps up to its own."""
        noise = torch.Generator().manual_seed(int(rng.integers(2**62)))
        steps = int(rng.integers(1, self.model.arch.steps + 1))
        with self._narrow():
            made = self.model(quad.visible, quad.infrared, steps, noise)
        return refining_loss(Pictures(*(image.float() for image in made[:3])), quad, self.aim)

    # ---- how it does ------------------------------------------------------------------------

    @torch.no_grad()
    def measure(self, loss: float) -> str:
        said = f"{self.stage}, step {self.step}, loss {loss:.4f}"
        if not self.held_back:
            return said
        first, second, fused = np.mean(list(self._on_held_back()), axis=0)
        self.history.append(
            {
                "step": self.step,
                "scenario": str(self.stage),
                "train_loss": round(loss, 5),
                "psnr1": round(float(first), 3),
                "psnr2": round(float(second), 3),
                "fusion_loss": round(float(fused), 5),
            }
        )
        write_history(self.run_dir, self.history)
        return f"{said}; infrared {first:.2f} dB, visible {second:.2f} dB, fusion {fused:.4f}"

    def _on_held_back(self) -> Iterator[tuple[float, float, float]]:
        """Restored infrared and visible PSNR and the fusion loss of one degraded crop a pair."""
        rng = np.random.default_rng(2026)
        for pair in self.held_back:
            quad = draw_quad([pair], 1, _VAL_CROP, rng, self.device, see=self.see, colourise=False)
            made = self._made(quad)
            yield (
                psnr(made[2][:, :1], quad.infrared_clean[:, :1]),
                psnr(made[1], quad.visible_clean),
                float(fusion_loss(made[0], quad.visible_clean, quad.infrared_clean)),
            )

    def _made(self, quad: Quad) -> tuple[Tensor, Tensor, Tensor]:
        """The fused image, visible and infrared; of the auto-encoder what clean latents give."""
        if self.stage != "autoencoder":
            noise = torch.Generator().manual_seed(0)
            made = self.average(quad.visible, quad.infrared, generator=noise)
            return made.fused, made.visible, made.infrared
        encode, decode = self.average.encode, self.average.decode
        visible, infrared = encode(quad.visible)[1], encode(quad.infrared)[1]
        z_visible, z_infrared = encode(quad.visible_clean)[0], encode(quad.infrared_clean)[0]
        fused = decode((z_visible + z_infrared) / 2, mean_features(visible, infrared))
        return fused, decode(z_visible, visible), decode(z_infrared, infrared)

    # ---- to go on from ----------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        return {**super().state(), "stage": self.stage}

    def load_state(self, state: dict[str, Any]) -> None:
        if state["stage"] is not None:
            self._enter(state["stage"])
        super().load_state(state)
