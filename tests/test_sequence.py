"""Sequences: settings that stay, frames that go together, and no flicker."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from drfuse_cli.config import Degradation, FuseOptions, Pair
from drfuse_cli.degradations import Overrides, assume
from drfuse_cli.engine import Engine
from drfuse_cli.errors import DrfuseError
from drfuse_cli.imageio import Image, write_image
from drfuse_cli.scenes import render
from drfuse_cli.sequence.frames import settled
from drfuse_cli.sequence.stages import ahead
from drfuse_cli.sequence.steady import MOST, evenly, settle, steady
from drfuse_cli.sources import Assumptions
from drfuse_cli.weights import load_weights

AUTO = Assumptions("ivif", "auto", Overrides())


@cache
def street() -> tuple[Image, Image]:
    return render("street-night", 320, 240, seed=3)


# ---- settings that stay -------------------------------------------------------------------------


def found(noise: float | None, blur: float | None = 0.0, **more: object) -> Degradation:
    """What one frame tells; None where it is in doubt."""
    origin = {
        name: "default" if value is None else "estimate"
        for name, value in (("noise_std", noise), ("blur_sigma", blur))
    }
    return replace(
        Degradation(noise or 0.0, blur or 0.0, origin={**origin, "sr_scale": "sizes"}), **more
    )


def test_the_middle_of_what_is_known() -> None:
    one = settle([found(4.0), found(None), found(5.0), found(250.0), found(None), found(5.0)])
    assert one.noise_std == 5.0
    assert one.origin["noise_std"] == "estimate"


def test_in_doubt_nothing() -> None:
    one = settle([found(4.0, 2.0), found(None, 2.2), found(None, None)])
    assert (one.noise_std, one.origin["noise_std"]) == (0.0, "default")
    assert (one.blur_sigma, one.origin["blur_sigma"]) == (2.1, "estimate")


def test_borders_and_what_was_seen_go_by_the_majority() -> None:
    dark = found(1.0, 2.0, zero_border=True, seen={"jpeg": 50.0})
    assert settle([dark, dark, found(1.0)]).zero_border
    assert settle([dark, dark, found(1.0)]).origin["zero_border"] == "estimate"
    one = settle([found(1.0), dark, found(1.0)])
    assert not one.zero_border
    assert "zero_border" not in one.origin
    assert settle([dark, found(1.0, seen={"jpeg": 60.0}), found(1.0)]).seen == {"jpeg": 55.0}


def test_flags_and_presets_are_not_averaged() -> None:
    ir, vis = crop(street(), 60, 40)
    told = Assumptions("ivif", "noise", Overrides(noise_std=(None, 3.0)))
    one, two = steady(told, [(ir, vis)] * 3)
    assert (one.noise_std, one.origin["noise_std"]) == (13.97, "preset")
    assert (two.noise_std, two.origin["noise_std"]) == (3.0, "flag")


def test_the_order_of_frames_changes_nothing() -> None:
    findings = [found(float(i % 7), float(i % 3)) for i in range(15)]
    mixed = [findings[i] for i in np.random.default_rng(0).permutation(15)]
    assert settle(mixed) == settle(findings)


def test_a_sample_spans_the_sequence() -> None:
    assert evenly(range(5)) == [0, 1, 2, 3, 4]
    sample = evenly(range(1000))
    assert (len(sample), sample[0], sample[-1]) == (MOST, 0, 999)
    assert max(np.diff(sample)) - min(np.diff(sample)) <= 1


def test_frames_in_a_folder(tmp_path: Path) -> None:
    pairs = []
    for number in range(4):
        ir, vis = noisy(crop(street(), 60, 40), number, (6.0, 9.0))
        pair = Pair(str(number), tmp_path / f"{number}i.png", tmp_path / f"{number}v.png")
        write_image(pair.source1, ir)
        write_image(pair.source2, vis)
        pairs.append(pair)
    pairs[1].source1.write_bytes(b"broken")  # said when its turn comes
    told = settled(AUTO, pairs)
    assert told.settled is not None
    assert told.settled[0].noise_std == pytest.approx(6, rel=0.2)
    for pair in pairs:
        pair.source2.unlink()
    with pytest.raises(DrfuseError, match=r"0v\.png: no such file"):
        settled(AUTO, pairs)


# ---- stages -------------------------------------------------------------------------------------


def test_a_stage_keeps_order_and_distance() -> None:
    begun: list[int] = []
    taken: list[int] = []
    furthest = 0

    def items() -> Iterator[int]:
        nonlocal furthest
        for number in range(50):
            furthest = max(furthest, number - len(taken))
            begun.append(number)
            yield number

    for item in ahead(items(), 3):
        taken.append(item)
        while len(taken) == 5 and len(begun) < 5 + 3 + 1:  # as far as it may
            time.sleep(0.001)
    assert taken == list(range(50))
    assert 3 <= furthest <= 3 + 1


def test_a_stage_passes_failures_on() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise ValueError("odd")

    made = ahead(items(), 2)
    assert next(made) == 1
    with pytest.raises(ValueError, match="odd"):
        next(made)


def test_a_stage_ends_with_its_reader() -> None:
    closed = threading.Event()

    def items() -> Iterator[int]:
        try:
            yield from range(1000)
        finally:
            closed.set()

    before = threading.active_count()
    made = ahead(items(), 2)
    next(made)
    made.close()
    assert closed.is_set()
    assert threading.active_count() == before


# ---- flicker ------------------------------------------------------------------------------------

SIZE = (96, 128)
FRAMES = 5


def noisy(images: tuple[Image, Image], seed: int, std: tuple[float, float]) -> tuple[Image, Image]:
    first, second = (
        Image(
            np.round(
                image.pixels
                + np.random.default_rng((seed, number)).normal(0, std[number], image.pixels.shape)
            )
            .clip(0, 255)
            .astype(np.uint8)
        )
        for number, image in enumerate(images)
    )
    return first, second


def crop(images: tuple[Image, Image], row: int, column: int) -> tuple[Image, Image]:
    first, second = (
        Image(image.pixels[row : row + SIZE[0], column : column + SIZE[1]].copy())
        for image in images
    )
    return first, second


def panned() -> list[tuple[Image, Image]]:
    """A camera that moves 2 pixels a frame along a rendered street."""
    scene = street()
    return [noisy(crop(scene, 60, 40 + 2 * i), i, (8.0, 8.0)) for i in range(FRAMES)]


def passed(frozen: bool) -> list[tuple[Image, Image]]:
    """A camera that stands still while something crosses the lower half of its picture.

    Where the noise is ``frozen``, nothing else changes in the files.
    """
    scene = street()
    frames = []
    for i in range(FRAMES):
        images = crop(scene, 60, 40)
        for image, whole in zip(images, scene, strict=True):
            image.pixels[60:90, 4 + 12 * i : 30 + 12 * i] = whole.pixels[150:180, 200:226]
        frames.append(noisy(images, 0 if frozen else i, (8.0, 8.0)))
    return frames


def luma(image: Image) -> np.ndarray:
    pixels = image.pixels.astype(float)
    return pixels @ [0.299, 0.587, 0.114] if image.colour else pixels


def changes(images: list[Image]) -> np.ndarray:
    """Absolute differences from frame to frame, in grey levels."""
    return np.abs(np.diff([luma(image) for image in images], axis=0))


def along(images: list[Image]) -> np.ndarray:
    """As `changes`, following the camera: what is left is no motion."""
    shown = np.array([luma(image) for image in images])
    return np.abs(shown[1:, 16:-16, 16:-18] - shown[:-1, 16:-16, 18:-16])


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine(load_weights(None, "ivif"), FuseOptions(device="cpu"))


def fused(engine: Engine, frames: list[tuple[Image, Image]]) -> list[Image]:
    degradations = steady(AUTO, frames)
    return [engine.fuse(*images, degradations).fused for images in frames]


@pytest.fixture(scope="module")
def pan(engine: Engine) -> tuple[list[Image], list[Image], list[Image]]:
    """Both sources and the fused frames of a moving camera."""
    return with_fused(engine, panned())


def with_fused(
    engine: Engine, frames: list[tuple[Image, Image]]
) -> tuple[list[Image], list[Image], list[Image]]:
    first, second = ([pair[k] for pair in frames] for k in (0, 1))
    return first, second, fused(engine, frames)


def test_fused_frames_change_no_more_than_their_sources(
    engine: Engine, pan: tuple[list[Image], list[Image], list[Image]]
) -> None:
    for first, second, made in (pan, with_fused(engine, passed(frozen=False))):
        assert changes(made).mean() <= max(changes(first).mean(), changes(second).mean())


def test_what_moves_with_the_camera_does_not_flicker(
    pan: tuple[list[Image], list[Image], list[Image]],
) -> None:
    first, second, made = (along(images).mean() for images in pan)
    assert made < 0.6 * min(first, second)


def test_what_stands_still_does_not_flicker(engine: Engine) -> None:
    frames = passed(frozen=True)
    still = slice(0, 40)
    assert changes(fused(engine, frames))[:, still].mean() < 0.3
    # The measure sees settings that follow the moment, as scattered as single estimates are.
    one, two = steady(AUTO, frames)
    scattered = [
        engine.fuse(*images, (replace(one, noise_std=one.noise_std * (1.4, 0.7)[i % 2]), two)).fused
        for i, images in enumerate(frames)
    ]
    assert changes(scattered)[:, still].mean() > 0.3


def test_single_estimates_scatter_more_than_settled_ones() -> None:
    scene = street()
    frames = [noisy(crop(scene, 20 + 5 * i, 11 * i), i, (3.0, 8.0)) for i in range(12)]
    single = [assume("ivif", "auto", Overrides(), images)[0].noise_std for images in frames]
    halves = [steady(AUTO, frames[i::2])[0].noise_std for i in (0, 1)]
    assert abs(halves[0] - halves[1]) < 0.5 * np.ptp(single)


# ---- looking at videos --------------------------------------------------------------------------


def test_times_without_a_clock() -> None:
    from drfuse_cli.sequence.look import _times
    from drfuse_cli.videoio import Colours, Video

    video = Video(
        "x", 4, 4, "h264", "gray", 8, False, Fraction(25), Fraction(1, 1000), 0, None, Colours(),
        None, False,
    )  # fmt: skip
    assert _times(video, [7, None, 9], Fraction(25)) == (0, 40, 80)
    assert _times(video, [5, 4, 9], Fraction(25)) == (0, 40, 80)
    assert _times(video, [5, 45, 90], Fraction(25)) == (0, 40, 85)
