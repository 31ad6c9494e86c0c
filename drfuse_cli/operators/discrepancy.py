"""What the residual of an estimate shows of its error."""

from __future__ import annotations

from torch import Tensor

from drfuse_cli.operators.operator import Operator

_CHANCE = 2.0  # standard deviations


def error_spectrum(operator: Operator, residual: Tensor, noise_var: Tensor) -> Tensor:
    """The spectrum of the error of ``x`` over ``operator.frequency``, ``B x C x H x W``.

    A residual has the power of the error that reaches it and of the noise; what the noise does
    not explain, beyond chance, is error. Nothing is known of frequencies that the operator
    took, so the result can be far too large there. ``residual``: that of ``x``, analysed;
    ``noise_var`` broadcasts against ``B x C x 1 x 1``. An estimate that knows the noise, as the
    lift does, leaves less than it, and so no error.
    """
    rings = operator.rings
    seen, reaching = rings.mean(operator.power(residual)), rings.mean(operator.gram(1.0))
    noise = noise_var[..., 0]
    by_chance = 1 + _CHANCE * (2 / rings.counts).sqrt()
    excess = (seen - noise * by_chance).clamp_min(0)
    return rings.spread(excess / reaching.clamp_min(1e-12))
