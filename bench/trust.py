"""How far each step trusts the observation, over frequency: the learned part of the correction.

    python bench/trust.py --task ivif [--weights NAME]

Prints, for each preset and step, the share of the residual that the data term gives back at a few
frequencies by the learned law alone, kappa of the f row, and the share of the error shown by the
residual that is believed of either source and of chroma.
"""

from __future__ import annotations

import argparse

import torch

from drfuse_cli.colour import CHROMA_NOISE_GAIN, LUMA_NOISE_GAIN
from drfuse_cli.config import Degradation, preset
from drfuse_cli.models import DRFusion
from drfuse_cli.operators.kernels import gaussian_response
from drfuse_cli.samplers.correction import error_variance
from drfuse_cli.samplers.denoising import noise_left
from drfuse_cli.samplers.observation import describe, noise_variance, with_noise
from drfuse_cli.weights import load_weights

FREQUENCIES = (0.01, 0.03, 0.1, 0.3)
_GRID = 1000  # frequencies p / (2 * grid)


def gains(level: float, slope: float, d: Degradation, noise_std: float, gain: float) -> list[float]:
    """``C g^2 / (C g^2 + s2)`` at :data:`FREQUENCIES`, aliases of pooling left out."""
    f = torch.tensor(FREQUENCIES)
    blur = gaussian_response(_GRID, torch.tensor([d.blur_sigma]))[0]
    signal = error_variance(f.log(), torch.tensor(level), torch.tensor(slope)) * (
        blur[(f * 2 * _GRID).round().long()] ** 2 / d.sr_scale**2
    )
    noise = noise_variance(torch.tensor([noise_std]), torch.tensor([False]), gain).squeeze()
    return [float(x) for x in signal / (signal + noise)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--task", default="ivif")
    parser.add_argument("--weights")
    options = parser.parse_args()
    model = load_weights(options.weights, options.task).network()
    assert isinstance(model, DRFusion)
    print(f"cycles per pixel {FREQUENCIES}")
    for name in ("noise", "blur", "composite"):
        first, second = preset(options.task, name)
        noise = (first.noise_std, second.noise_std * LUMA_NOISE_GAIN)
        condition = describe(
            torch.tensor([noise]),
            torch.tensor([[first.blur_sigma, second.blur_sigma]]),
            torch.tensor([[float(first.sr_scale), float(second.sr_scale)]]),
            torch.tensor([second.noise_std * CHROMA_NOISE_GAIN]),
            torch.tensor([2]),
        )
        if model.denoiser is not None:
            left = noise_left(condition, model.arch.noise_left)
            condition, noise = with_noise(condition, left), tuple(left[0].tolist())
        for t in (3, 2, 1):
            time = torch.tensor([[t / 3, 1 / 3]])
            with torch.no_grad():
                learned = model.correction.trust(torch.cat((condition, time), dim=1))[0].tolist()
            text = "  ".join(
                f"source {i + 1}: "
                + " ".join(f"{g:.2f}" for g in gains(learned[i], learned[i + 3], d, noise[i], gain))
                for i, (d, gain) in enumerate(((first, 1.0), (second, LUMA_NOISE_GAIN)))
            )
            kappa, *shares = torch.sigmoid(torch.tensor(learned[6:])).tolist()
            believed = " ".join(f"{share:.2f}" for share in shares)
            print(f"{name:<10} t = {t}  {text}  kappa {kappa:.2f}  shares {believed}")


if __name__ == "__main__":
    main()
