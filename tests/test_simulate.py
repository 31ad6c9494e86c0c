"""Simulated degradation: reproducible to the bit, right in its statistics and borders."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch

from drfuse_cli.config import Degradation, PresetName, Task, preset
from drfuse_cli.errors import DrfuseError
from drfuse_cli.imageio import Image, read_image
from drfuse_cli.operators.build import build_operator
from drfuse_cli.operators.simulate import degrade_image, generator

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"

# task, preset, source, pair name, size of the result, SHA-256 of its pixels (first 16 digits)
PUBLISHED: list[tuple[Task, PresetName, str, str, tuple[int, ...], str]] = [
    ("ivif", "noise", "ir", "VIFB_carWhite", (324, 448), "2f7378a6f412e1b2"),
    ("ivif", "noise", "vis", "VIFB_carWhite", (324, 448, 3), "9d236cd303fe8fbf"),
    ("ivif", "blur", "vis", "VIFB_carWhite", (324, 448, 3), "e964c0d61b4d4a48"),
    ("ivif", "composite", "ir", "VIFB_carWhite", (81, 112), "d1c8552d1a3180d0"),
    ("ivif", "composite", "vis", "VIFB_carWhite", (324, 448, 3), "cc1635ca2750cb75"),
    ("medical", "noise", "mri", "30061", (256, 256), "74a49c0e14e658b3"),
    ("medical", "composite", "pet", "30061", (128, 128, 3), "1564b267cc549c02"),
]


@pytest.mark.parametrize(
    ("task", "name", "source", "pair", "shape", "digest"),
    PUBLISHED,
    ids=[f"{task}-{name}-{source}" for task, name, source, *_ in PUBLISHED],
)
def test_gives_the_published_pixels(
    task: Task, name: PresetName, source: str, pair: str, shape: tuple[int, ...], digest: str
) -> None:
    path = DATA / task / "val" / source / f"{pair}.png"
    if not path.is_file():
        pytest.skip(f"the clean image is not there: {path}")
    degradation = preset(task, name)[source in ("vis", "pet")]
    degraded = degrade_image(read_image(path), degradation, generator(2026, pair, source))
    assert degraded.pixels.shape == shape
    assert pixel_digest(degraded) == digest


def pixel_digest(image: Image) -> str:
    return hashlib.sha256(np.ascontiguousarray(image.pixels).tobytes()).hexdigest()[:16]


def scene(height: int = 24, width: int = 36, colour: bool = False) -> Image:
    y, x = np.mgrid[:height, :width]
    grey = (x * 7 + y * 3) % 256
    if colour:
        return Image(np.stack([grey, 255 - grey, (x * y) % 256], -1).astype(np.uint8))
    return Image(grey.astype(np.uint8))


def test_the_generator_is_keyed_by_seed_pair_and_source() -> None:
    first = generator(2026, "VIFB_carWhite", "ir").standard_normal(4)
    assert first == pytest.approx([-0.783117, -0.597940, -0.569642, -0.556157], abs=1e-6)
    for other in ((2027, "VIFB_carWhite", "ir"), (2026, "x", "ir"), (2026, "VIFB_carWhite", "vis")):
        assert generator(*other).standard_normal(4) != pytest.approx(first)


@pytest.mark.parametrize(
    ("colour", "digests"),
    [
        (
            False,
            {
                "noise": "732bf098b0de44b0",
                "blur": "4fc3c6bd54a23f48",
                "composite": "d35ddf59459bc3ff",
            },
        ),
        (
            True,
            {
                "noise": "93577adbf565d6bc",
                "blur": "56df5b4d913a3791",
                "composite": "a952ee1324e8392a",
            },
        ),
    ],
    ids=["grey", "colour"],
)
def test_gives_the_same_pixels_for_ever(colour: bool, digests: dict[PresetName, str]) -> None:
    for name, digest in digests.items():
        degradation = preset("ivif", name)[0]
        degraded = degrade_image(scene(colour=colour), degradation, generator(7, "scene", "ir"))
        assert pixel_digest(degraded) == digest, name


def test_nothing_to_do_changes_nothing() -> None:
    image = scene(colour=True)
    assert np.array_equal(
        degrade_image(image, Degradation(), generator(0, "a", "ir")).pixels, image.pixels
    )


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
def test_noise_has_the_stated_std_in_the_file(scale: int) -> None:
    flat = Image(np.full((480, 480), 128, np.uint8))
    degraded = degrade_image(
        flat, Degradation(noise_std=5.0, sr_scale=scale), generator(1, "flat", "ir")
    )
    assert degraded.pixels.shape == (480 // scale, 480 // scale)
    # 1/12 is the variance of rounding
    assert np.sqrt(degraded.pixels.var() - 1 / 12) == pytest.approx(5.0, rel=0.03)
    assert degraded.pixels.mean() == pytest.approx(128, abs=0.2)


def test_channels_get_noise_of_their_own() -> None:
    flat = Image(np.full((64, 64, 3), 128, np.uint8))
    degraded = degrade_image(flat, Degradation(noise_std=10.0), generator(1, "flat", "vis"))
    correlation = np.corrcoef(degraded.pixels.reshape(-1, 3).T)
    assert np.abs(correlation - np.eye(3)).max() < 0.06


def test_values_are_clipped_and_rounded_not_wrapped() -> None:
    noise = Degradation(noise_std=60.0)
    dark = degrade_image(Image(np.zeros((64, 64), np.uint8)), noise, generator(1, "dark", "ir"))
    assert np.mean(dark.pixels == 0) == pytest.approx(0.5, abs=0.05)
    assert dark.pixels.mean() == pytest.approx(0.399 * 60, rel=0.1)


def test_sixteen_bits_see_the_same_scene_257_times_brighter() -> None:
    image = scene()
    deep = Image(image.pixels.astype(np.uint16) * 257)
    degradation = preset("ivif", "composite")[0]
    shallow = degrade_image(image, degradation, generator(3, "scene", "ir")).pixels
    result = degrade_image(deep, degradation, generator(3, "scene", "ir")).pixels
    assert result.dtype == np.uint16
    assert np.abs(result / 257 - shallow).max() <= 0.5 + 1 / 257
    assert np.unique(result % 257).size > 20  # not merely 8 bits stretched


@pytest.mark.parametrize("sigma", [0.4, 1.3, 3.0])
def test_a_gaussian_and_the_same_kernel_as_psf_agree(sigma: float) -> None:
    radius = int(np.ceil(4 * sigma))
    taps = np.exp(-(np.arange(-radius, radius + 1) ** 2) / (2 * sigma**2))
    psf = np.outer(taps, taps) / taps.sum() ** 2
    for zero_border in (False, True):
        gaussian, kernel = (
            degrade_image(scene(colour=True), degradation, generator(0, "a", "ir"))
            for degradation in (
                Degradation(blur_sigma=sigma, zero_border=zero_border),
                Degradation(psf=psf, zero_border=zero_border),
            )
        )
        difference = gaussian.pixels.astype(int) - kernel.pixels
        assert np.abs(difference).max() <= 1  # a half may round either way
        assert np.mean(difference != 0) < 0.02


def test_a_psf_is_convolved_not_correlated() -> None:
    point = np.zeros((9, 11), np.uint8)
    point[4, 5] = 240
    psf = np.zeros((3, 5))
    psf[0, 4], psf[1, 2] = 0.25, 0.75
    blurred = degrade_image(Image(point), Degradation(psf=psf), generator(0, "a", "ir")).pixels
    assert blurred[4, 5] == 180
    assert blurred[3, 7] == 60
    assert blurred.sum() == 240


def test_a_mirrored_border_keeps_a_flat_image_and_a_zero_border_darkens_it() -> None:
    flat = Image(np.full((40, 40), 200, np.uint8))
    mirrored, padded = (
        degrade_image(flat, Degradation(blur_sigma=2, zero_border=zero), generator(0, "a", "ir"))
        for zero in (False, True)
    )
    assert np.all(mirrored.pixels == 200)
    assert padded.pixels[20, 20] == 200
    assert padded.pixels[0, 20] == pytest.approx(200 * 0.6, abs=2)
    assert padded.pixels[0, 0] == pytest.approx(200 * 0.36, abs=2)


MOTION = np.eye(5) / 5


@pytest.mark.parametrize(
    "degradation",
    [
        Degradation(blur_sigma=2.0),
        Degradation(blur_sigma=1.3, sr_scale=3),
        Degradation(psf=MOTION),
        Degradation(psf=MOTION, sr_scale=2),
    ],
    ids=["blur", "blur-pool3", "motion", "motion-pool2"],
)
def test_is_what_the_operator_models(degradation: Degradation) -> None:
    image = Image(np.random.default_rng(5).integers(0, 65536, (24, 36), dtype=np.uint16))
    degraded = degrade_image(image, degradation, generator(0, "a", "ir"))
    operator = build_operator(degradation, (24, 36), dtype=torch.float64)
    modelled = operator.A(torch.from_numpy(image.pixels.astype(np.float64))[None, None])
    assert np.abs(modelled.numpy()[0, 0] - degraded.pixels).max() <= 0.5 + 1e-6


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (3, 3)])
def test_images_smaller_than_the_kernel(shape: tuple[int, int]) -> None:
    image = Image(np.full(shape, 90, np.uint8))
    for degradation in (Degradation(blur_sigma=3.0), Degradation(psf=np.full((15, 15), 1 / 225))):
        degraded = degrade_image(image, degradation, generator(0, "a", "ir"))
        assert np.array_equal(degraded.pixels, image.pixels)


def test_a_size_that_the_scale_does_not_divide_is_refused() -> None:
    with pytest.raises(DrfuseError, match="36x25 pixels cannot be pooled 4x4") as caught:
        degrade_image(scene(25, 36), Degradation(sr_scale=4), generator(0, "a", "ir"))
    assert "multiples of 4" in str(caught.value.hint)


def test_the_result_does_not_claim_the_file_it_came_from() -> None:
    image = Image(scene().pixels, path="clean.png", sha256="abc")
    degraded = degrade_image(image, Degradation(noise_std=1), generator(0, "a", "ir"))
    assert degraded.path is None
    assert degraded.sha256 is None
