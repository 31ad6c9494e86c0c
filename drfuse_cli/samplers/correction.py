"""The joint observation correction: A1 x1 = y1, A2 x2 = y2, W1 x1 + W2 x2 = f."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor, nn

from drfuse_cli.config import Correction
from drfuse_cli.networks.fusion_net import CONDITION
from drfuse_cli.operators.discrepancy import error_spectrum
from drfuse_cli.samplers.observation import FUSED, SOURCE1, SOURCE2, Inputs, Observation

_LOG_REFERENCE = math.log(0.1)  # cycles per pixel, where the learned trust is stated
_LOG_UNIT = -2 * math.log(255)  # a squared grey level, in which it is stated
_NOTHING = 1e-3  # a share that no picture shows
_SHARES, _LITTLE, _MOST = slice(7, 10), -2.0, 3.0


def join(x1: Tensor, x2: Tensor, f: Tensor, chroma: Tensor) -> Tensor:
    """The state from its parts."""
    return torch.cat((x1, x2, f, chroma), dim=1)


def error_variance(log_frequency: Tensor, level: Tensor, slope: Tensor) -> Tensor:
    """Power-law spectrum of the estimate's error, in image units squared.

    ``log_frequency`` of cycles per pixel; ``level`` is the spectrum's logarithm in squared grey
    levels at 0.1 cycles per pixel.
    """
    return torch.exp((level + slope * _LOG_REFERENCE + _LOG_UNIT) - slope * log_frequency)


class JointCorrection(nn.Module):
    """Proximal correction with learned trust per step, source and degradation.

    The error of the estimate is modelled as a power law over frequency, and besides as a share
    of what its residual shows: a small network that sees the step and the degradations says
    level, slope and share. So the data term acts where the operator still has gain and
    the noise is below that error, and nowhere else. kappa weighs the f row. Sources: DRFusion
    eqs. (15), (17), (19); drfusion.md section 5.4; ideas.md section 2.

    ``belief``, 0..1: how much of the learned share counts. Training draws it for every batch,
    as dropout does with features: a network that always meets the whole correction leans on it.
    """

    belief = 1.0

    def __init__(self, hidden: int = 32) -> None:
        super().__init__()
        self.trust = nn.Sequential(
            nn.Linear(CONDITION + 2, hidden), nn.SiLU(), nn.Linear(hidden, 10)
        )
        last = self.trust[-1]
        assert isinstance(last, nn.Linear)
        nn.init.zeros_(last.weight)
        with torch.no_grad():
            last.bias.copy_(torch.tensor([*[0.0] * 3, *[1.0] * 3, 0.0, *[_MOST] * 3]))

    @torch.no_grad()
    def reopen(self) -> None:
        """Believes residuals a little where the weights do not: nothing else would be learned."""
        last = self.trust[-1]
        assert isinstance(last, nn.Linear)
        last.bias[_SHARES].clamp_(min=_LITTLE)

    def forward(
        self, X_hat: Tensor, m: Tensor, inputs: Inputs, time: Tensor, mode: Correction = "joint"
    ) -> Tensor:
        """``X_bar`` from ``X_hat`` (``B x 5 x H x W``) and the weight ``m`` (``B x 1 x H x W``)."""
        learned = self.trust(torch.cat((inputs.condition, time), dim=1))[..., None, None]
        X_bar = X_hat
        if mode in ("joint", "data"):
            X_bar = X_hat.clone()
            for index, seen in enumerate(inputs.observations):
                level, slope, share = (learned[:, index + k, None] for k in (0, 3, 7))
                X_bar[:, seen.channels] = self._data_term(
                    X_hat[:, seen.channels], seen, level, slope, self.belief * torch.sigmoid(share)
                )
        if mode in ("joint", "fusion"):
            kappa = torch.sigmoid(learned[:, 6, None])
            x1, x2, f = X_bar[:, SOURCE1], X_bar[:, SOURCE2], X_bar[:, FUSED]
            # What the fused image is trained towards must not bend the restored sources.
            fused = f + kappa * (m * x1.detach() + (1 - m) * x2.detach() - f)
            X_bar = join(x1, x2, fused, X_bar[:, 3:])
        return X_bar

    @staticmethod
    def _data_term(
        x: Tensor, seen: Observation, level: Tensor, slope: Tensor, share: Tensor
    ) -> Tensor:
        A = seen.operator
        residual = A.residual(x, seen.analysed)
        variance = error_variance(A.log_frequency, level, slope)
        if bool((share > _NOTHING).any()):
            shown = error_spectrum(A, residual.detach(), seen.noise_var)
            # No error is larger than the scene, whatever the residual says of what the blur took.
            variance = variance + share * shown.minimum(seen.prior)
        return A.correct(x, residual, variance, seen.noise_var)


def no_correction(X_hat: Tensor, m: Tensor, inputs: Inputs, time: Tensor) -> Tensor:
    """The raw network estimate."""
    return X_hat


class PaperCorrection:
    """The published correction, for ablation: scalar lambda and the block inverse (15).

    lambda_t = min(1, sigma_t / (a_t sigma_y)) with the DDPM posterior of drfusion.md section
    6, which is all or nothing at T = 3; blur is inverted by a Wiener filter (40), whose
    constant the paper does not give, and pooling by repeating pixels. Both together are
    inverted one after the other, ``A_blur^+ A_sr^+``, which is not the inverse of both.
    """

    WIENER = 1e-2

    def __init__(self, alpha_bar: Tensor) -> None:
        self.alpha_bar = alpha_bar

    def _strength(self, t: int, noise_std: Tensor) -> Tensor:
        now, before = self.alpha_bar[t], self.alpha_bar[t - 1]
        beta = 1 - now / before
        sigma = (beta * (1 - before) / (1 - now)).clamp_min(1e-12).sqrt()
        a = before.sqrt() * beta / (1 - now)
        return (sigma / (a * noise_std.clamp_min(1e-6))).clamp(max=1)

    def _inverse(self, seen: Observation, residual: Tensor) -> Tensor:
        blur = seen.operator.blur
        enlarged = replace(seen, y=residual).enlarge()
        blurred = bool((blur.gram(1.0) < 0.9).any())
        regular = torch.full_like(seen.noise_var, self.WIENER if blurred else 1e-6)
        return blur.prox(torch.zeros_like(enlarged), enlarged, 1.0, regular)

    def __call__(self, X_hat: Tensor, m: Tensor, inputs: Inputs, time: Tensor) -> Tensor:
        t = round(float(time[0, 0] / time[0, 1]))
        X_bar, full = X_hat.clone(), X_hat.clone()
        for seen in inputs.observations:
            x = X_hat[:, seen.channels]
            full[:, seen.channels] = x + self._inverse(seen, seen.y - seen.operator.A(x))
            strength = self._strength(t, seen.noise_var.sqrt())[:, :1]
            X_bar[:, seen.channels] = x + strength * (full[:, seen.channels] - x)
        # One lambda for the f row: that of source 2, not of the chroma that comes last.
        strength = self._strength(t, inputs.observations[1].noise_var.sqrt())
        f, x1, x2 = X_hat[:, FUSED], full[:, SOURCE1], full[:, SOURCE2]
        X_bar[:, FUSED] = f + strength * (m * x1 + (1 - m) * x2 - f)
        return X_bar
