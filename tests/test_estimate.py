"""What is read from a file: its noise, and whether its blur darkened the borders."""

from __future__ import annotations

import numpy as np
import pytest

from drfuse_cli.config import Degradation
from drfuse_cli.imageio import Image
from drfuse_cli.operators.estimate import has_zero_border, noise_std
from drfuse_cli.operators.simulate import degrade_image


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


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("colour", [False, True])
@pytest.mark.parametrize("std", [2.0, 8.06, 20.0])
def test_white_noise(std: float, colour: bool, bits: int) -> None:
    assert noise_std(noisy(texture(colour=colour, bits=bits), std)) == pytest.approx(std, rel=0.06)


@pytest.mark.parametrize("bits", [8, 16])
def test_hardly_any_noise(bits: int) -> None:
    assert noise_std(texture(bits=bits)) < 0.8


def test_noise_after_blur_and_pooling_is_that_of_the_file() -> None:
    pooled = noisy(texture(384, 512), 2.0, blur_sigma=2.0, sr_scale=4)
    assert noise_std(pooled) == pytest.approx(2.0, rel=0.15)


def test_the_median_of_the_channels() -> None:
    grey = texture()
    stack = [noisy(grey, std).pixels for std in (3.0, 6.0, 30.0)]
    assert noise_std(Image(np.stack(stack, -1))) == pytest.approx(6.0, rel=0.06)


def test_clipped_values_do_not_count() -> None:
    """Half of the image is clipped to white, where the noise is gone."""
    pixels = texture().pixels.astype(np.float64)
    pixels[:, 90:] = 300
    assert noise_std(noisy(Image(pixels.clip(0, 255).astype(np.uint8)), 9.0)) == pytest.approx(
        9.0, rel=0.08
    )


@pytest.mark.parametrize("std", [2.0, 6.985, 13.97])
def test_black_background(std: float) -> None:
    """Nearly all is black, so that half of the noise was clipped away."""
    pixels = np.zeros((128, 128), np.uint8)
    pixels[50:70, 50:70] = 200
    assert noise_std(noisy(Image(pixels), std)) == pytest.approx(std, rel=0.08)


def test_a_masked_background_says_nothing() -> None:
    pixels = noisy(texture(), 8.0).pixels.copy()
    pixels[:, :128] = 0
    assert noise_std(Image(pixels)) == pytest.approx(8.0, rel=0.08)


def test_dark_sixteen_bits() -> None:
    """Depth is that of the file, however dark it is: 3 levels are 771 of 65535."""
    rng = np.random.default_rng(2)
    pixels = rng.normal(1000, 100, (96, 96)).round().astype(np.uint16)
    assert noise_std(Image(pixels)) == pytest.approx(100 / 257, rel=0.06)


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (2, 2), (3, 3, 3), (17, 5)])
def test_tiny_images(shape: tuple[int, ...]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    assert 0 <= noise_std(Image(pixels)) < 255


@pytest.mark.parametrize("value", [0, 128, 255])
def test_constant_images(value: int) -> None:
    assert noise_std(Image(np.full((64, 64), value, np.uint8))) == 0


def test_the_same_every_time() -> None:
    image = noisy(texture(), 5.0)
    assert noise_std(image) == noise_std(image)


# ---- zero border ----------------------------------------------------------------------------


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("colour", [False, True])
@pytest.mark.parametrize("std", [0.0, 8.0])
def test_zero_padding_is_seen(std: float, colour: bool, bits: int) -> None:
    image = texture(colour=colour, bits=bits)
    assert has_zero_border(noisy(image, std, blur_sigma=2.0, zero_border=True), 2.0)
    assert not has_zero_border(noisy(image, std, blur_sigma=2.0), 2.0)


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


def test_little_blur_and_small_images_tell_nothing() -> None:
    dark = noisy(texture(), 0.0, blur_sigma=2.0, zero_border=True)
    assert not has_zero_border(dark, 1.0)
    assert not has_zero_border(Image(dark.pixels[:20]), 2.0)
