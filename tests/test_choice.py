"""``--method auto``: what a pair shows, and which method that speaks for."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import cv2
import numpy as np
import pytest

from drfuse_cli.choice import Choice, choose, settled, tones
from drfuse_cli.config import PRESET_NAMES, PresetName, preset
from drfuse_cli.degradations import Overrides, parse_overrides
from drfuse_cli.imageio import Image
from drfuse_cli.impairments import Haze, Impairment, LowContrast, LowLight, Stripes, impair_image
from drfuse_cli.operators.estimate import SourceEstimate, estimate
from drfuse_cli.operators.simulate import degrade_image
from drfuse_cli.scenes import render
from drfuse_cli.sources import Assumptions, take_pair

Both = tuple[Image, Image]
SCENES = ("street-day", "street-night", "drone")
HAZE, FLAT, STRIPES = Haze(0.4, 0.8, 0.2), LowContrast(0.45, 0.3), Stripes(3.0)


@cache
def clean(name: str) -> Both:
    return render(name, 320, 240)


@cache
def found(name: str, source: int) -> SourceEstimate:
    return estimate(clean(name)[source])


def rng() -> np.random.Generator:
    return np.random.default_rng(3)


def impaired(name: str, source: int, *impairments: Impairment) -> Choice:
    """The choice after something happened to one source."""
    images, estimates = list(clean(name)), [found(name, 0), found(name, 1)]
    images[source] = impair_image(images[source], impairments, rng())
    estimates[source] = estimate(images[source])
    return choose((images[0], images[1]), (estimates[0], estimates[1]))


# ---- the choice -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", SCENES)
def test_clean_scenes_are_for_drfusion(name: str) -> None:
    choice = choose(clean(name), (found(name, 0), found(name, 1)))
    assert choice.describe() == "nothing but what DRFusion undoes: drfusion"


@pytest.mark.parametrize("name", PRESET_NAMES[1:])
def test_operators_are_for_drfusion(name: PresetName) -> None:
    degraded = [
        degrade_image(image, degradation, rng())
        for image, degradation in zip(clean("street-day"), preset("ivif", name), strict=True)
    ]
    choice = choose((degraded[0], degraded[1]), (estimate(degraded[0]), estimate(degraded[1])))
    assert choice.method == "drfusion"
    said = {"noise": "noise of std", "blur": "blur of sigma", "composite": "sources of 80x60 and"}
    assert said[name] in choice.describe()


@pytest.mark.parametrize("name", SCENES)
@pytest.mark.parametrize(
    ("source", "impairment", "said"),
    [
        (1, HAZE, "haze in source 2 (dark channel 0."),
        (1, FLAT, "haze in source 2"),
        (1, LowLight(4.5, 4.0), "low light in source 2 (median level"),
        (0, FLAT, "low contrast in source 1 (levels"),
    ],
    ids=["haze", "contrast", "lowlight", "contrast-ir"],
)
def test_the_rest_is_for_recofuse(
    name: str, source: int, impairment: Impairment, said: str
) -> None:
    choice = impaired(name, source, impairment)
    assert choice.method == "recofuse"
    assert any(reason.startswith(said) for reason in choice.reasons)
    assert choice.describe().endswith(": recofuse")


def test_all_that_is_found_is_told() -> None:
    images = list(clean("street-day"))
    images[0] = impair_image(images[0], (FLAT,), rng())
    images[1] = impair_image(images[1], (HAZE,), rng())
    both = images[0], images[1]
    choice = choose(both, (estimate(both[0]), estimate(both[1])))
    assert [reason.split()[0] for reason in choice.reasons] == ["low", "haze"]


def test_a_blur_and_unlike_sizes_are_undone_first() -> None:
    first, second = clean("street-day")
    hazy = impair_image(second, (HAZE,), rng())
    estimates = found("street-day", 0), estimate(hazy)
    blurred = estimates[0], replace(estimates[1], blur=replace(estimates[1].blur, value=2.0,
                                                               confidence=0.9))  # fmt: skip
    told = choose((first, hazy), blurred)
    assert told.method == "recofuse"
    assert told.reasons[0].startswith("haze in source 2")
    assert told.reasons[1:] == ("blur of sigma 2.0 in source 2 (undone first)",)
    small = Image(np.ascontiguousarray(first.pixels[::2, ::2]))
    told = choose((small, hazy), estimates)
    assert told.method == "recofuse"
    assert told.reasons[1:] == ("sources of 160x120 and 320x240 (undone first)",)


@pytest.mark.parametrize("name", SCENES)
@pytest.mark.parametrize("optics", ["blur", "composite"])
def test_tones_are_seen_through_blur_and_pooling(name: str, optics: PresetName) -> None:
    """By estimates of the very files, which show little of what is told apart from tones."""
    tonal = impair_image(clean(name)[0], (FLAT,), rng()), clean(name)[1]
    seen = [
        degrade_image(image, degradation, rng())
        for image, degradation in zip(tonal, preset("ivif", optics), strict=True)
    ]
    choice = choose((seen[0], seen[1]), (estimate(seen[0]), estimate(seen[1])))
    assert choice.method == "recofuse"
    assert choice.reasons[0].startswith("low contrast in source 1")
    assert all(reason.endswith("(undone first)") for reason in choice.reasons[1:])


@pytest.mark.parametrize("name", SCENES)
def test_stripes_are_no_reason(name: str) -> None:
    """They are taken out before either method."""
    told = Assumptions("ivif", "auto", Overrides(), destripe="auto")
    striped = impair_image(clean(name)[0], (STRIPES,), rng())
    images, intake = take_pair((striped, clean(name)[1]), told)
    assert intake.stripes is not None
    assert choose(images, (estimate(images[0]), found(name, 1))).method == "drfusion"


# ---- what leaves no choice ------------------------------------------------------------------


@pytest.mark.parametrize(
    "overrides",
    [parse_overrides("3"), parse_overrides(blur_sigma="0"), parse_overrides(sr_scale="1"),
     parse_overrides(psf="none,k.npy")],
)  # fmt: skip
def test_operator_flags_settle_it(overrides: Overrides) -> None:
    choice = settled("ivif", "auto", overrides)
    assert choice == Choice("drfusion", ("a flag says what the files went through",))
    profiled = replace(overrides, profiled=frozenset({("noise_std", 0)}))
    told = settled("ivif", "auto", profiled)
    assert told is not None
    assert told.reasons[0].startswith("the profile")


@pytest.mark.parametrize("mode", PRESET_NAMES)
def test_a_preset_settles_it(mode: PresetName) -> None:
    choice = settled("ivif", mode, Overrides())
    assert choice is not None
    assert choice.describe() == f"--degrade {mode} says what the files went through: drfusion"


def test_other_tasks_settle_it() -> None:
    choice = settled("medical", "auto", Overrides())
    assert choice is not None
    assert choice.method == "drfusion"
    assert settled("ivif", "auto", Overrides()) is None


# ---- tones ----------------------------------------------------------------------------------


def test_tones_of_a_card() -> None:
    """A tenth black, a tenth white, between them grey."""
    card = np.full((100, 200), 120, np.uint8)
    card[:, :20], card[:, -20:] = 10, 230
    seen = tones(Image(card))
    assert seen.black == pytest.approx(10, abs=1)
    assert seen.white == pytest.approx(230, abs=1)
    assert seen.median == 120
    assert seen.span == seen.bright - seen.black == pytest.approx(220, abs=2)
    assert seen.contrast == pytest.approx(card.std() / card.mean(), rel=0.05)


@pytest.mark.parametrize("colour", [False, True])
def test_depth_makes_no_difference(colour: bool) -> None:
    image = clean("drone")[1] if colour else clean("drone")[0]
    deep = Image(image.pixels.astype(np.uint16) * 257)
    for one, other in zip(vars(tones(image)).values(), vars(tones(deep)).values(), strict=True):
        assert one == pytest.approx(other, abs=1)


def test_size_and_noise_make_little() -> None:
    image = clean("street-day")[1]
    large = Image(cv2.resize(image.pixels, (960, 720), interpolation=cv2.INTER_CUBIC))
    noise = degrade_image(image, preset("ivif", "noise")[1], rng())
    before = tones(image)
    for after in (tones(large), tones(noise)):
        assert after.black == pytest.approx(before.black, abs=12)
        assert after.white == pytest.approx(before.white, abs=12)


def test_the_dark_channel_is_dark_where_any_colour_is() -> None:
    red = np.zeros((60, 60, 3), np.uint8)
    red[..., 0] = 200
    assert tones(Image(red)).dark_channel == pytest.approx(0, abs=0.01)
    assert tones(Image(red[..., 0].copy())).dark_channel == pytest.approx(200 / 255, abs=0.01)


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (3, 2, 3), (400, 1)])
@pytest.mark.parametrize("value", [0, 255])
def test_tiny_and_constant_images(shape: tuple[int, ...], value: int) -> None:
    image = Image(np.full(shape, value, np.uint8))
    seen = tones(image)
    assert seen.black == pytest.approx(value, abs=1)
    assert seen.contrast == pytest.approx(0, abs=1e-3)
    both = estimate(image), estimate(image)
    assert choose((image, image), both).method in ("drfusion", "recofuse")
    assert choose((image, image), both) == choose((image, image), both)
