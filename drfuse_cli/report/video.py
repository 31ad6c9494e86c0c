"""The sidecar ``drfuse.video/1``: the document of a pair, for all frames of two videos at once."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from drfuse_cli.config import FuseOptions
from drfuse_cli.report import sidecar

if TYPE_CHECKING:
    from drfuse_cli.sequence.look import Look
    from drfuse_cli.sequence.match import Match
    from drfuse_cli.sequence.video import Films, Result
    from drfuse_cli.weights import LoadedWeights

SCHEMA = "drfuse.video/1"


@dataclass(frozen=True)
class Run:
    """Two videos that went through the engine; ``digests`` of their files."""

    options: FuseOptions
    matched: Match
    films: Films
    digests: tuple[str, str]
    weights: LoadedWeights
    result: Result
    seconds: dict[str, float]


def video_document(run: Run) -> dict[str, Any]:
    """The document of a fused video, ready for JSON; residuals are over all frames."""
    matched, result, target = run.matched, run.result, run.films.fused
    warnings = [*matched.warnings, *run.weights.warnings, *result.last.warnings]
    document = sidecar.fuse_document(
        sidecar.Run(
            run.options,
            result.images,
            matched.degradations,
            run.weights,
            result.last,
            str(target.path),
            run.seconds,
            warnings,
            matched.registration,
            rig=matched.told.rig,
        )
    )
    document["destripe"] = matched.told.common_stripes()
    for entry, digest, look in zip(document["inputs"], run.digests, matched.looks, strict=True):
        entry.update({"sha256": digest, **_facts(look)})
    for entry, rms in zip(document["residuals"], result.rms, strict=True):
        entry["rms"] = rms
    document["output"].update(
        frames=result.frames,
        frame_rate=_rate(target.rate),
        codec=target.codec,
        pixel_format=target.pixel_format,
    )
    rate = result.frames / run.seconds["fuse"] if run.seconds["fuse"] else 0.0
    return {
        **document,
        "schema": SCHEMA,
        "sampled_frames": matched.sampled,
        "frames_per_second": round(rate, 3),
    }


def _facts(look: Look) -> dict[str, Any]:
    video = look.video
    return {
        "frames": look.frames,
        "frame_rate": _rate(look.rate),
        "codec": video.codec,
        "pixel_format": video.pixel_format,
        "rotation": video.rotation,
    }


def _rate(rate: Fraction) -> str:
    """``25`` or ``30000/1001``, as FFmpeg takes it."""
    return str(rate)
