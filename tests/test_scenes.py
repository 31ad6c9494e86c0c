"""The rendered scenes: repeatable, registered, and different where the two cameras differ."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from functools import cache

import cv2
import numpy as np
import pytest

from drfuse_cli.errors import DrfuseError
from drfuse_cli.imageio import Image
from drfuse_cli.scenes import SCENES, Rendered, render, render_with_masks

STREETS = [name for name, scene in SCENES.items() if scene.task == "ivif"]
MEDICAL = [name for name, scene in SCENES.items() if scene.task == "medical"]


@cache
def drawn(name: str) -> Rendered:
    size = (320, 240) if name in STREETS else (128, 128)
    return render_with_masks(name, *size)


@cache
def small(name: str) -> tuple[Image, Image]:
    return render(name, 64, 65)


def luma(pixels: np.ndarray) -> np.ndarray:
    weights = np.array([0.299, 0.587, 0.114])
    return pixels @ weights if pixels.ndim == 3 else pixels.astype(np.float64)


def grown(mask: np.ndarray, size: int) -> np.ndarray:
    return cv2.dilate(mask.astype(np.uint8), np.ones((size, size), np.uint8)) > 0


def contrasts(scene: Rendered) -> list[tuple[float, float]]:
    """Infrared and visible contrast of every person against what is around."""
    people, cars = scene.masks["person"], scene.masks["vehicle"]
    infrared, visible = luma(scene.source1.pixels), luma(scene.source2.pixels)
    count, number = cv2.connectedComponents(people.astype(np.uint8))
    found = []
    for i in range(1, count):
        body = number == i
        around = grown(body, 9) & ~grown(people | cars, 3)
        if body.sum() >= 20 and around.sum() >= 20:
            found.append(
                (
                    float(infrared[body].mean() - infrared[around].mean()),
                    float(visible[body].mean() - visible[around].mean()),
                )
            )
    return found


def edge_strength(picture: np.ndarray, where: np.ndarray) -> float:
    """Median gradient, in grey levels a pixel."""
    across, down = (cv2.Sobel(picture, cv2.CV_64F, *axis) / 8 for axis in ((1, 0), (0, 1)))
    return float(np.median(np.hypot(across, down)[where]))


def test_scenes_cover_both_tasks_by_day_and_night() -> None:
    assert {"street-day", "street-night", "crossing", "drone"} <= set(STREETS)
    assert set(MEDICAL) == {"mri-pet", "mri-spect", "mri-ct"}
    assert all(scene.name == name for name, scene in SCENES.items())


@pytest.mark.parametrize("name", SCENES)
def test_pictures_are_registered_and_typed(name: str) -> None:
    scene = drawn(name)
    first, second = scene.source1.pixels, scene.source2.pixels
    assert first.dtype == second.dtype == np.uint8
    assert first.ndim == 2
    assert second.ndim == (2 if name == "mri-ct" else 3)
    assert first.shape == second.shape[:2]
    for mask in scene.masks.values():
        assert mask.shape == first.shape
        assert mask.dtype == bool
        assert mask.any()


@pytest.mark.parametrize("name", SCENES)
def test_equal_arguments_give_equal_pictures_and_seeds_matter(name: str) -> None:
    again, other = (render(name, 64, 65, seed) for seed in (0, 1))
    for one, two, three in zip(small(name), again, other, strict=True):
        assert np.array_equal(one.pixels, two.pixels)
        assert not np.array_equal(one.pixels, three.pixels)


def test_another_process_draws_the_same_without_torch() -> None:
    code = (
        "import hashlib, sys; from drfuse_cli.scenes import render;"
        "pair = render('crossing', 64, 64, 3) + render('mri-pet', 64, 64, 3);"
        "print(hashlib.sha256(b''.join(i.pixels.tobytes() for i in pair)).hexdigest());"
        "print('torch' in sys.modules)"
    )
    env = {**os.environ, "PYTHONHASHSEED": "77"}
    run = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True
    )
    pair = render("crossing", 64, 64, 3) + render("mri-pet", 64, 64, 3)
    here = hashlib.sha256(b"".join(i.pixels.tobytes() for i in pair)).hexdigest()
    assert run.stdout.split() == [here, "False"]


@pytest.mark.parametrize("name", SCENES)
def test_the_smallest_and_odd_sizes(name: str) -> None:
    for image in small(name):
        assert (image.width, image.height) == (64, 65)
        assert image.pixels.std() > 15
    for image in render(name, 111, 64):
        assert (image.width, image.height) == (111, 64)


def test_usual_size() -> None:
    first, second = render("mri-pet")
    assert (first.width, first.height) == (second.width, second.height) == (256, 256)


@pytest.mark.parametrize("name", [n for n in SCENES if n != "mri-ct"])
def test_source_2_is_colourful(name: str) -> None:
    pixels = drawn(name).source2.pixels.astype(int)
    chroma = pixels.max(axis=2) - pixels.min(axis=2)
    assert np.quantile(chroma, 0.95) > 60


@pytest.mark.parametrize("name", STREETS)
def test_people_are_hot(name: str) -> None:
    found = [infrared for infrared, _ in contrasts(drawn(name))]
    assert len(found) >= 2
    assert min(found) > 20
    assert np.median(found) > 60


def test_night_is_dark_for_the_visible_camera_alone() -> None:
    day, night = drawn("street-day"), drawn("street-night")
    assert luma(day.source2.pixels).mean() > 90
    assert luma(night.source2.pixels).mean() < 60
    assert luma(night.source1.pixels).mean() > 0.7 * luma(day.source1.pixels).mean()
    people = night.masks["person"]
    assert luma(night.source2.pixels)[people].mean() < 45
    assert luma(night.source1.pixels)[people].mean() > 140


def test_steam_hides_a_walker_from_the_visible_camera_alone() -> None:
    assert any(
        infrared > 60 and abs(visible) < 10 for infrared, visible in contrasts(drawn("crossing"))
    )


@pytest.mark.parametrize("name", STREETS)
def test_text_can_be_read_in_the_visible_picture_alone(name: str) -> None:
    scene = drawn(name)
    letters = grown(scene.masks["text"], 3)
    visible = edge_strength(luma(scene.source2.pixels), letters)
    infrared = edge_strength(luma(scene.source1.pixels), letters)
    assert visible > 10
    assert infrared < 0.2 * visible


def test_tracer_is_high_in_the_focus_and_low_in_the_infarct() -> None:
    focus, infarct = drawn("mri-pet"), drawn("mri-spect")
    red, green, _ = np.moveaxis(focus.source2.pixels.astype(int), 2, 0)
    lesion = focus.masks["lesion"]
    assert red[lesion].mean() > 220
    assert green[lesion].mean() < 130
    assert red[focus.masks["brain"]].mean() < 160
    tracer = luma(infarct.source2.pixels)
    assert tracer[infarct.masks["lesion"]].mean() < 0.7 * tracer[infarct.masks["brain"]].mean()


def test_background_of_medical_pictures_is_black() -> None:
    for name in MEDICAL:
        scene = drawn(name)
        for image in (scene.source1, scene.source2):
            assert image.pixels[:8, :8].max() <= 3


def test_bone_is_bright_in_ct_and_dark_in_mri() -> None:
    scene = drawn("mri-ct")
    skull, brain = scene.masks["skull"], scene.masks["brain"]
    computed, resonance = scene.source1.pixels, scene.source2.pixels
    assert computed[skull].mean() > 1.7 * computed[brain].mean()
    assert resonance[skull].mean() < 0.6 * resonance[brain].mean()


def test_unknown_scene_names_the_known_ones() -> None:
    with pytest.raises(DrfuseError, match="no scene is called 'moon'") as caught:
        render("moon")
    assert "street-day" in str(caught.value)


@pytest.mark.parametrize("size", [(63, 64), (64, 63), (9000, 64), (0, 0)])
def test_sizes_that_cannot_be_drawn(size: tuple[int, int]) -> None:
    with pytest.raises(DrfuseError, match="cannot be drawn"):
        render("street-day", *size)
