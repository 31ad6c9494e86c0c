"""Sizes that do not go together: what is cut, what is resampled, and what stays in place."""

from __future__ import annotations

import numpy as np
import pytest

from drfuse_cli.config import Fit
from drfuse_cli.degradations import Overrides, scales_of
from drfuse_cli.errors import DrfuseError
from drfuse_cli.imageio import Image
from drfuse_cli.sources.fitting import Fitting, fit, plan

NONE = Overrides()


def blank(width: int, height: int, *, colour: bool = False, bits: int = 8) -> Image:
    shape = (height, width, 3) if colour else (height, width)
    return Image(np.zeros(shape, f"uint{bits}"))


def ramp(width: int, height: int) -> Image:
    """Every pixel tells where it lies, from border to border 0..1 of 16 bits."""
    x, y = (np.arange(width) + 0.5) / width, (np.arange(height) + 0.5) / height
    return Image(np.round(65535 * (0.8 * x + 0.2 * y[:, None])).astype(np.uint16))


@pytest.mark.parametrize(
    ("first", "second", "box", "resized"),
    [
        ((160, 120), (1024, 768), (0, 0, 1024, 768), (960, 720)),
        ((160, 120), (1920, 1080), (240, 0, 1440, 1080), (1440, 1080)),
        ((640, 512), (1920, 1080), (285, 0, 1350, 1080), (1280, 1024)),
        ((640, 480), (1280, 1024), (0, 32, 1280, 960), (1280, 960)),
        ((640, 480), (800, 600), (0, 0, 800, 600), (640, 480)),
        ((8, 6), (400, 300), (0, 0, 400, 300), (256, 192)),  # no more than 32 times
    ],
)
def test_what_crop_does(
    first: tuple[int, int],
    second: tuple[int, int],
    box: tuple[int, int, int, int],
    resized: tuple[int, int],
) -> None:
    images = blank(*first), blank(*second, colour=True)
    (one, two), fitting = fit(images, "crop", NONE)
    assert fitting is not None
    assert one.pixels.shape == images[0].pixels.shape
    assert (two.width, two.height) == resized
    assert fitting.changes[1].box == box
    (line,) = fitting.describe()
    assert line.startswith("source 2: ")
    assert ("cropped from" in line) == (box[2:] != second)
    assert (f"resampled to {resized[0]}x{resized[1]}" in line) == (box[2:] != resized)
    (two, one), other = fit(images[::-1], "crop", NONE)
    assert other is not None
    assert other.changes == fitting.changes[::-1]


@pytest.mark.parametrize("mode", ["crop", "letterbox"])
def test_all_sizes_go_together_afterwards(mode: Fit) -> None:
    rng, crossing = np.random.default_rng(0), 0
    for _ in range(400):
        a, b, c, d = rng.integers(1, 90, 4).tolist()
        images = blank(a, b), blank(c, d)
        try:
            (one, two), fitting = fit(images, mode, NONE)
        except DrfuseError:
            crossing += 1
            continue
        scales_of(NONE, ((one.height, one.width), (two.height, two.width)))
        for change, image in zip(fitting.changes if fitting else (), images, strict=False):
            left, top, width, height = change.box
            right, bottom = image.width - left - width, image.height - top - height
            assert 0 <= right - left <= 1
            assert 0 <= bottom - top <= 1
    assert (crossing > 0) == (mode == "letterbox")


@pytest.mark.parametrize("mode", ["none", "crop", "letterbox"])
@pytest.mark.parametrize(
    "sizes", [((24, 18), (96, 72)), ((24, 18), (97, 73)), ((20, 20), (20, 20))]
)
def test_what_goes_together_is_left_alone(
    mode: Fit, sizes: tuple[tuple[int, int], tuple[int, int]]
) -> None:
    images = blank(*sizes[0]), blank(*sizes[1])
    taken, fitting = fit(images, mode, NONE)
    assert taken is images
    assert fitting is None


def test_none_leaves_the_refusal_to_others() -> None:
    images = blank(160, 120), blank(1920, 1080)
    assert fit(images, "none", NONE) == (images, None)
    with pytest.raises(DrfuseError) as caught:
        scales_of(NONE, ((120, 160), (1080, 1920)))
    assert "--fit crop" in str(caught.value.hint)


def test_the_field_stays_where_it_was() -> None:
    """Both saw the same ramp; after cropping and resampling they still agree everywhere."""
    field = ramp(1600, 1080).pixels
    wide = np.pad(field, ((0, 0), (160, 160)))  # 1920 x 1080
    thermal = ramp(160, 108)
    (one, two), fitting = fit((thermal, Image(wide)), "crop", NONE)
    assert fitting is not None
    assert fitting.changes[1].box == (160, 0, 1600, 1080)
    pooled = two.pixels.reshape(108, 10, 160, 10).mean((1, 3))
    assert np.abs(pooled - one.pixels.astype(float)).max() < 65535 / 1600

    (one, two), fitting = fit((thermal, ramp(1024, 691)), "crop", NONE)
    assert two.pixels.shape == (648, 960)
    pooled = two.pixels.reshape(108, 6, 160, 6).mean((1, 3))
    assert np.abs(pooled - one.pixels.astype(float)).max() < 65535 / 500


