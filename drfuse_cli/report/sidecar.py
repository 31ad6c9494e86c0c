"""The sidecar ``drfuse.fuse/1``: what was fused, how, and enough to do it again."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from drfuse_cli import __version__
from drfuse_cli.config import Degradation, FuseOptions

if TYPE_CHECKING:
    from drfuse_cli.engine import FuseResult
    from drfuse_cli.imageio import Image
    from drfuse_cli.weights import LoadedWeights

SCHEMA = "drfuse.fuse/1"
STDOUT = "-"


@dataclass(frozen=True)
class Run:
    """One pair that went through the engine; ``seconds`` has load, read, fuse and write."""

    options: FuseOptions
    images: tuple[Image, Image]
    degradations: tuple[Degradation, Degradation]
    weights: LoadedWeights
    result: FuseResult
    output: str
    seconds: dict[str, float]
    warnings: list[str]


def fuse_document(run: Run) -> dict[str, Any]:
    """The document of one pair, ready for JSON; values that are not finite become null."""
    options, result = run.options, run.result
    return {
        "schema": SCHEMA,
        "version": __version__,
        "task": options.task,
        "method": options.method,
        "inputs": [_image(image.path, image, sha256=image.sha256) for image in run.images],
        "output": _image(run.output, result.fused),
        "operators": [operator_document(degradation) for degradation in run.degradations],
        "weights": {"name": run.weights.name, "sha256": run.weights.sha256},
        "steps": options.steps,
        "correction": options.correction != "none",
        "correction_mode": options.correction,
        "device": result.device,
        "precision": result.precision,
        "tile": "auto" if options.tile is None else options.tile,
        "seed": options.seed,
        "seconds": {name: round(value, 4) for name, value in run.seconds.items()},
        "residuals": [
            {"rms": _finite(residual.rms), "expected": _finite(residual.expected)}
            for residual in result.residuals
        ],
        "warnings": run.warnings,
    }


def arguments(document: dict[str, Any], output: str) -> list[str]:
    """The arguments of ``drfuse fuse`` that repeat the run of a sidecar.

    ``output`` takes the place of the first run's. Nothing is estimated again: every operator
    is given by its value.
    """
    pairs = {
        "--task": document["task"],
        "--method": document["method"],
        "--degrade": "none",
        **_operator_flags(document["operators"]),
        "--weights": document["weights"]["name"],
        "--steps": document["steps"],
        "--correction": document["correction_mode"],
        "--device": document["device"],
        "--precision": document["precision"],
        "--tile": document["tile"],
        "--seed": document["seed"],
    }
    sources = [image["path"] for image in document["inputs"]]
    flags = [str(word) for pair in pairs.items() for word in pair]
    return ["fuse", "-o", output, *flags, "--", *sources]


def _operator_flags(operators: list[dict[str, Any]]) -> dict[str, str]:
    first, second = operators
    names = {"noise_std": "--noise-std", "blur_sigma": "--blur-sigma", "sr_scale": "--sr-scale"}
    flags = {flag: f"{first[name]},{second[name]}" for name, flag in names.items()}
    if first["psf"] or second["psf"]:
        flags["--psf"] = f"{first['psf'] or 'none'},{second['psf'] or 'none'}"
    return flags


def _image(path: str | None, image: Image, **more: str | None) -> dict[str, Any]:
    return {
        "path": path,
        **more,
        "width": image.width,
        "height": image.height,
        "bit_depth": image.bits,
        "colour": image.colour,
    }


def operator_document(degradation: Degradation) -> dict[str, Any]:
    return {
        "noise_std": float(degradation.noise_std),
        "blur_sigma": float(degradation.blur_sigma),
        "sr_scale": degradation.sr_scale,
        "psf": degradation.psf_name,
        "zero_border": degradation.zero_border,
        "origin": dict(degradation.origin),
    }


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
