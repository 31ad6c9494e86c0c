"""What a run of DRFusion's training starts from, and which part of it learns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import nn

from drfuse_cli.errors import DrfuseError
from drfuse_cli.models import DRFusion, build_network
from drfuse_cli.networks.fusion_net import Architecture
from drfuse_cli.training.options import TrainOptions
from drfuse_cli.weights import load_weights


def starting_model(options: TrainOptions) -> DRFusion:
    """The network to train, which asks for gradients of what is to learn alone.

    Raises :class:`DrfuseError` for weights that cannot be read, for a part of a new network, for
    more than one part, and for what only one part learns from where another learns.
    """
    part = _asked(options)
    if options.init is None:
        if part:
            raise DrfuseError(
                f"{_flag(part)} would leave part of a new network untrained",
                hint="give the weights to start from with --init",
            )
        return DRFusion(Architecture.of_size(options.width, options.middle))
    model = load_weights(options.init, options.task).network()
    assert isinstance(model, DRFusion)
    if options.self_distil and model.denoiser is None:
        raise DrfuseError(
            f"--self-distil: {options.init} has no denoiser to learn from",
            hint="train one first, with --denoiser-only alone",
        )
    model = _deepened(model, options.denoiser_blocks)
    model.train().requires_grad_(True)
    return _ALONE[part](model) if part else _whole(model)


def _asked(options: TrainOptions) -> str | None:
    """The option that asks for a part alone, once all go together."""
    asked = [name for name in _ALONE if getattr(options, name)]
    if len(asked) > 1:
        raise DrfuseError(
            f"{' and '.join(map(_flag, asked))} exclude each other",
            hint="each says what alone is to learn: give one of them, one run after another",
        )
    for name, hint in _OF_DENOISER.items():
        if getattr(options, name) and not options.denoiser_only:
            raise DrfuseError(f"{_flag(name)} goes with --denoiser-only", hint=hint)
    if options.aim and not options.fusion_only:
        raise DrfuseError(
            "--aim goes with --fusion-only, or with the refiner of recofuse",
            hint="nothing else learns towards scores",
        )
    return asked[0] if asked else None


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


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


def _deepened(model: DRFusion, blocks: tuple[int, int, int] | None) -> DRFusion:
    """The same with a denoiser of so many blocks at each resolution; what is new adds nothing yet.

    Raises :class:`DrfuseError` where that would be fewer than there are.
    """
    there = model.arch.denoiser_blocks
    if blocks is None or blocks == there:
        return model
    shallower = any(asked < have for asked, have in zip(blocks, there, strict=True))
    if model.denoiser is not None and shallower:
        raise DrfuseError(
            f"--denoiser-blocks {_listed(blocks)}: there are {_listed(there)} already",
            hint="a denoiser can be made deeper, not shallower",
        )
    made = _rebuilt(model, {"denoiser_blocks": list(blocks)})
    known = model.state_dict()
    with torch.no_grad():
        for name, weight in made.named_parameters():
            if name not in known and ".conv2." in name:
                weight.zero_()
    return made


_ALONE: dict[str, Callable[[DRFusion], DRFusion]] = {
    "freeze_encoder": _after_encoder,
    "steps_only": _steps,
    "fusion_only": _decoder,
    "denoiser_only": _denoiser,
}
"""By the option that asks for it."""

_OF_DENOISER = {
    "photographs": "pictures without a second source teach no fusion",
    "self_distil": "all else learns from the clean sources alone",
    "denoiser_blocks": "blocks that are new must learn",
}
"""Options that nothing else learns from, and why."""


def _only(model: DRFusion, part: nn.Module | None) -> DRFusion:
    assert part is not None
    model.requires_grad_(False)
    part.requires_grad_(True)
    return model


def _with_part(model: DRFusion, name: Literal["decoder", "denoiser"], size: int) -> DRFusion:
    """The same with a part that it may lack, before its first step."""
    if getattr(model.arch, name):
        return model
    return _rebuilt(model, {name: size})


def _listed(blocks: tuple[int, int, int]) -> str:
    return ",".join(map(str, blocks))


def _rebuilt(model: DRFusion, change: dict[str, Any]) -> DRFusion:
    grown = build_network({**model.arch.as_dict(), **change})
    assert isinstance(grown, DRFusion)
    grown.load_state_dict(model.state_dict(), strict=False)
    return grown.train()
