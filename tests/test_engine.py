"""The engine on small pairs with untrained weights: what must hold for any network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from drfuse_cli.config import Degradation, FuseOptions
from drfuse_cli.engine import Engine, FuseResult, choose_device
from drfuse_cli.errors import DrfuseError, ExitCode
from drfuse_cli.imageio import Image
from drfuse_cli.models import build_network
from drfuse_cli.networks.fusion_net import Architecture
from drfuse_cli.operators.simulate import degrade_image
from drfuse_cli.weights import LoadedWeights, load_weights, save_weights

CLEAN = Degradation()


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> LoadedWeights:
    """A small network with random heads, so that it does change its inputs."""
    torch.manual_seed(0)
    architecture = Architecture(widths=(8, 12, 16), depths=(1, 1, 1), step_blocks=1).as_dict()
    model = build_network(architecture)
    torch.nn.init.normal_(model.network.noise_head.weight, std=0.002)
    torch.nn.init.normal_(model.network.weight_head.weight, std=0.5)
    path: Path = tmp_path_factory.mktemp("weights") / "random.safetensors"
    save_weights(path, model.state_dict(), architecture, "ivif", dtype="fp32")
    return load_weights(str(path), "ivif")


def picture(height: int, width: int, *, colour: bool = False, bits: int = 8) -> Image:
    """A smooth scene away from black and white, so that colours stay in range."""
    y, x = np.mgrid[:height, :width] / 7.0
    base = 0.5 + 0.2 * np.sin(x) * np.cos(0.7 * y)
    planes = [base + 0.08 * np.sin(0.3 * x + k) for k in range(3)] if colour else [base]
    values = np.stack(planes, -1) if colour else base
    top = 2**bits - 1
    return Image(np.round(values * top).astype(np.uint8 if bits == 8 else np.uint16))


def fuse(
    weights: LoadedWeights,
    first: Image,
    second: Image,
    degradations: tuple[Degradation, Degradation] = (CLEAN, CLEAN),
    **options: object,
) -> FuseResult:
    return Engine(weights, FuseOptions(device="cpu", **options)).fuse(first, second, degradations)  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (7, 1), (5, 6), (33, 47)])
def test_any_size_comes_out_whole(weights: LoadedWeights, size: tuple[int, int]) -> None:
    noisy = Degradation(noise_std=5, blur_sigma=2)
    result = fuse(weights, picture(*size), picture(*size, colour=True), (noisy, noisy))
    assert result.fused.pixels.shape == (*size, 3)
    assert result.sources[0].pixels.shape == size
    assert result.weight_map.shape == size


def test_low_resolution_source_is_brought_to_the_larger_grid(weights: LoadedWeights) -> None:
    low = Degradation(noise_std=2, blur_sigma=2, sr_scale=4)
    result = fuse(weights, picture(9, 12), picture(37, 49, colour=True), (low, CLEAN))
    assert result.fused.pixels.shape == (37, 49, 3)
    assert result.sources[0].pixels.shape == (37, 49)
    assert result.residuals[0].map.shape == (10, 13)


def test_both_low_resolution_give_a_larger_output(weights: LoadedWeights) -> None:
    half = Degradation(sr_scale=2)
    result = fuse(weights, picture(10, 12), picture(10, 12), (half, half))
    assert result.fused.pixels.shape == (20, 24)


def test_sources_of_different_scenes_are_refused(weights: LoadedWeights) -> None:
    with pytest.raises(DrfuseError, match="do not cover the same grid"):
        fuse(weights, picture(20, 20), picture(20, 40))


@pytest.mark.parametrize(("bits1", "bits2", "expected"), [(8, 8, 8), (16, 8, 16), (8, 16, 16)])
def test_depth_follows_the_deeper_source(
    weights: LoadedWeights, bits1: int, bits2: int, expected: int
) -> None:
    result = fuse(weights, picture(16, 16, bits=bits1), picture(16, 16, bits=bits2, colour=True))
    assert result.fused.bits == expected
    assert [image.bits for image in result.sources] == [bits1, bits2]


def test_a_clean_pair_keeps_its_sources_and_its_chroma(weights: LoadedWeights) -> None:
    from drfuse_cli.colour import split

    first, second = picture(40, 56), picture(40, 56, colour=True)
    result = fuse(weights, first, second)
    np.testing.assert_array_equal(result.sources[0].pixels, first.pixels)
    np.testing.assert_array_equal(result.sources[1].pixels, second.pixels)
    change = np.abs(split(result.fused)[1] - split(second)[1])  # type: ignore[operator]
    assert change.max() <= 1 / 255


def test_noisy_chroma_is_not_pasted_into_the_result(weights: LoadedWeights) -> None:
    from drfuse_cli.colour import split

    clean = picture(64, 64, colour=True)
    noise = Degradation(noise_std=20)
    noisy = degrade_image(clean, noise, np.random.default_rng(0))
    result = fuse(weights, picture(64, 64), noisy, (CLEAN, noise))
    truth, given, made = (split(image)[1] for image in (clean, noisy, result.sources[1]))
    assert np.abs(made - truth).mean() < 0.6 * np.abs(given - truth).mean()  # type: ignore[operator]


def test_grey_pairs_stay_grey_and_colour_may_come_from_either(weights: LoadedWeights) -> None:
    grey, colour = picture(16, 24), picture(16, 24, colour=True)
    assert not fuse(weights, grey, grey).fused.colour
    assert fuse(weights, colour, grey).fused.colour
    both = fuse(weights, colour, colour)
    assert both.sources[0].colour
    assert both.sources[1].colour


def test_tiles_agree_with_the_whole(weights: LoadedWeights) -> None:
    noisy = (Degradation(noise_std=9, blur_sigma=1), Degradation(noise_std=9))
    pair = picture(150, 203), picture(150, 203, colour=True)
    whole = fuse(weights, *pair, noisy, tile=0).fused.pixels.astype(int)
    tiled = fuse(weights, *pair, noisy, tile=64).fused.pixels.astype(int)
    assert np.abs(whole - tiled).max() <= 1


def test_nothing_is_random(weights: LoadedWeights) -> None:
    noisy = (Degradation(noise_std=9), Degradation(noise_std=9))
    pair = picture(32, 32), picture(32, 32)
    first = fuse(weights, *pair, noisy, seed=1)
    second = fuse(weights, *pair, noisy, seed=2)
    np.testing.assert_array_equal(first.fused.pixels, second.fused.pixels)


def test_numbers_of_numpy_are_numbers(weights: LoadedWeights) -> None:
    plain, double = Degradation(6.0, 1.5), Degradation(np.float64(6.0), np.float64(1.5))
    assert plain == double
    pair = picture(24, 24), picture(24, 24)
    made = [fuse(weights, *pair, (told, told)).fused.pixels for told in (plain, double)]
    assert np.array_equal(*made)


def test_states_and_residuals_describe_the_run(weights: LoadedWeights) -> None:
    noise = Degradation(noise_std=10)
    noisy = degrade_image(picture(48, 48), noise, np.random.default_rng(0))
    result = fuse(weights, noisy, noisy, (noise, noise), steps=2, keep_states=True)
    assert [int(state["t"]) for state in result.states] == [2, 1]
    assert result.residuals[0].expected == 10
    restored = result.sources[0].pixels.astype(float) - noisy.pixels
    assert result.residuals[0].rms == pytest.approx(np.sqrt((restored**2).mean()), rel=0.05)


def test_zero_padded_blur_is_compensated(weights: LoadedWeights) -> None:
    from dataclasses import replace

    clean = Image(np.full((48, 48), 180, np.uint8))
    blur = Degradation(blur_sigma=2, zero_border=True)
    dark_frame = degrade_image(clean, blur, np.random.default_rng(0))
    assert dark_frame.pixels[0].mean() < 0.7 * 180
    told = fuse(weights, dark_frame, dark_frame, (blur, blur)).sources[0].pixels.astype(int)
    ignorant = replace(blur, zero_border=False)
    untold = fuse(weights, dark_frame, dark_frame, (ignorant, ignorant)).sources[0].pixels
    frame = np.ones((48, 48), bool)
    frame[6:-6, 6:-6] = False
    assert np.abs(told - 180)[frame].mean() < 0.3 * np.abs(untold.astype(int) - 180)[frame].mean()


def test_constant_images_pass(weights: LoadedWeights) -> None:
    black = Image(np.zeros((24, 24), np.uint8))
    noisy = Degradation(noise_std=5, blur_sigma=1)
    assert fuse(weights, black, black, (noisy, noisy)).fused.pixels.shape == (24, 24)


def test_a_network_that_returns_nan_is_reported(weights: LoadedWeights) -> None:
    engine = Engine(weights, FuseOptions(device="cpu"))
    with torch.no_grad():
        engine.model.network.noise_head.bias.fill_(float("nan"))
    noisy = Degradation(noise_std=5)
    with pytest.raises(DrfuseError, match="not numbers") as caught:
        engine.fuse(picture(16, 16), picture(16, 16), (noisy, noisy))
    assert caught.value.code == ExitCode.FAILED


def test_running_out_of_memory_says_what_to_do(
    weights: LoadedWeights, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine(weights, FuseOptions(device="cpu"))

    def exhausted(*_: object) -> None:
        raise torch.OutOfMemoryError

    monkeypatch.setattr(engine.model, "forward", exhausted)
    with pytest.raises(DrfuseError, match="not enough memory") as caught:
        engine.fuse(picture(16, 16), picture(16, 16), (CLEAN, CLEAN))
    assert caught.value.code == ExitCode.ENVIRONMENT
    assert "--tile" in str(caught.value)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has the device")
def test_a_missing_device_is_refused() -> None:
    with pytest.raises(DrfuseError, match="not available") as caught:
        choose_device("cuda")
    assert caught.value.code == ExitCode.ENVIRONMENT


@pytest.mark.parametrize("correction", ["joint", "none", "paper", "data", "fusion"])
@pytest.mark.parametrize("steps", [1, 3, 5])
def test_every_correction_runs_at_any_number_of_steps(
    weights: LoadedWeights, correction: str, steps: int
) -> None:
    noisy = Degradation(noise_std=9, blur_sigma=1)
    pair = picture(24, 24), picture(24, 24, colour=True)
    result = fuse(weights, *pair, (noisy, noisy), correction=correction, steps=steps)
    assert result.fused.pixels.std() > 0


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_agrees_with_the_processor(weights: LoadedWeights) -> None:
    noisy = (Degradation(noise_std=9, blur_sigma=2), Degradation(noise_std=9))
    pair = picture(64, 64), picture(64, 64, colour=True)
    cpu = fuse(weights, *pair, noisy).fused.pixels.astype(int)
    engine = Engine(weights, FuseOptions(device="cuda", precision="fp32"))
    assert np.abs(engine.fuse(*pair, noisy).fused.pixels.astype(int) - cpu).max() <= 1
