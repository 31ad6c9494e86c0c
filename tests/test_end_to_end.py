"""The bundled weights on rendered scenes: what a newcomer sees, as numbers."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from drfuse_cli.cli.app import run
from drfuse_cli.colour import luma8, split
from drfuse_cli.config import Degradation, FuseOptions, PresetName, Task, preset
from drfuse_cli.engine import Engine, FuseResult
from drfuse_cli.imageio import Image, read_image, write_image
from drfuse_cli.impairments import Haze, LowContrast, Stripes, impair_image
from drfuse_cli.metrics import psnr
from drfuse_cli.operators.simulate import degrade_image, generator
from drfuse_cli.restore import lift_image
from drfuse_cli.scenes import render, render_with_masks
from drfuse_cli.weights import list_weights, load_weights

Both = tuple[Image, Image]
Degradations = tuple[Degradation, Degradation]
SCENES: dict[Task, tuple[str, int, int]] = {
    "ivif": ("street-day", 640, 480),
    "medical": ("mri-pet", 192, 192),
}


def degraded(clean: Both, degradations: Degradations) -> Both:
    first, second = (
        degrade_image(image, d, generator(0, "scene", str(i)))
        for i, (image, d) in enumerate(zip(clean, degradations, strict=True))
    )
    return first, second


def fuse(task: Task, pair: Both, degradations: Degradations) -> FuseResult:
    return Engine(load_weights(None, task), FuseOptions(task=task)).fuse(*pair, degradations)


def enlarged(image: Image, like: Image) -> np.ndarray:
    return cv2.resize(luma8(image), (like.width, like.height), interpolation=cv2.INTER_CUBIC)


def test_both_tasks_have_bundled_weights_of_a_size_to_ship() -> None:
    entries = [entry for entry in list_weights() if entry.default]
    assert {entry.task for entry in entries} >= {"ivif", "medical"}
    for entry in entries:
        assert entry.path.stat().st_size < 20_000_000
        assert entry.validation
        assert entry.licence


@pytest.mark.parametrize("name", ["noise", "blur", "composite"])
@pytest.mark.parametrize("task", ["ivif", "medical"])
def test_restored_sources_beat_the_input_and_the_closed_form(task: Task, name: PresetName) -> None:
    clean = render(*SCENES[task])
    degradations = preset(task, name)
    given = degraded(clean, degradations)
    result = fuse(task, given, degradations)
    gains_over_input, gains_over_lift = [], []
    for i in range(2):
        truth = luma8(clean[i])
        made = psnr(luma8(result.sources[i]), truth)
        lifted = lift_image(given[i], degradations[i], truth.shape)
        gains_over_input.append(made - psnr(enlarged(given[i], clean[i]), truth))
        gains_over_lift.append(made - psnr(luma8(lifted), truth))
    assert min(gains_over_input) > 0.5
    # The rendered PET is so smooth that under blur the closed form alone reaches 43 dB.
    assert min(gains_over_lift) > (-1 if (task, name) == ("medical", "blur") else 0)
    assert np.mean(gains_over_lift) > 0.15


@pytest.mark.parametrize("name", ["noise", "composite"])
def test_people_stay_hot_and_nothing_rings_at_the_border(name: PresetName) -> None:
    scene = render_with_masks("street-night", 320, 240)
    clean = (scene.source1, scene.source2)
    degradations = preset("ivif", name)
    fused = luma8(fuse("ivif", degraded(clean, degradations), degradations).fused).astype(float)
    people = scene.masks["person"].astype(bool)
    visible = luma8(clean[1]).astype(float)
    assert fused[people].mean() > visible[people].mean() + 40
    wanted = np.maximum(luma8(clean[0]), luma8(clean[1])).astype(float)
    error = np.abs(fused - wanted)
    frame = np.ones_like(error, bool)
    frame[6:-6, 6:-6] = False
    assert error[frame].mean() < 1.5 * error[~frame].mean() + 3


def test_colour_noise_is_removed() -> None:
    clean = render("street-day", 320, 240)
    degradations = preset("ivif", "noise")
    given = degraded(clean, degradations)
    result = fuse("ivif", given, degradations)
    truth, seen, made = (split(image)[1] for image in (clean[1], given[1], result.sources[1]))
    assert truth is not None
    assert seen is not None
    assert made is not None
    assert np.abs(made - truth).mean() < 0.45 * np.abs(seen - truth).mean()


def test_recofuse_lifts_a_veil_and_restores_contrast() -> None:
    clean = render("street-day", 320, 240)
    rng = generator(0, "scene", "veil")
    given = (
        impair_image(clean[0], (LowContrast(0.4, 0.3), Stripes(2.5)), rng),
        impair_image(clean[1], (Haze(0.5, 0.8, 0.15),), rng),
    )
    engine = Engine(load_weights(None, "ivif", "recofuse"), FuseOptions(method="recofuse", steps=6))
    result = engine.fuse(*given, (Degradation(), Degradation()))
    for made, seen, truth in zip(result.sources, given, clean, strict=True):
        assert psnr(luma8(made), luma8(truth)) > psnr(luma8(seen), luma8(truth)) + 2
    assert luma8(result.fused).std() > max(luma8(seen).std() for seen in given)


def test_the_command_does_it_on_files_and_repeats_from_its_sidecar(tmp_path: Path) -> None:
    clean = render("crossing", 160, 120)
    degradations = preset("ivif", "composite")
    for name, image in zip(("ir", "vis"), degraded(clean, degradations), strict=True):
        write_image(tmp_path / f"{name}.png", image)
    inputs = [str(tmp_path / "ir.png"), str(tmp_path / "vis.png")]
    out = tmp_path / "out.png"
    assert run(["fuse", *inputs, "-o", str(out), "--degrade", "composite"]) == 0
    assert read_image(out).pixels.shape == (120, 160, 3)
    document = json.loads((tmp_path / "out.png.json").read_text())
    assert document["operators"][0]["sr_scale"] == 4
    assert document["correction"] is True

    from drfuse_cli.report.sidecar import arguments

    again = tmp_path / "again.png"
    assert run(arguments(document, str(again))) == 0
    assert again.read_bytes() == out.read_bytes()


def test_sixteen_bits_come_through(tmp_path: Path) -> None:
    first, second = render("street-day", 128, 96)
    deep = Image(first.pixels.astype(np.uint16) * 257)
    write_image(tmp_path / "ir.tif", deep)
    write_image(tmp_path / "vis.png", second)
    out = tmp_path / "out.tif"
    command = ["fuse", str(tmp_path / "ir.tif"), str(tmp_path / "vis.png"), "-o", str(out)]
    assert run([*command, "--degrade", "none", "--save-sources", str(tmp_path / "s")]) == 0
    assert read_image(out).bits == 16
    np.testing.assert_array_equal(read_image(tmp_path / "s" / "source1.png").pixels, deep.pixels)
