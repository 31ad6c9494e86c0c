"""What a run of DRFusion's training starts from, and which part of it learns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from torch import nn

from drfuse_cli.errors import DrfuseError
from drfuse_cli.models import DRFusion, build_network
from drfuse_cli.networks.fusion_net import Architecture
from drfuse_cli.training.options import TrainOptions
from drfuse_cli.weights import load_weights


def starting_model(options: TrainOptions) -> DRFusion:
    """The network to train, which asks for gradients of what is to learn alone.

    Raises :class:`DrfuseError` for weights that cannot be read, for a part of a new network, and
    for more than one part.
    """
    asked = [name for name in _ALONE if getattr(options, name)]
    flags = [f"--{name.replace('_', '-')}" for name in asked]
    if len(asked) > 1:
        raise DrfuseError(
            f"{' and '.join(flags)} exclude each other",
            hint="each says what alone is to learn: give one of them, one run after another",
        )
    if options.photographs is not None and not options.denoiser_only:
        raise DrfuseError(
            "--photographs goes with --denoiser-only",
            hint="pictures without a second source teach no fusion",
        )
    if options.init is None:
        if asked:
            raise DrfuseError(
                f"{flags[0]} would leave part of a new network untrained",
                hint="give the weights to start from with --init",
            )
        return DRFusion(Architecture.of_size(options.width, options.middle))
    model = load_weights(options.init, options.task).network()
    assert isinstance(model, DRFusion)
    model.train().requires_grad_(True)
    return _ALONE[asked[0]](model) if asked else _whole(model)


def _whole(model: DRFusion) -> DRFusion:
    model.correction.reopen()
    return model


def _after_encoder(model: DRFusion) -> DRFusion:
    model.network.encoder.requires_grad_(False)
    return model


def _steps(model: DRFusion) -> DRFusion:
    _only(model, model.network)
    if model.network.decoder is not None:
        model.network.decoder.requires_grad_(False)
    return model


def _decoder(model: DRFusion) -> DRFusion:
    model = _with_part(model, "decoder", size=2)
    return _only(model, model.network.decoder)


def _denoiser(model: DRFusion) -> DRFusion:
    model = _with_part(model, "denoiser", size=64)
    return _only(model, model.denoiser)


_ALONE: dict[str, Callable[[DRFusion], DRFusion]] = {
    "freeze_encoder": _after_encoder,
    "steps_only": _steps,
    "fusion_only": _decoder,
    "denoiser_only": _denoiser,
}
"""By the option that asks for it."""


def _only(model: DRFusion, part: nn.Module | None) -> DRFusion:
    assert part is not None
    model.requires_grad_(False)
    part.requires_grad_(True)
    return model


def _with_part(model: DRFusion, name: Literal["decoder", "denoiser"], size: int) -> DRFusion:
    """The same with a part that it may lack, before its first step."""
    if getattr(model.arch, name):
        return model
    grown = build_network({**model.arch.as_dict(), name: size})
    assert isinstance(grown, DRFusion)
    grown.load_state_dict(model.state_dict(), strict=False)
    return grown.train()
