"""DRFusion put together: network, schedule and correction, as one set of weights."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from drfuse_cli.config import Correction
from drfuse_cli.networks.denoiser import Denoiser
from drfuse_cli.networks.fusion_net import Architecture, FusionNet
from drfuse_cli.networks.precision import MixedNetwork, Precision, autocast
from drfuse_cli.networks.tiled import TiledNetwork, tiles
from drfuse_cli.networks.views import over_views
from drfuse_cli.samplers.correction import JointCorrection, PaperCorrection, no_correction
from drfuse_cli.samplers.denoising import denoised
from drfuse_cli.samplers.drfusion import Callback, Correct, StepNetwork, sample
from drfuse_cli.samplers.observation import Inputs
from drfuse_cli.samplers.schedule import Schedule


class DRFusion(nn.Module):
    """DRFusion (CVPR 2026) with everything that is learned."""

    def __init__(self, arch: Architecture) -> None:
        super().__init__()
        self.arch = arch
        self.network = FusionNet(arch)
        self.schedule = Schedule(arch.steps)
        self.correction = JointCorrection()
        told = arch.denoiser, arch.embedding, arch.denoiser_blocks
        self.denoiser = Denoiser(*told) if arch.denoiser else None

    def _correct(self, mode: Correction, alpha_bar: Tensor) -> Correct:
        if mode == "none":
            return no_correction
        if mode == "paper":
            return PaperCorrection(alpha_bar)
        return partial(self.correction, mode=mode)

    def forward(
        self,
        inputs: Inputs,
        steps: int = 3,
        correction: Correction = "joint",
        precision: Precision = "fp32",
        callback: Callback | None = None,
        tile: int = 0,
        self_ensemble: int = 1,
    ) -> Tensor:
        """The final state ``B x 5 x H x W``; see :func:`drfuse_cli.samplers.drfusion.sample`.

        ``tile`` > 0 bounds the pixels the network sees at once; the correction stays global.
        ``self_ensemble``: views of a noisy source that the denoiser averages, 1 to 8.
        """
        if self.denoiser is not None:
            denoise = partial(self._denoise, precision=precision, tile=tile, views=self_ensemble)
            inputs = denoised(inputs, denoise, self.arch.noise_left)
        alpha_bar = self.schedule.alpha_bar(steps)
        whole = MixedNetwork(self.network, precision)
        network: StepNetwork = TiledNetwork(whole, tile) if tile else whole
        return sample(inputs, network, alpha_bar, self._correct(correction, alpha_bar), callback)

    def _denoise(
        self,
        y: Tensor,
        chroma: Tensor,
        noise_std: Tensor,
        blur_sigma: Tensor,
        precision: Precision,
        tile: int,
        views: int,
    ) -> Tensor:
        denoiser = self.denoiser
        assert denoiser is not None

        def run(image: Tensor) -> Tensor:
            made: Tensor = denoiser(image[:, :1], image[:, 1:], noise_std, blur_sigma)
            return made.float()

        def whole(image: Tensor) -> Tensor:
            return tiles(run, image, 1, tile, denoiser.reach) if tile else run(image)

        with autocast(y.device, precision):
            return over_views(whole, torch.cat((y, chroma), dim=1), views)
