"""A command line run in this process, and an engine that is quick and honest about its input."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from drfuse_cli.cli.app import run
from drfuse_cli.config import Degradation, FuseOptions
from drfuse_cli.imageio import Image, write_image

TINY_WEIGHTS = {"name": "tiny", "sha256": "0" * 64}


@dataclass(frozen=True)
class Done:
    code: int
    out: bytes
    err: str

    @property
    def text(self) -> str:
        return self.out.decode()


class Cli:
    """Runs ``drfuse`` through its funnel, with what it printed."""

    def __init__(self, capture: pytest.CaptureFixture[bytes]) -> None:
        self.capture = capture

    def __call__(self, *arguments: str | Path, code: int = 0) -> Done:
        self.capture.readouterr()
        found = run([str(word) for word in arguments])
        out, err = self.capture.readouterr()
        done = Done(found, out, err.decode())
        assert found == code, done.err
        if code:
            assert "Traceback" not in done.err
            assert sum(line.startswith("error: ") for line in done.err.splitlines()) == 1
        return done


@dataclass
class FakeWeights:
    """What the command line reads of loaded weights."""

    name: str = TINY_WEIGHTS["name"]
    sha256: str = TINY_WEIGHTS["sha256"]
    warnings: tuple[str, ...] = ()


class FakeEngine:
    """Averages the enlarged sources, shifted by a digest of everything it was told."""

    calls: list[tuple[FuseOptions, tuple[Degradation, Degradation]]]
    failure: BaseException | None = None

    def __init__(self, weights: FakeWeights, options: FuseOptions) -> None:
        self.options = options

    def fuse(
        self, first: Image, second: Image, degradations: tuple[Degradation, Degradation]
    ) -> Any:
        type(self).calls.append((self.options, degradations))
        if self.failure is not None:
            raise self.failure
        sources = self._restore(first, degradations[0]), self._restore(second, degradations[1])
        return self._result(sources, degradations, max(first.bits, second.bits))

    @staticmethod
    def _restore(image: Image, degradation: Degradation) -> Image:
        s = degradation.sr_scale
        return Image(image.pixels.repeat(s, 0).repeat(s, 1))

    def _result(
        self, sources: tuple[Image, Image], degradations: tuple[Degradation, Degradation], bits: int
    ) -> Any:
        from drfuse_cli.engine import FuseResult, Residual

        operators = [(d.noise_std, float(d.blur_sigma), d.sr_scale, d.psf) for d in degradations]
        told = hashlib.sha256(repr((self.options, operators)).encode()).digest()[:3]
        height = min(image.height for image in sources)
        width = min(image.width for image in sources)
        dtype = np.uint8 if bits == 8 else np.uint16
        fused = np.tile(np.frombuffer(told, np.uint8).astype(dtype), (height, width, 1))
        if not any(image.colour for image in sources):
            fused = fused[..., 0]
        plane = np.linspace(0, 1, height * width).reshape(height, width)
        state = {"t": np.array(1), "x1": plane, "x2": plane, "f": plane, "m": plane}
        residual = Residual(1.5, degradations[0].noise_std, 6 * plane - 3)
        return FuseResult(
            fused=Image(fused),
            sources=sources,
            weight_map=plane,
            states=[state] * self.options.steps if self.options.keep_states else [],
            residuals=(residual, residual),
            seconds=0.25,
            warnings=[],
            device="cpu",
            precision="fp32",
        )


def use_fake_engine(monkeypatch: pytest.MonkeyPatch) -> type[FakeEngine]:
    """Put a fresh fake engine and fake weights where the command line finds the real ones."""
    fresh = type("FreshEngine", (FakeEngine,), {"calls": [], "failure": None})
    monkeypatch.setattr("drfuse_cli.engine.Engine", fresh)
    monkeypatch.setattr("drfuse_cli.weights.load_weights", lambda *a, **k: FakeWeights())
    return fresh


def noise(height: int, width: int, *, colour: bool = False, bits: int = 8, seed: int = 0) -> Image:
    """Random pixels around a middle grey."""
    rng = np.random.default_rng(seed)
    shape = (height, width, 3) if colour else (height, width)
    levels = rng.normal(120, 8, shape).clip(0, 255)
    return Image(np.round(levels * (1 if bits == 8 else 257)).astype(f"uint{bits}"))


def save(path: Path, image: Image) -> Path:
    write_image(path, image)
    return path
