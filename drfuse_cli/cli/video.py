"""``drfuse batch`` with two videos: one video out, the same settings from end to end."""

from __future__ import annotations

import hashlib
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drfuse_cli.cli import console
from drfuse_cli.cli.loading import load_engine
from drfuse_cli.cli.outputs import check_outputs
from drfuse_cli.config import FuseOptions
from drfuse_cli.degradations import describe
from drfuse_cli.errors import DrfuseError

if TYPE_CHECKING:
    from drfuse_cli.sequence.match import Match
    from drfuse_cli.sequence.video import Films
    from drfuse_cli.sources import Assumptions
    from drfuse_cli.videoio import CodecName

SCHEMA = "drfuse.video.plan/1"


@dataclass(frozen=True)
class VideoRequest:
    """What the flags ask for; ``batch_size`` None leaves the number of frames to the engine."""

    sources: tuple[Path, Path]
    output: Path
    save_sources: Path | None
    options: FuseOptions
    told: Assumptions
    codec: CodecName
    allow_unpaired: bool
    batch_size: int | None
    workers: int
    overwrite: bool
    sidecar: bool
    dry_run: bool
    as_json: bool

    @property
    def restored(self) -> tuple[Path, ...]:
        if self.save_sources is None:
            return ()
        names = (f"source{number}{self.output.suffix}" for number in (1, 2))
        return tuple(self.save_sources / name for name in names)

    @property
    def document(self) -> Path | None:
        return self.output.with_name(f"{self.output.name}.json") if self.sidecar else None


def refuse_flags(given: dict[str, bool]) -> None:
    """Raise ``DrfuseError`` for a flag that only folders know, where it was given."""
    for flag, is_given in given.items():
        if is_given:
            raise DrfuseError(
                f"{flag} does not go with videos",
                hint="A video is written in one piece. Folders of frames can be resumed, "
                "sharded and spread: see --sequence.",
            )


def fuse_video(request: VideoRequest) -> None:
    """Look at both videos, fuse them frame by frame, and write the video and its sidecar."""
    _check(request)
    started = time.perf_counter()
    if not request.dry_run:
        with console.working("loading the network"):
            weights, engine = load_engine(request.options)
    loaded = time.perf_counter()
    matched, films = _look(request)
    looked = time.perf_counter()
    if request.dry_run:
        _show_plan(request, matched, films)
        return
    from drfuse_cli.report.video import Run, video_document
    from drfuse_cli.sequence.video import fuse_videos

    for warning in weights.warnings:
        console.warn(warning)
    with console.counting("fusing", matched.frames, "frames") as advance:
        result = fuse_videos(
            matched, films, engine, workers=request.workers, batch=request.batch_size, tell=advance
        )
    seconds = {
        "load": loaded - started,
        "read": looked - loaded,
        "fuse": time.perf_counter() - looked,
        "write": 0.0,
    }
    for warning in result.last.warnings:
        console.warn(warning)
    rate = result.frames / seconds["fuse"]
    console.note(
        f"{result.frames} frames in {console.duration(seconds['fuse'])} ({rate:.3g} frames/s)"
    )
    first, second = map(_digest, request.sources)
    run = Run(request.options, matched, films, (first, second), weights, result, seconds)
    document = video_document(run)
    if request.document is not None:
        _write_json(request.document, document)
    if request.as_json:
        console.document(document)
    else:
        console.result(str(request.output))


def _check(request: VideoRequest) -> None:
    """Raise for outputs that cannot be written, and for inputs that are no files."""
    for path in request.sources:
        if os.path.isdir(path):
            raise DrfuseError(
                "is a folder, not a video",
                hint="Give two videos; or one folder that holds the frames of both, with "
                "--sequence.",
                path=path,
            )
    from drfuse_cli.videoio import check_container

    check_container(request.output, request.codec)
    outputs = [request.output, *request.restored]
    outputs += [request.document] if request.document is not None else []
    psfs = [Path(file) for file in request.told.overrides.psf if file]
    check_outputs(
        outputs,
        [*request.sources, *psfs],
        overwrite=request.overwrite,
        touch=not request.dry_run,
    )


def _look(request: VideoRequest) -> tuple[Match, Films]:
    from drfuse_cli.sequence.look import look_at_both
    from drfuse_cli.sequence.match import match
    from drfuse_cli.sequence.video import choose_films

    with console.working("looking at the videos"):
        looks = look_at_both(request.sources)
        matched = match(looks, request.told, request.allow_unpaired)
    films = choose_films(matched, request.output, request.restored, request.codec)
    for number, (look, assumed) in enumerate(zip(looks, matched.degradations, strict=True), 1):
        video, rate = look.video, float(look.rate)
        console.note(
            f"source {number} ({video.path}): {video.width}x{video.height}, {look.frames} frames, "
            f"{rate:.5g} a second; {describe(assumed)}"
        )
    if matched.told.stripes is not None:
        console.note(f"source 1: {matched.told.stripes.describe()}")
    if request.told.mode == "auto":
        console.note(f"estimates are medians over {matched.sampled} frames, and stay the same")
    for warning in matched.warnings:
        console.warn(warning)
    return matched, films


def _show_plan(request: VideoRequest, matched: Match, films: Films) -> None:
    from drfuse_cli.report.sidecar import operator_document

    target, (height, width) = films.fused, matched.size
    console.note(
        f"{matched.frames} frames of {width}x{height} to fuse, into {target.codec} "
        f"{target.pixel_format}; nothing was written"
    )
    if not request.as_json:
        first, second = request.sources
        console.result(f"{first} + {second} -> {target.path}")
        return
    console.document(
        {
            "schema": SCHEMA,
            "sources": [str(path) for path in request.sources],
            "output": str(target.path),
            "frames": matched.frames,
            "frame_rate": str(target.rate),
            "width": width,
            "height": height,
            "codec": target.codec,
            "pixel_format": target.pixel_format,
            "operators": [operator_document(one) for one in matched.degradations],
        }
    )


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _write_json(path: Path, document: dict[str, Any]) -> None:
    from drfuse_cli.imageio import write_bytes

    write_bytes(path, json.dumps(document, indent=2, allow_nan=False).encode() + b"\n")
