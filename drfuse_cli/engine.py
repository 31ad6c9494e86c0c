"""Runs a model on image pairs: devices, precision, tiles, pixels in, pixels out."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from drfuse_cli.colour import CHROMA_NOISE_GAIN, LUMA_NOISE_GAIN, join, split
from drfuse_cli.config import Degradation, FuseOptions
from drfuse_cli.errors import DrfuseError, ExitCode
from drfuse_cli.imageio import Image
from drfuse_cli.model import DRFusion
from drfuse_cli.networks.precision import choose_precision
from drfuse_cli.operators.build import border_coverage, build_operator, equivalent_sigma
from drfuse_cli.operators.grid import Grid
from drfuse_cli.samplers.observation import (
    CHROMA,
    SOURCE1,
    SOURCE2,
    Inputs,
    Observation,
    describe,
    gather,
    noise_variance,
)
from drfuse_cli.weights import LoadedWeights

Degradations = tuple[Degradation, Degradation]

_TILE = 1024
_WHOLE_LIMIT = 4_000_000
"""Pixels up to which an image goes through the network whole."""


@dataclass(frozen=True)
class Residual:
    """What the restored source leaves unexplained, ``A x - y`` in grey levels (0..255)."""

    rms: float
    expected: float
    map: np.ndarray


@dataclass(frozen=True)
class FuseResult:
    """A fused pair; images at full size, ``weight_map`` is the share of source 1 in 0..1."""

    fused: Image
    sources: tuple[Image, Image]
    weight_map: np.ndarray
    states: list[dict[str, np.ndarray]]
    residuals: tuple[Residual, Residual]
    seconds: float
    warnings: list[str]
    device: str
    precision: str


def choose_device(asked: str) -> torch.device:
    """``auto`` takes CUDA, then Apple's MPS, then the processor.

    Raises DrfuseError (environment) where the named device is not there.
    """
    has_mps = torch.backends.mps.is_available()
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": has_mps}
    if asked == "auto":
        asked = "cuda" if available["cuda"] else "mps" if has_mps else "cpu"
    if not available.get(asked.split(":")[0], False):
        raise DrfuseError(
            f"device {asked!r} is not available here",
            hint="use --device cpu, or see what `drfuse doctor` finds",
            code=ExitCode.ENVIRONMENT,
        )
    return torch.device(asked)


@dataclass(frozen=True)
class _Planes:
    """One source as numbers: luminance ``h x w``, chroma ``2 x h x w`` or none, its degradation."""

    luma: np.ndarray
    chroma: np.ndarray | None
    degradation: Degradation

    @property
    def luma_noise(self) -> float:
        gain = LUMA_NOISE_GAIN if self.chroma is not None else 1.0
        return float(self.degradation.noise_std * gain)

    @property
    def chroma_noise(self) -> float:
        return self.degradation.noise_std * CHROMA_NOISE_GAIN


def _planes(image: Image, degradation: Degradation, grid: Grid) -> _Planes:
    luma, chroma = split(image)
    luma = grid.extend(luma, degradation.sr_scale)
    chroma = None if chroma is None else grid.extend(chroma, degradation.sr_scale)
    if degradation.zero_border:
        coverage = border_coverage(degradation, grid.canvas).astype(np.float32)
        luma = luma / coverage
        chroma = None if chroma is None else chroma / coverage
    return _Planes(luma, chroma, degradation)


class Engine:
    """One model on one device; pairs go through it one call at a time.

    Raises DrfuseError where the device is missing, the sources do not fit together, memory
    runs out, or the network returns something that is not a number.
    """

    def __init__(self, weights: LoadedWeights, options: FuseOptions) -> None:
        self.options = options
        self.device = choose_device(options.device)
        self.precision = choose_precision(self.device, options.precision)
        torch.manual_seed(options.seed)
        model = weights.network()
        assert isinstance(model, DRFusion)
        self.model = model.eval().to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def fuse(self, first: Image, second: Image, degradations: Degradations) -> FuseResult:
        """Restores and fuses one pair; the output has the size of the larger source."""
        started = time.perf_counter()
        sizes = (first.height, first.width), (second.height, second.width)
        grid = Grid.of(sizes, (degradations[0].sr_scale, degradations[1].sr_scale))
        sources = (
            _planes(first, degradations[0], grid),
            _planes(second, degradations[1], grid),
        )
        states: list[dict[str, np.ndarray]] = []
        last: dict[str, Tensor] = {}

        def watch(t: int, X_bar: Tensor, m: Tensor) -> None:
            last["m"] = m
            if self.options.keep_states:
                states.append(_snapshot(t, X_bar, m, grid))

        with torch.no_grad():
            inputs = self._inputs(sources, grid)
            state = self._run(inputs, grid, watch)
            residuals = tuple(
                _residual(seen, state, source.luma_noise)
                for seen, source in zip(inputs.observations, sources, strict=False)
            )
        pixels = _crop(state, grid)
        if not np.isfinite(pixels).all():
            raise DrfuseError(
                "the network returned values that are not numbers",
                hint="try --precision fp32; `drfuse weights verify` checks the weights",
                code=ExitCode.FAILED,
            )
        bits = max(first.bits, second.bits)
        chroma = pixels[3:] if any(s.chroma is not None for s in sources) else None
        return FuseResult(
            fused=join(pixels[2], chroma, bits),
            sources=self._restored(pixels, sources, (first.bits, second.bits), grid),
            weight_map=_crop(last["m"], grid)[0],
            states=states,
            residuals=(residuals[0], residuals[1]),
            seconds=time.perf_counter() - started,
            warnings=[],
            device=str(self.device),
            precision=self.precision,
        )

    def _inputs(self, sources: tuple[_Planes, _Planes], grid: Grid) -> Inputs:
        operators = [
            build_operator(s.degradation, grid.canvas, device=self.device) for s in sources
        ]

        def seen(index: int, planes: np.ndarray, std: float, channels: slice) -> Observation:
            untouched = torch.tensor([sources[index].degradation.is_clean])
            variance = noise_variance(torch.tensor([std]), untouched).to(self.device)
            y = torch.from_numpy(np.ascontiguousarray(planes, np.float32)).to(self.device)
            return Observation(operators[index], y[None], variance, channels)

        observations = [
            seen(0, sources[0].luma[None], sources[0].luma_noise, SOURCE1),
            seen(1, sources[1].luma[None], sources[1].luma_noise, SOURCE2),
        ]
        colour = _colour_source(sources)
        chroma_noise = 0.0
        if colour is not None:
            chroma = sources[colour].chroma
            assert chroma is not None
            chroma_noise = sources[colour].chroma_noise
            observations.append(seen(colour, chroma, chroma_noise, CHROMA))
        condition = describe(
            torch.tensor([[s.luma_noise for s in sources]]),
            torch.tensor([[equivalent_sigma(s.degradation) for s in sources]]),
            torch.tensor([[float(s.degradation.sr_scale) for s in sources]]),
            torch.tensor([chroma_noise]),
            torch.tensor([0 if colour is None else colour + 1]),
        )
        return gather(tuple(observations), condition.to(self.device))

    def _run(self, inputs: Inputs, grid: Grid, watch: object) -> Tensor:
        o = self.options
        tile = o.tile
        if tile is None:
            tile = _TILE if grid.canvas[0] * grid.canvas[1] > _WHOLE_LIMIT else 0
        try:
            state: Tensor = self.model(inputs, o.steps, o.correction, self.precision, watch, tile)
        except (torch.OutOfMemoryError, MemoryError):
            raise DrfuseError(
                f"not enough memory on {self.device} for {grid.shape[1]}x{grid.shape[0]} pixels",
                hint="give a smaller --tile, for example --tile 256",
                code=ExitCode.ENVIRONMENT,
            ) from None
        return state

    def _restored(
        self,
        pixels: np.ndarray,
        sources: tuple[_Planes, _Planes],
        bits: tuple[int, int],
        grid: Grid,
    ) -> tuple[Image, Image]:
        """Both sources at full size; one whose chroma was not in the state has it lifted."""
        colour = _colour_source(sources)
        images = []
        for index, source in enumerate(sources):
            chroma = None
            if index == colour:
                chroma = pixels[3:]
            elif source.chroma is not None:
                chroma = self._lift_chroma(source, grid)
            images.append(join(pixels[index], chroma, bits[index]))
        return images[0], images[1]

    def _lift_chroma(self, source: _Planes, grid: Grid) -> np.ndarray:
        operator = build_operator(source.degradation, grid.canvas, device=self.device)
        variance = noise_variance(torch.tensor([source.chroma_noise]), torch.tensor([False]))
        assert source.chroma is not None
        y = torch.from_numpy(np.ascontiguousarray(source.chroma)).to(self.device)[None]
        return _crop(Observation(operator, y, variance.to(self.device), CHROMA).lift(), grid)


def _colour_source(sources: tuple[_Planes, _Planes]) -> int | None:
    """Colour comes from whichever source has it, from source 2 when both have."""
    for index in (1, 0):
        if sources[index].chroma is not None:
            return index
    return None


def _crop(x: Tensor, grid: Grid) -> np.ndarray:
    height, width = grid.shape
    cut: np.ndarray = x[0, :, :height, :width].float().cpu().numpy()
    return cut


def _snapshot(t: int, X_bar: Tensor, m: Tensor, grid: Grid) -> dict[str, np.ndarray]:
    x1, x2, f = _crop(X_bar[:, :3], grid)
    return {"t": np.array(t), "x1": x1, "x2": x2, "f": f, "m": _crop(m, grid)[0]}


def _residual(seen: Observation, state: Tensor, expected: float) -> Residual:
    r = 255 * (seen.operator.A(state[:, seen.channels]) - seen.y)[0, 0]
    return Residual(float(r.square().mean().sqrt()), expected, r.cpu().numpy())
