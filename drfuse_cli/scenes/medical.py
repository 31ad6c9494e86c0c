"""Pairs of medical pictures of one head: MRI with PET, SPECT or CT."""

from __future__ import annotations

import cv2
import numpy as np

from drfuse_cli.scenes.brain import Head, head
from drfuse_cli.scenes.palette import colour_map, to_bytes
from drfuse_cli.scenes.texture import Array, fractal_noise, generator, smoothstep, value_noise

_OVERSAMPLE = 3

T1 = {
    "scalp": 0.80, "skull": 0.05, "marrow": 0.36, "fluid": 0.10, "grey": 0.43, "white": 0.66,
    "nuclei": 0.50, "ventricle": 0.09, "oedema": 0.48, "lesion": 0.40, "calcium": 0.25,
}  # fmt: skip
T2 = {
    "scalp": 0.42, "skull": 0.04, "marrow": 0.20, "fluid": 0.92, "grey": 0.56, "white": 0.34,
    "nuclei": 0.44, "ventricle": 0.98, "oedema": 0.64, "lesion": 0.76, "calcium": 0.45,
}  # fmt: skip
CT = {
    "scalp": 0.26, "skull": 1.0, "marrow": 0.86, "fluid": 0.15, "grey": 0.43, "white": 0.35,
    "nuclei": 0.42, "ventricle": 0.11, "oedema": 0.27, "lesion": 0.50, "calcium": 0.95,
}  # fmt: skip
PET = {
    "scalp": 0.06, "skull": 0.02, "fluid": 0.10, "grey": 0.86, "white": 0.30, "nuclei": 0.92,
    "ventricle": 0.04, "oedema": 0.22, "lesion": 1.25, "calcium": 0.05,
}  # fmt: skip
SPECT = {
    "scalp": 0.17, "skull": 0.04, "fluid": 0.15, "grey": 0.92, "white": 0.36, "nuclei": 0.95,
    "ventricle": 0.02, "oedema": 0.20, "lesion": 0.05, "calcium": 0.02,
}  # fmt: skip

LESION = {"pet": (0.30, 0.24, 0.085), "spect": (-0.36, 0.10, 0.11), "ct": (0.27, -0.30, 0.075)}


def pair(kind: str, width: int, height: int, seed: int) -> tuple[Array, Array, dict[str, Array]]:
    """8-bit structural and functional picture, and masks ``brain``, ``skull``, ``lesion``.

    ``kind`` is ``pet`` (T1 and colour), ``spect`` (T2 and colour) or ``ct`` (CT and T1, both
    grey). Colour pictures are H x W x 3, the others H x W; masks are H x W bool.
    """
    x, y, size = LESION[kind]
    dx, dy = generator(seed, "lesion").uniform(-0.03, 0.03, 2)
    fine = (height * _OVERSAMPLE, width * _OVERSAMPLE)
    section = head(*fine, seed, (x + float(dx), y + float(dy), size))
    target = (width, height)
    masks = {
        "brain": section.tissue["grey"] + section.tissue["white"] + section.tissue["nuclei"],
        "skull": section.tissue["skull"] + section.tissue["marrow"],
        "lesion": section.tissue["lesion"],
    }
    truth = {name: np.asarray(_shrink_float(m, target) > 0.5) for name, m in masks.items()}
    if kind == "ct":
        return _shrink(ct(section, seed), target), _shrink(mri(section, T1, seed), target), truth
    contrast, scale = (T1, PET) if kind == "pet" else (T2, SPECT)
    activity = _shrink_float(emission(section, scale, kind, seed), target)
    return _shrink(mri(section, contrast, seed), target), colour_map(activity, kind), truth


def _shrink_float(picture: Array, size: tuple[int, int]) -> Array:
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA))


def _shrink(picture: Array, size: tuple[int, int]) -> Array:
    return to_bytes(_shrink_float(picture, size))


def _blur(picture: Array, section: Head, units: float) -> Array:
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), max(units / section.pixel, 0.3)))


def mri(section: Head, contrast: dict[str, float], seed: int) -> Array:
    """Magnetic resonance: tissue contrast, fibre texture, vessels, coil shading; 0..1."""
    rng = generator(seed, "mri")
    shape = section.x.shape[0], section.x.shape[1]
    cell = 1 / section.pixel
    picture = section.mix(contrast)
    brain = section.tissue["grey"] + section.tissue["white"] + section.tissue["nuclei"]
    fibre = fractal_noise(rng, shape, 0.09 * cell, 3)
    speck = value_noise(rng, shape, max(0.012 * cell, 1.0))
    picture = picture * (1 + (0.035 * fibre + 0.03 * speck) * (0.4 + 0.6 * brain))
    picture += 0.06 * section.tissue["scalp"] * value_noise(rng, shape, max(0.07 * cell, 1.0))
    picture += 0.12 * section.tissue["lesion"] * fractal_noise(rng, shape, 0.06 * cell, 3)
    rim = section.tissue["lesion"] - _blur(section.tissue["lesion"], section, 0.02)
    picture += 0.75 * np.clip(rim, 0, 1) * (section.tissue["lesion"] > 0.05)
    picture += _vessels(section, rng)
    shading = 1 + 0.10 * smoothstep(0.2, 1.0, section.radius) - 0.05 * section.y
    return _blur(picture * shading, section, 0.004)


def _vessels(section: Head, rng: np.random.Generator) -> Array:
    """Small bright vessels in the white matter and along the fissure."""
    shape = section.x.shape[0], section.x.shape[1]
    line = np.abs(fractal_noise(rng, shape, 0.3 / section.pixel, 3))
    thin: Array = smoothstep(0.02, 0.0, line) * smoothstep(
        0.25, 0.6, value_noise(rng, shape, 0.15 / section.pixel)
    )
    return -0.10 * thin * section.tissue["white"]


def ct(section: Head, seed: int) -> Array:
    """Computed tomography in a brain window: bone white, brain grey, head rest below."""
    rng = generator(seed, "ct")
    shape = section.x.shape[0], section.x.shape[1]
    cell = 1 / section.pixel
    picture = _blur(section.mix(CT), section, 0.009)
    soft = 0.02 * value_noise(rng, shape, max(0.02 * cell, 1.0))
    soft += 0.02 * fractal_noise(rng, shape, 0.12 * cell, 3)
    inside = section.radius < 0.9
    cupping = 0.05 * smoothstep(0.5, 0.86, section.radius) * inside
    rest = np.abs(np.hypot(section.x, section.y + 0.35) - 1.31)
    arc = smoothstep(0.009, 0.004, rest) * (section.y > 0.35)
    return np.maximum(picture + (soft + cupping) * inside, 0.9 * arc)


def emission(section: Head, scale: dict[str, float], kind: str, seed: int) -> Array:
    """Tracer activity 0..1 as a ring of detectors sees it: blurred, with lumpy counts."""
    rng = generator(seed, kind)
    shape = section.x.shape[0], section.x.shape[1]
    cell = 1 / section.pixel
    width = 0.026 if kind == "pet" else 0.042
    activity = section.mix(scale)
    regional = 1 + 0.10 * value_noise(rng, shape, 0.4 * cell) + 0.07 * section.y
    counts = value_noise(rng, shape, 0.055 * cell) + 0.6 * value_noise(rng, shape, 0.03 * cell)
    activity = activity * regional * (1 + (0.16 if kind == "pet" else 0.22) * counts)
    activity = _blur(activity, section, width)
    peak = float(np.quantile(activity, 0.9985))
    return np.power(np.clip(activity / max(peak, 1e-6), 0, 1), 0.85 if kind == "pet" else 1.0)
