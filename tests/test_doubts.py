"""A stated blur against what the file shows."""

from __future__ import annotations

import weakref
from dataclasses import replace

import numpy as np
import pytest

from drfuse_cli.config import Degradation
from drfuse_cli.degradations import Overrides, assume, describe, doubted_flags
from drfuse_cli.degradations.seen import seen_in
from drfuse_cli.imageio import Image
from drfuse_cli.operators.estimate import Estimate, SourceEstimate, estimate
from drfuse_cli.operators.simulate import degrade_image, generator
from drfuse_cli.scenes import render

FLAT = Image(np.zeros((8, 8), np.uint8))


def shows(
    monkeypatch: pytest.MonkeyPatch,
    sigma: float,
    confidence: float,
    most: float | None = None,
    enlarged: int = 1,
    noise: float = 0.0,
) -> None:
    nothing = Estimate(0.0, 0.9, "")
    found = SourceEstimate(
        noise=Estimate(noise, 0.9, ""),
        channels=(nothing,),
        blur=Estimate(sigma, confidence, ""),
        most_blur=most,
        scale=Estimate(enlarged, 0.9, ""),
        zero_border=nothing,
        jpeg=Estimate(100, 0.9, ""),
        stripes=nothing,
    )
    monkeypatch.setattr("drfuse_cli.degradations.seen._seen", {FLAT: found})


def said(sigma: float, origin: str = "flag", **more: float) -> tuple[Degradation, Degradation]:
    stated = Degradation(blur_sigma=sigma, origin={"blur_sigma": origin}, **more)  # type: ignore[arg-type]
    return stated, Degradation()


@pytest.mark.parametrize("noise", [0.0, 4.0, 20.0])
def test_too_large_a_sigma_is_doubted(noise: float, monkeypatch: pytest.MonkeyPatch) -> None:
    shows(monkeypatch, 1.5, 0.9)
    (warning,) = doubted_flags((FLAT, FLAT), said(2.0, noise_std=noise))
    assert warning.startswith("source 1: a blur of sigma 2 is stated, the file looks like 1.5")


@pytest.mark.parametrize(
    "stated",
    [said(1.6), said(1.0), said(0.0), said(2.0, "preset")],
    ids=["near", "less", "none", "of a preset"],
)
def test_nothing_else_is(
    stated: tuple[Degradation, Degradation], monkeypatch: pytest.MonkeyPatch
) -> None:
    shows(monkeypatch, 1.5, 0.9)
    assert list(doubted_flags((FLAT, FLAT), stated)) == []


def test_an_unsure_estimate_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    shows(monkeypatch, 1.5, 0.4)
    assert list(doubted_flags((FLAT, FLAT), said(2.0))) == []


def test_of_a_noisy_file_the_bound_alone_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    shows(monkeypatch, 1.5, 0.9, most=2.4, noise=4.0)
    assert list(doubted_flags((FLAT, FLAT), said(2.3, noise_std=4.0))) == []
    assert len(list(doubted_flags((FLAT, FLAT), said(2.5, noise_std=4.0)))) == 1


def test_more_than_the_file_can_have_been_through_is_doubted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shows(monkeypatch, 1.5, 0.4, most=1.7)
    (warning,) = doubted_flags((FLAT, FLAT), said(2.0))
    assert "the file shows 1.7 at most" in warning
    assert list(doubted_flags((FLAT, FLAT), said(1.6))) == []


def test_the_bound_is_in_pixels_of_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    shows(monkeypatch, 0.0, 0.4, most=0.6)
    assert len(list(doubted_flags((FLAT, FLAT), said(2.0, sr_scale=2)))) == 1
    assert list(doubted_flags((FLAT, FLAT), said(2.0, sr_scale=4))) == []


def test_a_blur_of_half_a_pixel_of_the_file_is_not_doubted(monkeypatch: pytest.MonkeyPatch) -> None:
    shows(monkeypatch, 0.0, 0.4, most=0.3)
    for scale, doubted in ((1, 1), (2, 1), (4, 0)):
        assert len(list(doubted_flags((FLAT, FLAT), said(2.0, sr_scale=scale)))) == doubted


def test_of_an_enlarged_file_the_bound_alone_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    shows(monkeypatch, 1.0, 0.9, most=1.5, enlarged=2)
    assert list(doubted_flags((FLAT, FLAT), said(1.4))) == []
    assert len(list(doubted_flags((FLAT, FLAT), said(1.6)))) == 1


@pytest.mark.parametrize("scene", ["street-day", "street-night", "drone", "mri-pet"])
def test_a_bound_holds_what_was_done(scene: str) -> None:
    for role, clean in zip(("first", "second"), render(scene, 320, 240, 0), strict=True):
        for sigma in (0.0, 1.0, 2.0):
            blurred = degrade_image(clean, Degradation(blur_sigma=sigma), generator(0, scene, role))
            most = estimate(blurred).most_blur
            assert most is None or most >= sigma, (role, sigma)


