"""What is read from a file about its own degradation: noise, and the borders of a blur."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from drfuse_cli.config import Degradation
from drfuse_cli.imageio import Image
from drfuse_cli.operators.estimate import (
    Estimate,
    SourceEstimate,
    estimate,
    has_zero_border,
)
from drfuse_cli.operators.estimate.planes import channels_of, luma
from drfuse_cli.operators.estimate.stripes import column_offsets, is_striped
from drfuse_cli.operators.simulate import degrade_image
from drfuse_cli.scenes import render


def texture(height: int = 192, width: int = 256, *, colour: bool = False, bits: int = 8) -> Image:
    """Smooth areas with edges, between 40 and 215: something like a photograph."""
    rng = np.random.default_rng(5)
    y, x = np.mgrid[:height, :width]
    plane = 120 + 50 * np.sin(x / 31) * np.cos(y / 23) + 30 * ((x // 40 + y // 40) % 2)
    plane = plane + rng.normal(0, 0.3, plane.shape)
    planes = [plane, 255 - plane, plane * 0.9] if colour else [plane]
    levels = np.stack(planes, -1).clip(0, 255) * (1 if bits == 8 else 257)
    pixels = np.round(levels).astype(f"uint{bits}")
    return Image(pixels if colour else pixels[..., 0])


def noisy(image: Image, std: float, **more: float) -> Image:
    return degrade_image(
        image,
        Degradation(noise_std=std, **more),
        np.random.default_rng(1),  # type: ignore[arg-type]
    )


def noise(image: Image) -> float:
    """The noise that may be acted on."""
    found = estimate(image).noise
    return found.value if found.trusted else 0.0


# ---- findings -------------------------------------------------------------------------------


def test_an_estimate_is_trusted_from_one_half() -> None:
    assert Estimate(3.0, 0.5, "").trusted
    assert not Estimate(3.0, 0.49, "").trusted


@pytest.mark.parametrize("colour", [False, True])
def test_every_finding_has_a_confidence_and_a_reason(colour: bool) -> None:
    found = estimate(noisy(texture(colour=colour), 4.0))
    assert len(found.channels) == (3 if colour else 1)
    for one in (*found.channels, *all_of(found)):
        assert 0 <= one.confidence <= 1
        assert one.why
        assert type(one.value) is float


def all_of(found: SourceEstimate) -> tuple[Estimate, ...]:
    return found.noise, found.blur, found.scale, found.zero_border, found.jpeg, found.stripes


def test_the_same_every_time() -> None:
    image = noisy(texture(), 5.0)
    assert estimate(image) == estimate(image)


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (2, 2), (3, 3, 3), (17, 5), (65, 66)])
def test_tiny_images(shape: tuple[int, ...]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    found = estimate(Image(pixels))
    assert 0 <= found.noise.value < 255
    assert found.blur.value == 0
    assert found.scale.value == 1


@pytest.mark.parametrize("value", [0, 128, 255])
@pytest.mark.parametrize("shape", [(64, 64), (100, 130, 3)])
def test_constant_images(value: int, shape: tuple[int, ...]) -> None:
    found = estimate(Image(np.full(shape, value, np.uint8)))
    assert (found.noise.value, found.blur.value, found.stripes.value) == (0, 0, 0)
    assert (found.scale.value, found.zero_border.value, found.jpeg.value) == (1, 0, 100)


# ---- noise ----------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("colour", [False, True])
@pytest.mark.parametrize("std", [2.0, 8.06, 20.0])
def test_white_noise(std: float, colour: bool, bits: int) -> None:
    assert noise(noisy(texture(colour=colour, bits=bits), std)) == pytest.approx(std, rel=0.06)


@pytest.mark.parametrize("bits", [8, 16])
def test_hardly_any_noise(bits: int) -> None:
    assert noise(texture(bits=bits)) < 0.8


def test_noise_after_blur_and_pooling_is_that_of_the_file() -> None:
    for image in (texture(384, 512), *render("crossing", 512, 384)):
        pooled = noisy(image, 2.0, blur_sigma=2.0, sr_scale=4)
        assert noise(pooled) == pytest.approx(2.0, rel=0.15)


def test_the_median_of_the_channels() -> None:
    grey = texture()
    stack = [noisy(grey, std).pixels for std in (3.0, 6.0, 30.0)]
    found = estimate(Image(np.stack(stack, -1)))
    assert found.noise.value == pytest.approx(6.0, rel=0.06)
    assert [one.value for one in found.channels] == pytest.approx([3, 6, 30], rel=0.08)


def test_clipped_values_do_not_count() -> None:
    """Half of the image is clipped to white, where the noise is gone."""
    pixels = texture().pixels.astype(np.float64)
    pixels[:, 90:] = 300
    assert noise(noisy(Image(pixels.clip(0, 255).astype(np.uint8)), 9.0)) == pytest.approx(
        9.0, rel=0.08
    )


@pytest.mark.parametrize("std", [2.0, 6.985, 13.97])
def test_black_background(std: float) -> None:
    """Nearly all is black, so that half of the noise was clipped away."""
    pixels = np.zeros((128, 128), np.uint8)
    pixels[50:70, 50:70] = 200
    assert noise(noisy(Image(pixels), std)) == pytest.approx(std, rel=0.08)


@pytest.mark.parametrize("level", [2, 5, 10, 20])
def test_dark_night(level: int) -> None:
    """Some of the noise is clipped away, more in some places than in others."""
    pixels = (texture().pixels.astype(float) / 120 * level).round().astype(np.uint8)
    assert noise(noisy(Image(pixels), 8.0)) == pytest.approx(8.0, rel=0.1)


def test_a_masked_background_says_nothing() -> None:
    pixels = noisy(texture(), 8.0).pixels.copy()
    pixels[:, :128] = 0
    assert noise(Image(pixels)) == pytest.approx(8.0, rel=0.08)


def test_texture_before_a_masked_background_is_no_noise() -> None:
    """As in a clean scan: what varies inside the head is not noise, for there is none around."""
    rng = np.random.default_rng(3)
    y, x = np.mgrid[:192, :192]
    fine = rng.normal(0, 1, (192, 192)) * (1 + np.abs(x - 96) / 12)
    pixels = np.where(np.hypot(y - 96, x - 96) < 60, (90 + 3 * fine).clip(0, 255), 0)
    assert noise(Image(pixels.round().astype(np.uint8))) == 0


def test_texture_counts_for_less_than_it_is() -> None:
    """No two blocks agree: even the calmest one is no proof of noise."""
    rng = np.random.default_rng(4)
    y, x = np.mgrid[:256, :320]
    strength = np.exp(2.2 + 1.2 * np.sin(x / 37) * np.cos(y / 29))
    pixels = (128 + strength * rng.normal(0, 1, (256, 320))).clip(0, 255).round().astype(np.uint8)
    found = estimate(Image(pixels)).noise
    assert found.value < float(strength.min()) + 0.5
    assert "texture" in found.why


def test_dark_sixteen_bits() -> None:
    """Depth is that of the file, however dark it is: 3 levels are 771 of 65535."""
    rng = np.random.default_rng(2)
    pixels = rng.normal(1000, 100, (96, 96)).round().astype(np.uint16)
    assert noise(Image(pixels)) == pytest.approx(100 / 257, rel=0.06)


@pytest.mark.parametrize("enlarge", [False, True])
def test_noise_that_is_correlated_between_pixels(enlarge: bool) -> None:
    """Enlarged or smoothed after the sensor: the finest details hold next to none of it."""
    rng = np.random.default_rng(6)
    y, x = np.mgrid[:384, :512]
    clean = (120 + 50 * np.sin(x / 71) * np.cos(y / 53)).astype(np.float32)
    if enlarge:
        small = rng.normal(0, 4, (128, 171)).astype(np.float32)
        grain = cv2.resize(small, (512, 384), interpolation=cv2.INTER_CUBIC)
    else:
        grain = cv2.GaussianBlur(rng.normal(0, 12, (384, 512)).astype(np.float32), (0, 0), 1.2)
    image = Image((clean + grain).clip(0, 255).round().astype(np.uint8))
    found = estimate(image).noise
    assert found.trusted
    assert 0.6 * grain.std() < found.value < 1.2 * grain.std()
    assert "correlated" in found.why


# ---- blur -----------------------------------------------------------------------------------


def test_blur_is_not_read_off_noise_alone() -> None:
    """A flat plane under noise could be as blurred as one likes: nothing tells."""
    flat = Image(np.full((160, 200), 120, np.uint8))
    for image in (flat, noisy(flat, 8.0)):
        blur = estimate(image).blur
        assert blur.value == 0
        assert not blur.trusted


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("std", [0.0, 4.0])
def test_blur_with_and_without_noise(scene: tuple[Image, Image], number: int, std: float) -> None:
    """The networks were trained on these very features: others would make them guess."""
    sharp, soft = (noisy(scene[number], std, blur_sigma=sigma) for sigma in (0.0, 2.5))
    assert estimate(sharp).blur.value == 0
    assert estimate(soft).blur.value == pytest.approx(2.5, rel=0.3)


# ---- zero border ----------------------------------------------------------------------------


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("colour", [False, True])
@pytest.mark.parametrize("std", [0.0, 8.0])
def test_zero_padding_is_seen(std: float, colour: bool, bits: int) -> None:
    image = texture(colour=colour, bits=bits)
    padded = noisy(image, std, blur_sigma=2.0, zero_border=True)
    assert has_zero_border(padded, 2.0)
    assert not has_zero_border(noisy(image, std, blur_sigma=2.0), 2.0)
    found = estimate(padded).zero_border
    assert found.trusted
    assert found.value == pytest.approx(2.0, abs=0.3)
    assert estimate(noisy(image, std, blur_sigma=2.0)).zero_border.value == 0


@pytest.mark.parametrize("scale", [2, 4])
def test_zero_padding_is_seen_after_pooling(scale: int) -> None:
    image = texture(384, 512)
    padded = noisy(image, 2.0, blur_sigma=2.0, sr_scale=scale, zero_border=True)
    assert has_zero_border(padded, 2.0, scale)
    assert not has_zero_border(noisy(image, 2.0, blur_sigma=2.0, sr_scale=scale), 2.0, scale)


def test_one_bright_side_is_enough_to_say_no() -> None:
    image = noisy(texture(), 0.0, blur_sigma=2.0, zero_border=True)
    assert has_zero_border(image, 2.0)
    pixels = image.pixels.copy()
    pixels[:, -1] = 200
    assert not has_zero_border(Image(pixels), 2.0)


def test_a_black_frame_is_no_zero_padding() -> None:
    pixels = texture().pixels.copy()
    pixels[[0, -1]] = 0
    pixels[:, [0, -1]] = 0
    assert not has_zero_border(Image(pixels), 2.0)
    assert not has_zero_border(Image(np.zeros((64, 64), np.uint8)), 2.0)


@pytest.mark.parametrize("sigma", [0.7, 1.0])
def test_padding_of_a_little_blur_is_seen(sigma: float) -> None:
    assert has_zero_border(noisy(texture(), 0.0, blur_sigma=sigma, zero_border=True), sigma)
    assert not has_zero_border(noisy(texture(), 0.0, blur_sigma=sigma), sigma)


def test_little_blur_and_small_images_tell_nothing() -> None:
    dark = noisy(texture(), 0.0, blur_sigma=2.0, zero_border=True)
    assert not has_zero_border(dark, 0.3)
    assert not has_zero_border(Image(dark.pixels[:20]), 2.0)


# ---- enlarged, compressed, striped ------------------------------------------------------------


@pytest.fixture(scope="module")
def scene() -> tuple[Image, Image]:
    return render("crossing", 384, 288)


WAYS = {
    "nearest": cv2.INTER_NEAREST,
    "linear": cv2.INTER_LINEAR,
    "cubic": cv2.INTER_CUBIC,
    "lanczos": cv2.INTER_LANCZOS4,
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("factor", [2, 3, 4])
def test_an_enlarged_image(scene: tuple[Image, Image], factor: int, way: str) -> None:
    height, width = scene[1].height // factor, scene[1].width // factor
    small = cv2.resize(scene[1].pixels, (width, height), interpolation=cv2.INTER_AREA)
    size = width * factor, height * factor
    found = estimate(Image(cv2.resize(small, size, interpolation=WAYS[way]))).scale
    assert found.trusted
    assert found.value == factor


def test_a_native_image_is_not_enlarged(scene: tuple[Image, Image]) -> None:
    for image in (*scene, noisy(scene[1], 0, blur_sigma=2.0), jpeg(scene[1], 60)):
        assert estimate(image).scale.value == 1


def jpeg(image: Image, quality: int) -> Image:
    pixels = image.pixels[..., ::-1] if image.colour else image.pixels
    done, encoded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert done
    decoded = cv2.imdecode(encoded, cv2.IMREAD_UNCHANGED)
    return Image(np.ascontiguousarray(decoded[..., ::-1]) if image.colour else decoded)


@pytest.mark.parametrize("quality", [40, 60, 75, 90])
@pytest.mark.parametrize("number", [0, 1])
def test_the_quality_of_jpeg(scene: tuple[Image, Image], number: int, quality: int) -> None:
    found = estimate(jpeg(scene[number], quality)).jpeg
    assert found.trusted
    assert found.value == pytest.approx(quality, abs=8)


def test_no_jpeg(scene: tuple[Image, Image]) -> None:
    for image in (*scene, noisy(scene[1], 5), texture()):
        assert estimate(image).jpeg.value == 100


def test_without_stripes_no_columns_stand_out(scene: tuple[Image, Image]) -> None:
    assert not is_striped(luma(channels_of(scene[0])))
    assert not is_striped(np.zeros((32, 32), np.float32))


@pytest.mark.parametrize("std", [0.0, 5.0])
def test_offsets_of_columns_are_found(scene: tuple[Image, Image], std: float) -> None:
    """Most of them, beside walls and squares that stand above one another."""
    for plane in (scene[0].pixels, texture().pixels):
        offsets = np.random.default_rng(0).normal(0, 3, plane.shape[1])
        grain = np.random.default_rng(1).normal(0, std, plane.shape)
        striped = np.asarray(plane + grain + offsets, np.float32)
        assert is_striped(striped)
        left = offsets - column_offsets(striped)
        assert np.abs(left - left.mean()).mean() < 0.6 * np.abs(offsets).mean()


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("std", [0.0, 5.0])
def test_stripes(scene: tuple[Image, Image], axis: int, std: float) -> None:
    pixels = scene[0].pixels
    offsets = np.random.default_rng(0).normal(0, 2, pixels.shape[axis])
    striped = pixels + np.expand_dims(offsets, 1 - axis)
    image = noisy(Image(striped.clip(0, 255).round().astype(np.uint8)), std)
    found = estimate(image).stripes
    assert found.trusted
    assert found.value == pytest.approx(2.0, rel=0.4)
    assert ("rows", "columns")[axis] in found.why
    assert estimate(noisy(scene[0], std)).stripes.value == 0
    assert noise(image) == pytest.approx(noise(noisy(scene[0], std)), abs=0.5)