def test_noise_after_resampling() -> None:
    noise = np.random.default_rng(0).normal(30000, 2000, (768, 1024)).astype(np.uint16)
    (_, two), fitting = fit((blank(160, 120), Image(noise)), "crop", NONE)
    assert fitting is not None
    assert two.pixels.std() == pytest.approx(2000 * fitting.changes[1].noise_gain, rel=0.01)
    assert fitting.changes[0].noise_gain == 1


def test_sr_scale_says_the_multiple() -> None:
    images = blank(160, 120), blank(1024, 768)
    (_, two), _ = fit(images, "crop", Overrides(sr_scale=(4, 1)))
    assert (two.width, two.height) == (640, 480)
    (_, two), _ = fit(images, "crop", Overrides(sr_scale=(8, 2)))
    assert (two.width, two.height) == (640, 480)
    with pytest.raises(DrfuseError, match="no whole multiple"):
        fit(images, "crop", Overrides(sr_scale=(3, 2)))
    with pytest.raises(DrfuseError, match="would enlarge source 2 from 1024x768 to 1120x840"):
        fit(images, "crop", Overrides(sr_scale=(7, 1)))


# ---- letterbox ----------------------------------------------------------------------------------


def letterboxed(first: Image, second: Image) -> tuple[tuple[Image, Image], Fitting]:
    taken, fitting = fit((first, second), "letterbox", NONE)
    assert fitting is not None
    return taken, fitting


def test_letterbox_keeps_the_larger_field() -> None:
    thermal = ramp(160, 120)
    (one, two), fitting = letterboxed(thermal, blank(1920, 1080, colour=True))
    assert (one.width, one.height) == (212, 120)
    assert (two.width, two.height) == (1908, 1080)  # 6 pixels a side are less than one
    np.testing.assert_array_equal(one.pixels[:, 26:-26], thermal.pixels)
    np.testing.assert_array_equal(one.pixels[:, 25], thermal.pixels[:, 0])
    first, second = fitting.describe()
    assert first == "source 1: nothing is seen by it 26 pixels left and right"
    assert "to 1908x1080 at 6,0" in second
    tall, fitting = letterboxed(ramp(160, 90), blank(640, 480))
    assert (tall[0].height, tall[1].height) == (120, 480)
    assert "15 above and below" in fitting.describe()[0]
    alike, fitting = letterboxed(blank(640, 480), blank(640, 512))
    assert (alike[0].height, alike[1].height) == (512, 512)


def test_outside_the_common_field_stands_only_who_sees_it() -> None:
    fitting = plan(((120, 160), (1080, 1920)), "letterbox", NONE)
    size = (1080, 1908)
    fused = Image(np.full((*size, 3), 50000, np.uint16))
    sources = Image(np.full(size, 30000, np.uint16)), Image(np.full((*size, 3), 100, np.uint8))
    shown = fitting.fused(fused, sources).pixels
    assert (shown[:, 234:-234] == 50000).all()
    assert (shown[:, :234] == 25700).all()
    assert (shown[:, -234:] == 25700).all()
    one, two = fitting.restored(sources)
    assert (one.pixels[:, :234] == 0).all()
    assert (one.pixels[:, 234:-234] == 30000).all()
    assert two is sources[1]
    swapped = plan(((1080, 1920), (120, 160)), "letterbox", NONE)
    assert (swapped.fused(fused, sources).pixels[:, 0] == 30000).all()
    assert (swapped.restored((sources[1], sources[0]))[1].pixels[:, 0] == 0).all()


def test_crop_and_equal_shapes_have_no_outside() -> None:
    image = blank(960, 720)
    for fitting in (
        plan(((120, 160), (1080, 1920)), "crop", NONE),
        plan(((120, 160), (768, 1024)), "letterbox", NONE),
    ):
        assert fitting.fused(image, (image, image)) is image
        assert fitting.restored((image, image)) == (image, image)


def test_letterbox_of_fields_that_cross() -> None:
    with pytest.raises(DrfuseError, match="each source sees much") as caught:
        fit((blank(640, 480), blank(1000, 320)), "letterbox", NONE)
    assert caught.value.hint == "Use --fit crop."
    (one, two), fitting = fit((blank(640, 480), blank(1000, 320)), "crop", NONE)
    assert fitting is not None
    assert len(fitting.describe()) == 2
    assert (one.width, one.height) == (two.width, two.height) == (427, 320)
