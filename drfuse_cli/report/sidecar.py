"""The sidecar ``drfuse.fuse/1``: what was fused, how, and enough to do it again."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from drfuse_cli import __version__
from drfuse_cli.config import Degradation, FuseOptions
from drfuse_cli.rig import Rig
from drfuse_cli.weights import default_weights

if TYPE_CHECKING:
    from drfuse_cli.engine import FuseResult, Fusion
    from drfuse_cli.imageio import Image
    from drfuse_cli.registration import Registration
    from drfuse_cli.sources.intake import Intake
    from drfuse_cli.weights import LoadedWeights

SCHEMA = "drfuse.fuse/1"
STDOUT = "-"
_NO_INTAKE = {"agc": None, "destripe": None, "fit": None}


@dataclass(frozen=True)
class Run:
    """One pair that went through the engine; ``seconds`` has load, read, fuse and write.

    ``registration``: ``None`` where nobody looked whether the sources lie on each other.
    ``intake``: ``None`` where levels and sizes are a matter of the reader.
    """

    options: FuseOptions
    images: tuple[Image, Image]
    degradations: tuple[Degradation, Degradation]
    weights: LoadedWeights
    result: FuseResult | Fusion
    output: str
    seconds: dict[str, float]
    warnings: list[str]
    registration: Registration | None = None
    intake: Intake | None = None
    rig: Rig = field(default_factory=Rig)
    reasons: tuple[str, ...] = ()
    """What spoke for the method, where it was not asked for."""


def fuse_document(run: Run) -> dict[str, Any]:
    """The document of one pair, ready for JSON; values that are not finite become null."""
    options, result = run.options, run.result
    return {
        "schema": SCHEMA,
        "version": __version__,
        "task": options.task,
        "method": options.method,
        "method_reasons": list(run.reasons),
        "inputs": [_input(run, index) for index in (0, 1)],
        "output": _image(run.output, result.fused),
        "operators": [operator_document(degradation) for degradation in run.degradations],
        **(run.intake.document() if run.intake else _NO_INTAKE),
        **run.rig.document(),
        "registration": run.registration.document() if run.registration else None,
        **method_document(options, run.weights, result.device, result.precision),
        "seed": options.seed,
        "seconds": {name: round(value, 4) for name, value in run.seconds.items()},
        "residuals": [
            {"rms": _finite(residual.rms), "expected": _finite(residual.expected)}
            for residual in result.residuals
        ],
        "warnings": run.warnings,
    }


def method_document(
    options: FuseOptions, weights: LoadedWeights, device: str, precision: str
) -> dict[str, Any]:
    """What turns sources into pixels, beside what is known of these."""
    return {
        "weights": {"name": weights.name, "sha256": weights.sha256},
        "steps": options.steps,
        "correction": options.correction != "none",
        "correction_mode": options.correction,
        "self_ensemble": options.self_ensemble,
        **(_restorer(options) if options.restore_first else {}),
        "device": device,
        "precision": precision,
        "tile": "auto" if options.tile is None else options.tile,
    }


def _restorer(options: FuseOptions) -> dict[str, Any]:
    entry = default_weights(options.task, "drfusion")
    return {
        "restore_first": True,
        "restored_by": {"name": entry.name, "sha256": entry.sha256},
    }


def arguments(document: dict[str, Any], output: str) -> list[str]:
    """The arguments of ``drfuse fuse``, or for a video ``batch``, that repeat a sidecar's run.

    ``output`` takes the place of the first run's. Nothing is estimated again: every operator
    is given by its value.
    """
    pairs = {
        "--task": document["task"],
        "--method": document["method"],
        "--degrade": "none",
        **_operator_flags(document["operators"], _noise_gains(document)),
        "--agc": (document.get("agc") or {"mode": "none"})["mode"],
        "--destripe": _destripe(document.get("destripe")),
        "--fit": (document.get("fit") or {"mode": "none"})["mode"],
        **_rig_flags(document),
        "--weights": document["weights"]["name"],
        "--steps": document["steps"],
        "--correction": document["correction_mode"],
        "--self-ensemble": document.get("self_ensemble", 1),
        "--device": document["device"],
        "--precision": document["precision"],
        "--tile": document["tile"],
        "--seed": document["seed"],
    }
    sources = [image["path"] for image in document["inputs"]]
    medical = document.get("medical")
    if medical is not None:
        pairs.update(_medical_flags(medical))
    flags = [str(word) for pair in pairs.items() for word in pair]
    if document.get("restore_first"):
        flags.append("--restore-first")
    if medical is not None and medical["ignore_geometry"]:
        flags.append("--ignore-geometry")
    command = "fuse"
    if "codec" in document["output"]:
        command, flags = "batch", [*flags, "--codec", document["output"]["codec"]]
    return [command, "-o", output, *flags, "--", *sources]


def _destripe(found: dict[str, Any] | None) -> str:
    """The flag that takes out what was taken out, asked for or found."""
    taken = [name for name in ("columns", "rows") if found and found[name] is not None]
    return "both" if len(taken) > 1 else (taken or ["none"])[0]


def _rig_flags(document: dict[str, Any]) -> dict[str, str]:
    registration = document.get("registration") or {"mode": "none"}
    flags = {"--profile": "none", "--register": registration["mode"]}
    if registration["mode"] == "fixed":
        flags.update({"--register": "none", "--motion": registration["motion"]})
    if crops := document.get("crop"):
        flags["--crop"] = ",".join(str(side) for crop in crops for side in crop)
    return flags


def _medical_flags(medical: dict[str, Any]) -> dict[str, str]:
    flags = {"--axis": medical["axis"], "--colormap": medical["colormap"]}
    if medical["slice"] is not None:
        flags["--slice"] = ",".join(map(str, medical["slice"]))
    if medical["window"] is not None:
        flags["--window"] = medical["window"]
    return flags


def _noise_gains(document: dict[str, Any]) -> list[float]:
    """By how much the noise that a flag gives for each file grows on the way to the operators."""
    levels = (document.get("agc") or {}).get("sources", [None, None])
    changes = (document.get("fit") or {}).get("sources", [None, None])
    return [
        math.prod(one["noise_gain"] for one in both if one)
        for both in zip(levels, changes, strict=True)
    ]


def _operator_flags(operators: list[dict[str, Any]], gains: list[float]) -> dict[str, str]:
    first, second = (
        {**operator, "noise_std": operator["noise_std"] / gain}
        for operator, gain in zip(operators, gains, strict=True)
    )
    names = {"noise_std": "--noise-std", "blur_sigma": "--blur-sigma", "sr_scale": "--sr-scale"}
    flags = {flag: f"{first[name]},{second[name]}" for name, flag in names.items()}
    if first["psf"] or second["psf"]:
        flags["--psf"] = f"{first['psf'] or 'none'},{second['psf'] or 'none'}"
    return flags


def _input(run: Run, index: int) -> dict[str, Any]:
    """A source as it stands in its file."""
    image, fitting = run.images[index], run.intake and run.intake.fitting
    document = _image(image.path, image, sha256=image.sha256)
    if image.unit is not None:
        document["bit_depth"] = 32
    if fitting:
        document["height"], document["width"] = fitting.changes[index].size
    margins = run.rig.crop[index]
    document["height"] += margins.down
    document["width"] += margins.across
    return document


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
        **({"seen": dict(degradation.seen)} if degradation.seen else {}),
    }


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
