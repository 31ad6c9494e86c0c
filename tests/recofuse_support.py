"""A ReCoFuse small enough for tests."""

from __future__ import annotations

from pathlib import Path

import torch

from drfuse_cli.models import RecoFuse
from drfuse_cli.networks.recofuse.architecture import (
    AutoencoderSizes,
    BranchSizes,
    FusionSizes,
    RecoFuseArchitecture,
)
from drfuse_cli.weights import save_weights

TINY = RecoFuseArchitecture(
    autoencoder=AutoencoderSizes(base=4, multipliers=(1, 2), latent=4),
    branch=BranchSizes(width=8, encoder=(1,), middle=1, decoder=(1,)),
    fusion=FusionSizes(width=32, pooled=4),
    steps=3,
    feedback="beside",
)


def tiny_model(arch: RecoFuseArchitecture = TINY, seed: int = 0) -> RecoFuse:
    """Random weights that change their inputs, blocks that start as nothing included."""
    torch.manual_seed(seed)
    model = RecoFuse(arch).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.rsplit(".", 1)[-1] in ("beta", "gamma"):
                weight.fill_(0.5)
    return model


def tiny_weights(path: Path, arch: RecoFuseArchitecture = TINY) -> Path:
    model = tiny_model(arch)
    save_weights(path, model.state_dict(), arch.as_dict(), "ivif", "recofuse", dtype="fp32")
    return path
