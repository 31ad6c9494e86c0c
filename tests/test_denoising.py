"""The denoiser of observations: what it touches, what is assumed afterwards, tiles, its data."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from drfuse_cli.colour import RGB_TO_YCBCR
from drfuse_cli.config import Degradation, preset
from drfuse_cli.engine.inputs import make_inputs
from drfuse_cli.engine.prepared import prepare
from drfuse_cli.imageio import Image
from drfuse_cli.models import DRFusion
from drfuse_cli.networks.denoiser import Denoiser
from drfuse_cli.networks.fusion_net import Architecture
from drfuse_cli.networks.views import over_views
from drfuse_cli.operators.build import build_operator
from drfuse_cli.samplers.denoising import LEFT_BLURRED, denoised
from drfuse_cli.samplers.observation import Inputs, stated
from drfuse_cli.training.data import CleanPair, through_colour_map
from drfuse_cli.training.denoising import denoising_loss, see, taught
from drfuse_cli.weights import load_weights

LEFT = 0.12
NOTHING = Degradation()
NOISY = Degradation(noise_std=14.0)
POOLED = Degradation(blur_sigma=1.5, noise_std=8.0, sr_scale=4)
CPU = torch.device("cpu")


def inputs_of(first: Degradation, second: Degradation, batch: int = 1, seed: int = 0) -> Inputs:
    """Random observations of a grey and a colour source."""
    rng = np.random.default_rng(seed)
    n1, n2 = 48 // first.sr_scale, 48 // second.sr_scale
    pairs = []
    for _ in range(batch):
        grey = Image(rng.integers(0, 256, (n1, n1), dtype=np.uint8))
        colour = Image(rng.integers(0, 256, (n2, n2, 3), dtype=np.uint8))
        pairs.append(prepare(grey, colour, (first, second)))
    canvas = pairs[0].grid.canvas
    operators = [build_operator(source.blur, canvas) for source in pairs[0].sources]
    return make_inputs(pairs, operators, CPU)


def halved(y: Tensor, chroma: Tensor, noise_std: Tensor, blur_sigma: Tensor) -> Tensor:
    return y / 2


def test_a_pair_without_noise_is_left_alone() -> None:
    inputs = inputs_of(NOTHING, Degradation(blur_sigma=2.0))
    assert denoised(inputs, halved, LEFT) is inputs


def test_the_noisy_source_alone_is_denoised_and_said_to_have_less_noise() -> None:
    inputs = inputs_of(NOTHING, NOISY)
    found = denoised(inputs, halved, LEFT)
    clean, noisy, chroma = found.observations
    assert clean is inputs.observations[0]
    assert chroma is inputs.observations[2]
    assert torch.equal(noisy.y, inputs.observations[1].y / 2)
    (before, *_), (after, *_) = stated(inputs.condition), stated(found.condition)
    torch.testing.assert_close(after, before * torch.tensor([1.0, LEFT]))
    assert torch.equal(found.condition[:, 2:], inputs.condition[:, 2:])
    rounding = inputs.observations[1].noise_var - (before[0, 1] / 255) ** 2
    torch.testing.assert_close(noisy.noise_var, (after[0, 1] / 255) ** 2 + rounding)
    assert not torch.equal(found.lifted[:, 1:2], inputs.lifted[:, 1:2])


def test_the_denoiser_is_told_noise_of_luminance_and_blur_in_pixels_of_the_source() -> None:
    told: list[tuple[Tensor, Tensor]] = []
    colours: list[Tensor] = []

    def listen(y: Tensor, chroma: Tensor, noise_std: Tensor, blur_sigma: Tensor) -> Tensor:
        told.append((noise_std, blur_sigma))
        colours.append(chroma)
        return y

    inputs = inputs_of(POOLED, NOISY)
    denoised(inputs, listen, LEFT)
    (noise1, blur1), (noise2, blur2) = told
    torch.testing.assert_close(noise1, torch.tensor([8.0]))
    torch.testing.assert_close(blur1, torch.tensor([1.5 / 4]))
    torch.testing.assert_close(noise2, torch.tensor([14 * 0.6686]), rtol=1e-3, atol=0)
    assert float(blur2) == 0
    assert not colours[0].any()
    assert torch.equal(colours[1], inputs.observations[2].y)


def test_more_is_left_where_a_blur_or_pooling_is_undone() -> None:
    found = denoised(inputs_of(POOLED, NOISY), halved, LEFT)
    left = stated(found.condition)[0]
    torch.testing.assert_close(left[0, 0], torch.tensor(8 * LEFT_BLURRED))
    assert float(left[0, 1]) < 14 * LEFT


def test_in_a_batch_sources_without_noise_stay_as_they_are() -> None:
    one, other = inputs_of(NOISY, NOTHING, seed=1), inputs_of(NOTHING, NOTHING, seed=2)
    seen = [
        replace(a, y=torch.cat((a.y, b.y)), noise_var=torch.cat((a.noise_var, b.noise_var)))
        for a, b in zip(one.observations, other.observations, strict=True)
    ]
    both = Inputs(tuple(seen), torch.cat((one.condition, other.condition)))
    first = denoised(both, halved, LEFT).observations[0]
    assert torch.equal(first.y[1], other.observations[0].y[0])
    assert torch.equal(first.noise_var[1], other.observations[0].noise_var[0])
    assert torch.equal(first.y[0], one.observations[0].y[0] / 2)


def random_denoiser(width: int = 16, blocks: tuple[int, int, int] = (2, 2, 4)) -> Denoiser:
    torch.manual_seed(0)
    network = Denoiser(width, 8, blocks).eval()
    with torch.no_grad():
        for weight in network.parameters():
            if not weight.any():
                weight.normal_(std=0.05)
    return network


@pytest.mark.parametrize("size", [(8, 8), (37, 61), (1, 3)])
def test_any_size_comes_back_and_no_noise_means_no_change(size: tuple[int, int]) -> None:
    y, chroma = torch.rand(2, 1, *size), torch.rand(2, 2, *size) - 0.5
    with torch.no_grad():
        made = random_denoiser()(y, chroma, torch.tensor([20.0, 0.0]), torch.zeros(2))
    assert made.shape == y.shape
    assert not torch.equal(made[0], y[0])
    assert torch.equal(made[1], y[1])


@pytest.mark.parametrize("blocks", [(1, 1, 1), (2, 2, 4), (3, 1, 2)])
def test_the_denoiser_does_not_look_beyond_its_reach(
    blocks: tuple[int, int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By plain convolutions: how Winograd's rounds a pixel depends on those beside it."""
    monkeypatch.setattr("drfuse_cli.networks.convolution._has_winograd", lambda: False)
    network = random_denoiser(8, blocks)
    y, chroma = torch.rand(1, 1, 32, network.reach + 48), torch.zeros(1, 2, 32, network.reach + 48)
    changed = y.clone()
    changed[..., :16] += 1
    with torch.no_grad():
        one, other = (network(x, chroma, torch.ones(1), torch.zeros(1)) for x in (y, changed))
    beyond = slice(16 + network.reach, None)
    assert torch.equal(one[..., beyond], other[..., beyond])
    assert not torch.equal(one[..., :16], other[..., :16])