def test_a_sharp_rendered_street_cannot_have_been_blurred_by_two() -> None:
    for clean in render("street-day", 320, 240, 0):
        most = estimate(clean).most_blur
        assert most is not None
        assert most < 1


# ---- no more than the file shows --------------------------------------------------------------

CAPPED = Overrides(blur_sigma=(2.0, 2.0), noise_std=(0.0, 0.0), cap_blur=True)


@pytest.mark.parametrize("noise", [0.0, 4.0, 20.0])
def test_a_stated_sigma_is_lowered_to_the_bound(
    noise: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    shows(monkeypatch, 1.5, 0.4, most=1.7)
    told = replace(CAPPED, noise_std=(noise, noise))
    first, second = assume("ivif", "none", told, (FLAT, FLAT))
    assert (first.blur_sigma, second.blur_sigma) == (1.7, 1.7)
    assert first.origin["blur_sigma"] == "capped"
    assert "blur sigma 1.7 (more was stated; the most that the file shows)" in describe(first)


def test_so_is_that_of_a_preset(monkeypatch: pytest.MonkeyPatch) -> None:
    shows(monkeypatch, 0.0, 0.4, most=0.0)
    first, _ = assume("ivif", "blur", Overrides(cap_blur=True), (FLAT, FLAT))
    assert first.blur_sigma == 0


@pytest.mark.parametrize(
    ("told", "most"),
    [
        (CAPPED, 2.1),
        (CAPPED, None),
        (replace(CAPPED, cap_blur=False), 1.0),
    ],
    ids=["within", "no bound", "not asked"],
)
def test_or_else_it_stays(
    told: Overrides, most: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    shows(monkeypatch, 0.0, 0.4, most=most)
    first, _ = assume("ivif", "none", told, (FLAT, FLAT))
    assert first.blur_sigma == 2
    assert first.origin["blur_sigma"] == "flag"


def test_a_file_is_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Noise estimated, blur capped and flags doubted, of both files."""
    asked: list[Image] = []

    def counted(image: Image) -> SourceEstimate:
        asked.append(image)
        return found

    found = estimate(FLAT)
    monkeypatch.setattr("drfuse_cli.operators.estimate.estimate", counted)
    both = Image(np.zeros((8, 8), np.uint8)), Image(np.zeros((8, 8), np.uint8))
    told = Overrides(blur_sigma=(2.0, 2.0), cap_blur=True)
    list(doubted_flags(both, assume("ivif", "auto", told, both)))
    assert asked == [*both]


def test_what_a_file_shows_is_forgotten_with_it() -> None:
    image = Image(np.zeros((8, 8), np.uint8))
    seen_in(image)
    left = weakref.ref(image)
    del image
    assert left() is None


def test_a_bound_alone_states_nothing() -> None:
    assert Overrides(cap_blur=True).is_empty
    image = render("street-day", 160, 128, 0)[0]
    plain, capped = (
        assume("ivif", "auto", Overrides(cap_blur=cap), (image, image)) for cap in (False, True)
    )
    assert plain == capped


def test_a_rendered_street() -> None:
    clean, _ = render("street-day", 320, 240, 0)
    blurred = degrade_image(clean, Degradation(blur_sigma=1.5), generator(0, "street", "ir"))
    assert len(list(doubted_flags((blurred, FLAT), said(2.5)))) == 1
    assert list(doubted_flags((blurred, FLAT), said(1.5))) == []


# ---- noise ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stated", "doubted"),
    [(8.0, True), (14.0, False), (17.0, False), (20.0, True), (0.0, True)],
)
def test_noise_far_from_what_the_file_shows_is_doubted(stated: float, doubted: bool) -> None:
    clean, _ = render("street-day", 320, 240, 0)
    noisy = degrade_image(clean, Degradation(noise_std=14.0), generator(0, "street", "ir"))
    flags = Degradation(noise_std=stated, origin={"noise_std": "flag"})
    warnings = list(doubted_flags((noisy, noisy), (flags, Degradation())))
    assert len(warnings) == doubted
    if doubted:
        assert f"source 1: noise of {stated:g} is stated, the file looks like 1" in warnings[0]
        assert warnings[0].endswith("unless its grain is smooth") == (stated > 14)


def test_noise_of_a_preset_is_not_doubted() -> None:
    clean, _ = render("street-day", 160, 128, 0)
    preset = Degradation(noise_std=20.0, origin={"noise_std": "preset"})
    assert list(doubted_flags((clean, clean), (preset, preset))) == []
