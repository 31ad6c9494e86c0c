"""Pairs through DRFusion."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import lru_cache, partial

import torch
from torch import Tensor, nn

from drfuse_cli.config import Degradation, FuseOptions
from drfuse_cli.engine.fusion import Fusion
from drfuse_cli.engine.inputs import make_inputs
from drfuse_cli.engine.memory import Rung
from drfuse_cli.engine.prepared import Prepared
from drfuse_cli.engine.runner import WHOLE_LIMIT, Runner
from drfuse_cli.models import DRFusion
from drfuse_cli.networks.precision import Precision
from drfuse_cli.operators.build import build_operator
from drfuse_cli.operators.grid import Grid
from drfuse_cli.operators.operator import Operator
from drfuse_cli.samplers.observation import Observation

_CACHED_OPERATORS = 8


class DRFusionRunner(Runner):
    """Makes the operators of a pair, runs the corrected loop, and says what is left over."""

    uses_operators = True
    model: DRFusion

    def __init__(
        self, model: nn.Module, device: torch.device, precision: Precision, options: FuseOptions
    ) -> None:
        super().__init__(model, device, precision, options)
        self._build = partial(build_operator, device=device)
        self._build_once = lru_cache(_CACHED_OPERATORS)(self._build)

    @torch.no_grad()
    def __call__(self, pairs: Sequence[Prepared], rung: Rung) -> list[Fusion]:
        started = time.perf_counter()
        operators = [self.operator(source.blur, pairs[0].grid) for source in pairs[0].sources]
        filled = [*pairs, *[pairs[-1]] * (rung.batch - len(pairs))]
        inputs = make_inputs(filled, operators, self.device)
        steps: list[tuple[int, Tensor, Tensor]] = []

        def watch(t: int, X_bar: Tensor, m: Tensor) -> None:
            if not self.options.keep_states:
                steps.clear()
            steps.append((t, X_bar, m))

        o = self.options
        state = self.model(
            inputs, o.steps, o.correction, self.precision, watch, rung.tile, o.self_ensemble
        )
        seen = inputs.observations[:2]
        residuals = [_residual(observation, state) for observation in seen]
        weight = steps[-1][2]
        seconds = (time.perf_counter() - started) / len(pairs)
        return [
            Fusion(
                pair=pair,
                operator=self.operator,
                state=state[i],
                weight=weight[i],
                residuals_seen=tuple((rms[i], residual[i]) for rms, residual in residuals),
                steps=[(t, X[i], m[i]) for t, X, m in steps] if o.keep_states else [],
                seconds=seconds,
                warnings=rung.warnings,
                device=str(self.device),
                precision=self.precision,
            )
            for i, pair in enumerate(pairs)
        ]

    def operator(self, blur: Degradation, grid: Grid) -> Operator:
        """The operators of the last sizes stay at hand, with the spectra that they hold."""
        small = grid.canvas[0] * grid.canvas[1] <= WHOLE_LIMIT
        return (self._build_once if small else self._build)(blur, grid.canvas)


def _residual(seen: Observation, state: Tensor) -> tuple[Tensor, Tensor]:
    """The root mean square, ``B``, and the map, ``B x h x w``."""
    r = 255 * (seen.operator.A(state[:, seen.channels]) - seen.y)[:, 0]
    return r.square().mean((-2, -1)).sqrt(), r