@pytest.mark.parametrize("size", [(24, 40), (21, 37)])
@pytest.mark.parametrize(("views", "mirrored"), [(1, False), (4, True), (8, True)])
def test_the_mean_over_views_knows_no_side(
    size: tuple[int, int], views: int, mirrored: bool
) -> None:
    torch.manual_seed(0)
    kernel = torch.randn(1, 1, 3, 3)

    def run(image: Tensor) -> Tensor:
        return torch.nn.functional.conv2d(image.mean(1, keepdim=True), kernel, padding=1)

    image = torch.rand(2, 3, *size)
    made = over_views(run, image, views)
    assert made.shape == (2, 1, *size)
    inner = slice(8, -8)
    for dims in ([2], [3]):
        other = over_views(run, image.flip(dims), views).flip(dims)
        assert torch.allclose(made[..., inner, inner], other[..., inner, inner], atol=1e-5) == (
            mirrored
        )
    turned = over_views(run, image.mT, views).mT
    assert torch.allclose(made[..., inner, inner], turned[..., inner, inner], atol=1e-5) == (
        views == 8
    )
    assert torch.allclose(over_views(lambda x: x, image, views), image, atol=1e-6)


@pytest.mark.parametrize("views", [1, 8])
@pytest.mark.parametrize("scale", [1, 4])
def test_tiles_agree_with_the_whole(scale: int, views: int) -> None:
    torch.manual_seed(0)
    model = DRFusion(Architecture(widths=(8, 12, 16), depths=(1, 1, 1), embedding=8, denoiser=8))
    model.denoiser = random_denoiser(8)
    y, chroma = torch.rand(1, 1, 800 // scale, 328), torch.rand(1, 2, 800 // scale, 328) - 0.5
    told = torch.tensor([20.0]), torch.tensor([0.5])
    with torch.no_grad():
        whole, tiled = (model._denoise(y, chroma, *told, "fp32", tile, views) for tile in (0, 128))
    assert float((whole - y).std()) > 0.01
    torch.testing.assert_close(tiled, whole, rtol=0, atol=1e-4)


def test_a_model_denoises_before_its_loop() -> None:
    torch.manual_seed(0)
    arch = Architecture(
        widths=(8, 12, 16), depths=(1, 1, 1), embedding=8, denoiser=8, noise_left=LEFT
    )
    model = DRFusion(arch).eval()
    inputs = inputs_of(NOISY, NOTHING)
    plain = DRFusion(replace(arch, denoiser=0)).eval()
    plain.load_state_dict(model.state_dict(), strict=False)
    with torch.no_grad():
        expected = plain(denoised(inputs, model.denoiser, LEFT))
        assert torch.equal(model(inputs), expected)
        assert not torch.equal(plain(inputs), expected)
        model.denoiser = random_denoiser(8)
        one, two = (model(inputs, self_ensemble=views) for views in (1, 2))
        assert not torch.allclose(one, two)


def pairs() -> list[CleanPair]:
    rng = np.random.default_rng(0)
    smooth = np.linspace(0, 255, 96)[:, None] + np.zeros((96, 96))
    wave = 128 + 90 * np.sin(np.arange(96) / 5)[None] * np.ones((96, 1))
    colour = np.stack([wave, smooth, rng.permuted(smooth, axis=1)], axis=2)
    first, second = (x.astype(np.uint8) for x in (smooth, colour))
    return [CleanPair("a", first, second)]


def test_training_sees_what_files_show_of_both_sources() -> None:
    rng = np.random.default_rng(3)
    kinds = set()
    for _ in range(40):
        for index, seen in enumerate(see(pairs(), "ivif", 2, 48, rng)):
            assert seen.noisy.shape == seen.clean.shape
            assert seen.chroma.shape == seen.noisy.expand(-1, 2, -1, -1).shape
            assert bool(seen.chroma.any()) == bool(index)
            assert seen.noisy.min() >= 0
            assert seen.noisy.max() <= 1
            scale = 48 // seen.noisy.shape[-1]
            kinds.add((index, scale))
            middle = (seen.clean > 0.3) & (seen.clean < 0.7)
            for k in range(2):
                error = (seen.noisy - seen.clean)[k][middle[k]]
                if len(error) > 800:
                    assert 255 * float(error.std()) == pytest.approx(
                        float(seen.noise_std[k]), rel=0.15, abs=0.35
                    )
    assert {(0, 1), (1, 1), (0, 4)} <= kinds


def test_presets_are_drawn_with_their_own_noise() -> None:
    rng = np.random.default_rng(0)
    stds = np.concatenate([see(pairs(), "ivif", 4, 32, rng)[0].noise_std for _ in range(60)])
    published = preset("ivif", "noise")[0].noise_std
    assert np.mean(np.abs(stds / published - 1) < 0.16) > 0.35
    assert stds.min() < 3
    assert stds.max() > 20


def test_a_third_of_the_noise_is_misstated() -> None:
    rng = np.random.default_rng(0)
    drawn = [seen for _ in range(60) for seen in see(pairs(), "ivif", 4, 32, rng)]
    ratio = np.concatenate([np.asarray(seen.stated_std / seen.noise_std) for seen in drawn])
    wrong = np.abs(ratio - 1) > 1e-5
    assert 0.25 < wrong.mean() < 0.45
    assert 0.6 < ratio.min() < 0.7
    assert 1.4 < ratio.max() < 1.65


def test_a_teacher_is_told_the_truth_and_sees_views() -> None:
    """One that errs at the left of what it sees errs at every side of what is to be found."""
    rng = np.random.default_rng(0)
    seen = see(pairs(), "multifocus", 2, 32, rng)[1]
    edge = seen.noisy.shape[-1]

    def teacher(y: Tensor, chroma: Tensor, noise: Tensor, blur: Tensor) -> Tensor:
        assert torch.equal(noise, seen.noise_std)
        assert torch.equal(blur, seen.blur_sigma)
        return y + torch.nn.functional.pad(torch.ones_like(y)[..., :1], (0, edge - 1))

    lit: set[int] = set()
    for _ in range(20):
        error = (taught(seen, teacher, 0.75, rng) - 0.25 * seen.clean) / 0.75 - seen.noisy
        assert float(error.mean()) == pytest.approx(1 / edge, rel=1e-3)
        sides = error[..., 0], error[..., -1], error[..., 0, :], error[..., -1, :]
        lit |= {i for i, side in enumerate(sides) if float(side.mean()) > 0.45}
    assert lit == {0, 1, 2, 3}
    assert taught(seen, None, 0.75, rng) is seen.clean


def test_the_loss_counts_decibels_of_every_picture_alike() -> None:
    clean = torch.full((2, 1, 8, 8), 0.5)
    error = torch.tensor([0.01, 0.1])[:, None, None, None]
    one = denoising_loss(clean + error, clean)
    both_better = denoising_loss(clean + torch.tensor([0.01, 0.05])[:, None, None, None], clean)
    other = denoising_loss(clean + torch.tensor([0.005, 0.1])[:, None, None, None], clean)
    assert float(one - both_better) == pytest.approx(np.log10(4) / 2, rel=1e-3)
    assert float(one - other) == pytest.approx(np.log10(4) / 2, rel=0.05)


def test_activity_comes_in_colours_that_rise_from_black() -> None:
    rng = np.random.default_rng(0)
    activity = np.linspace(0, 1, 50)[None]
    found = [through_colour_map(activity, rng)[0] for _ in range(5)]
    for colours in found:
        assert not colours[0].any()
        assert (np.diff(colours @ RGB_TO_YCBCR[0]) >= 0).all()
    assert not np.array_equal(found[0], found[1])
    grey = pairs()[0].first
    both = [see([CleanPair("a", grey, grey)], "medical", 4, 48, rng)[1] for _ in range(5)]
    coloured = torch.cat([seen.chroma.abs().amax((1, 2, 3)) > 0.01 for seen in both])
    assert 0.4 < float(coloured.float().mean()) < 1


def test_grey_files_keep_all_of_their_noise() -> None:
    grey = pairs()[0].first
    rng = np.random.default_rng(0)
    for _ in range(5):
        seen = see([CleanPair("a", grey, grey)], "multifocus", 2, 48, rng)[1]
        inside = (seen.clean > 0.35) & (seen.clean < 0.65)
        error = (seen.noisy - seen.clean)[0][inside[0]]
        if len(error) > 400:
            assert 255 * float(error.std()) == pytest.approx(
                float(seen.noise_std[0]), rel=0.2, abs=0.4
            )


def test_more_blur_than_training_draws_is_told_as_the_most_of_it() -> None:
    """Told of a long shake as it is, the bundled denoiser made pictures up."""
    denoiser = load_weights("ivif-small", "ivif").network().denoiser
    y = torch.rand(1, 1, 48, 56, generator=torch.Generator().manual_seed(0))
    chroma, noise = torch.zeros(1, 2, 48, 56), torch.full((1,), 8.0)
    with torch.inference_mode():
        told = [denoiser(y, chroma, noise, torch.full((1,), blur)) for blur in (1.0, 3.0, 9.0)]
    assert torch.equal(told[1], told[2])
    assert not torch.equal(told[0], told[1])
