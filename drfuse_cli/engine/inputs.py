"""What the sampler is given of prepared pairs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from drfuse_cli.engine.prepared import Planes, Prepared
from drfuse_cli.operators.build import equivalent_sigma
from drfuse_cli.operators.operator import Operator
from drfuse_cli.samplers.observation import (
    CHROMA,
    SOURCE1,
    SOURCE2,
    Inputs,
    Observation,
    describe,
    noise_variance,
)


def make_inputs(
    pairs: Sequence[Prepared], operators: Sequence[Operator], device: torch.device
) -> Inputs:
    """Pairs of one ``key`` on their way to ``device``; ``operators`` are those of both sources."""

    def seen(index: int, channels: slice) -> Observation:
        sources = [pair.sources[index] for pair in pairs]
        return _observe(sources, operators[index], channels, device)

    observations = [seen(0, SOURCE1), seen(1, SOURCE2)]
    colour = pairs[0].colour_source
    if colour is not None:
        observations.append(seen(colour, CHROMA))
    return Inputs(tuple(observations), _describe(pairs).to(device))


def _observe(
    sources: Sequence[Planes], operator: Operator, channels: slice, device: torch.device
) -> Observation:
    parts = [source.chroma_part if channels == CHROMA else source.luma_part for source in sources]
    clean = torch.tensor([source.degradation.is_clean for source in sources])
    gain = torch.tensor([part.gain for part in parts])
    variance = noise_variance(torch.tensor([part.noise for part in parts]), clean, gain)
    levels = [part.levels for part in parts if part.levels is not None]
    level = torch.tensor(levels)[..., None, None].to(device) if levels else None
    y = _send([part.planes for part in parts], device)
    return Observation(operator, y, variance.to(device), channels, level)


def _describe(pairs: Sequence[Prepared]) -> Tensor:
    both = [pair.sources for pair in pairs]
    colours = [pair.colour_source for pair in pairs]
    chroma = [
        0.0 if colour is None else sources[colour].chroma_noise
        for colour, sources in zip(colours, both, strict=True)
    ]
    return describe(
        torch.tensor([[source.luma_noise for source in sources] for sources in both]),
        torch.tensor([[equivalent_sigma(s.degradation) for s in sources] for sources in both]),
        torch.tensor([[float(s.degradation.sr_scale) for s in sources] for sources in both]),
        torch.tensor(chroma),
        torch.tensor([0 if colour is None else colour + 1 for colour in colours]),
    )


def _send(planes: list[np.ndarray], device: torch.device) -> Tensor:
    stacked = torch.from_numpy(np.stack(planes).astype(np.float32, copy=False))
    if device.type == "cuda":
        stacked = stacked.pin_memory()
    return stacked.to(device, non_blocking=True)
