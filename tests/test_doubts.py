"""A stated blur against what the file shows."""

from __future__ import annotations

import numpy as np
import pytest

from drfuse_cli.config import Degradation
from drfuse_cli.degradations import overstated
from drfuse_cli.imageio import Image
from drfuse_cli.operators.estimate import Estimate, SourceEstimate
from drfuse_cli.operators.simulate import degrade_image, generator
from drfuse_cli.scenes import render

FLAT = Image(np.zeros((8, 8), np.uint8))


def shows(monkeypatch: pytest.MonkeyPatch, sigma: float, confidence: float) -> None:
    nothing = Estimate(0.0, 0.9, "")
    found = SourceEstimate(
        noise=nothing,
        channels=(nothing,),
        blur=Estimate(sigma, confidence, ""),
        scale=Estimate(1, 0.9, ""),
        zero_border=nothing,
        jpeg=Estimate(100, 0.9, ""),
        stripes=nothing,
    )
    monkeypatch.setattr("drfuse_cli.operators.estimate.estimate", lambda image: found)


def said(sigma: float, origin: str = "flag", **more: float) -> tuple[Degradation, Degradation]:
    stated = Degradation(blur_sigma=sigma, origin={"blur_sigma": origin}, **more)  # type: ignore[arg-type]
    return stated, Degradation()


def test_too_large_a_sigma_is_doubted(monkeypatch: pytest.MonkeyPatch) -> None:
    shows(monkeypatch, 1.5, 0.9)
    (warning,) = overstated((FLAT, FLAT), said(2.0))
    assert warning.startswith("source 1: a blur of sigma 2 is stated, the file looks like 1.5")


@pytest.mark.parametrize(
    "stated",
    [said(1.6), said(1.0), said(0.0), said(2.0, "preset"), said(2.0, noise_std=4.0)],
    ids=["near", "less", "none", "of a preset", "with noise"],
)
def test_nothing_else_is(
    stated: tuple[Degradation, Degradation], monkeypatch: pytest.MonkeyPatch
) -> None:
    shows(monkeypatch, 1.5, 0.9)
    assert list(overstated((FLAT, FLAT), stated)) == []


def test_an_unsure_estimate_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    shows(monkeypatch, 1.5, 0.4)
    assert list(overstated((FLAT, FLAT), said(2.0))) == []


def test_a_rendered_street() -> None:
    clean, _ = render("street-day", 320, 240, 0)
    blurred = degrade_image(clean, Degradation(blur_sigma=1.5), generator(0, "street", "ir"))
    assert len(list(overstated((blurred, FLAT), said(2.5)))) == 1
    assert list(overstated((blurred, FLAT), said(1.5))) == []
