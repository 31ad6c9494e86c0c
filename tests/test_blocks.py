"""Images too large for memory, worked on block by block: the same picture as the whole."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from batch_support import make_weights

from drfuse_cli.config import Degradation, FuseOptions
from drfuse_cli.engine import Engine, FuseResult, Prepared, prepare
from drfuse_cli.engine import engine as module
from drfuse_cli.engine.blocks import cut
from drfuse_cli.engine.drfusion import DRFusionRunner
from drfuse_cli.imageio import Image
from drfuse_cli.operators.simulate import degrade_image
from drfuse_cli.scenes import render
from drfuse_cli.weights import LoadedWeights, load_weights

MOTION = np.eye(7) / 7
SETTINGS = {
    "noise": (Degradation(noise_std=12), Degradation(noise_std=12)),
    "blur": (Degradation(noise_std=2, blur_sigma=2), Degradation(blur_sigma=1)),
    "composite": (Degradation(noise_std=2, blur_sigma=2, sr_scale=4), Degradation(noise_std=8)),
    "motion": (Degradation(noise_std=2, psf=MOTION), Degradation(noise_std=2)),
}
SIZE = (320, 440)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> LoadedWeights:
    """Whose correction believes nothing of what its residual shows, as most bundled ones do."""
    return random_weights(tmp_path_factory.mktemp("weights"), share=-20)


def random_weights(folder: Path, share: float) -> LoadedWeights:
    """``share``: log-odds of what is believed of the residual."""
    found = load_weights(str(make_weights(folder / "w.safetensors")), "ivif")
    bias = found.tensors["correction.trust.2.bias"].clone()
    bias[7:] = share
    return replace(found, tensors={**found.tensors, "correction.trust.2.bias": bias})


@pytest.fixture(scope="module")
def scene() -> tuple[Image, Image]:
    return render("street-day", SIZE[1], SIZE[0])


def degraded(
    scene: tuple[Image, Image], degradations: tuple[Degradation, Degradation]
) -> tuple[Image, Image]:
    rng = np.random.default_rng(0)
    first, second = (degrade_image(*both, rng) for both in zip(scene, degradations, strict=True))
    return first, second


def share_beyond_one(a: np.ndarray, b: np.ndarray) -> float:
    """The share of values that differ by more than one level."""
    return float((np.abs(a.astype(float) - b) > 1).mean())


@pytest.fixture
def blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BLOCK_LIMIT", 50_000)
    monkeypatch.setattr(module, "_BLOCK", 224)


# Motion blur is undone by iterations whose steps depend on the whole image.
@pytest.mark.parametrize("setting", SETTINGS)
def test_blocks_make_the_same_picture(
    weights: LoadedWeights,
    scene: tuple[Image, Image],
    setting: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    images = degraded(scene, SETTINGS[setting])
    options = FuseOptions(device="cpu", keep_states=True, steps=2)

    def fuse() -> FuseResult:
        return Engine(weights, options).fuse(*images, SETTINGS[setting])

    whole = fuse()
    monkeypatch.setattr(module, "_BLOCK_LIMIT", 50_000)
    monkeypatch.setattr(module, "_BLOCK", 224)
    seen: list[int] = []
    run = DRFusionRunner.__call__
    monkeypatch.setattr(
        DRFusionRunner, "__call__", lambda *a: seen.append(a[1][0].pixels) or run(*a)
    )
    parts = fuse()
    assert len(seen) == 4
    assert max(seen) < SIZE[0] * SIZE[1]
    pictures = [(whole.fused, parts.fused), *zip(whole.sources, parts.sources, strict=True)]
    for a, b in pictures:
        assert share_beyond_one(a.pixels, b.pixels) <= (0.01 if setting == "motion" else 0)
    assert np.abs(whole.weight_map - parts.weight_map).mean() < 0.001
    for a, b in zip(whole.residuals, parts.residuals, strict=True):
        assert a.map.shape == b.map.shape
        assert a.rms == pytest.approx(b.rms, abs=0.01)
    assert [state["t"] for state in whole.states] == [state["t"] for state in parts.states]
    assert np.abs(whole.states[0]["f"] - parts.states[0]["f"]).mean() < 0.001


@pytest.mark.parametrize(
    ("believing", "views"),
    [("random, half believed", 1), ("ivif-tiny", 1), ("ivif-small", 1), ("ivif-small", 2)],
)
@pytest.mark.parametrize("setting", ["noise", "blur", "composite"])
def test_blocks_that_each_look_at_their_residual_differ_by_no_level(
    scene: tuple[Image, Image],
    setting: str,
    believing: str,
    views: int,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    if believing == "ivif-small":
        # Noisy sources are denoised first, so that blocks need wide surroundings.
        scene = render("street-day", 1000, SIZE[0])
    images = degraded(scene, SETTINGS[setting])
    bundled = believing.startswith("ivif")
    weights = load_weights(believing, "ivif") if bundled else random_weights(tmp_path, share=0)
    engine = Engine(weights, FuseOptions(device="cpu", steps=2, self_ensemble=views))
    whole = engine.fuse(*images, SETTINGS[setting])
    monkeypatch.setattr(module, "_BLOCK_LIMIT", 50_000)
    monkeypatch.setattr(module, "_BLOCK", 224)
    parts = engine.fuse(*images, SETTINGS[setting])
    assert not np.array_equal(whole.weight_map, parts.weight_map)
    for a, b in [(whole.fused, parts.fused), *zip(whole.sources, parts.sources, strict=True)]:
        assert share_beyond_one(a.pixels, b.pixels) == 0


@pytest.mark.usefixtures("blocks")
def test_never_tile_means_never(weights: LoadedWeights, scene: tuple[Image, Image]) -> None:
    engine = Engine(weights, FuseOptions(device="cpu", tile=0))
    pair = prepare(*scene, (Degradation(), Degradation()))
    assert not engine._is_huge(pair)
    assert Engine(weights, FuseOptions(device="cpu"))._is_huge(pair)


@pytest.mark.usefixtures("blocks")
def test_memory_that_runs_out_in_a_block(
    weights: LoadedWeights, scene: tuple[Image, Image]
) -> None:
    engine = Engine(weights, FuseOptions(device="cpu"))
    encode = engine.model.network.encode

    def short(lifted: torch.Tensor, *rest: torch.Tensor) -> torch.Tensor:
        if lifted.shape[-2] * lifted.shape[-1] > 100_000:
            raise torch.OutOfMemoryError
        return encode(lifted, *rest)

    engine.model.network.encode = short  # type: ignore[method-assign]
    result = engine.fuse(*scene, (Degradation(noise_std=4), Degradation(noise_std=4)))
    assert result.warnings == [
        "not enough memory for the image as a whole: tiles of 256",
        "not enough memory for tiles of 256 pixels: tiles of 128",
    ]


@pytest.mark.parametrize("scale", [1, 3, 4])
def test_blocks_cover_every_pixel_once(scale: int) -> None:
    size = (240 // scale * scale, 504)
    coarse = Image(np.zeros((size[0] // scale, size[1] // scale), np.uint8))
    pair: Prepared = prepare(
        coarse, Image(np.zeros(size, np.uint8)), (Degradation(sr_scale=scale), Degradation())
    )
    count = np.zeros(pair.grid.canvas, int)
    for block in cut(pair, 100, denoiser_reach=0):
        count[block.window.place] += 1
        height, width = block.pair.grid.canvas
        assert block.pair.sources[0].luma.shape == (height // scale, width // scale)
        assert block.pair.sources[1].luma.shape == (height, width)
        assert (
            count[block.window.place].shape == np.empty((height, width))[block.window.inner].shape
        )
    assert (count == 1).all()
