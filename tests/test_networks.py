"""The network: size, determinism, locality, tiles, precision; refusal of strange descriptions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from drfuse_cli.errors import DrfuseError, ExitCode
from drfuse_cli.models import DRFusion, build_network
from drfuse_cli.networks.fusion_net import (
    CONDITION,
    OBSERVED,
    STATE,
    Architecture,
    FusionNet,
)
from drfuse_cli.networks.precision import MixedNetwork, choose_precision
from drfuse_cli.networks.tiled import TiledNetwork
from drfuse_cli.networks.unet import pad_to_multiple, shuffle, unshuffle

SMALL = Architecture(widths=(8, 12, 16), depths=(1, 1, 1), step_blocks=1, embedding=16)
DECODING = replace(SMALL, decoder=2)
LAST = torch.tensor([[1 / 3, 1 / 3]])


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_pixels_are_shuffled_as_torch_shuffles_them(layout: torch.memory_format) -> None:
    one, other = (torch.rand(2, 3, 4, 6).contiguous(memory_format=layout) for _ in range(2))
    apart = torch.nn.functional.pixel_unshuffle(torch.cat((one, other), 1), 2)
    assert torch.equal(unshuffle(one, other), 4 * apart)
    deep = torch.rand(2, 8, 3, 5).contiguous(memory_format=layout)
    assert torch.equal(shuffle(deep), torch.nn.functional.pixel_shuffle(deep, 2))


def randomised(arch: Architecture, seed: int = 0) -> FusionNet:
    """Every weight random, no branch left silent, outputs of order one."""
    torch.manual_seed(seed)
    network = FusionNet(arch)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith("head.weight") and "encoder" not in name:
                parameter.copy_(torch.randn(parameter.shape) * 0.01)
            elif not parameter.any():
                parameter.copy_(torch.randn(parameter.shape) * 0.1)
    return network.eval()


def images(height: int, width: int, seed: int = 0, batch: int = 1) -> tuple[Tensor, ...]:
    """Arguments of one step: lifted, observed, state, estimate, condition, time."""
    g = torch.Generator().manual_seed(seed)
    sizes = (OBSERVED, OBSERVED, len(STATE), len(STATE))
    planes = [torch.rand(batch, n, height, width, generator=g) for n in sizes]
    return (*planes, torch.rand(batch, CONDITION, generator=g), torch.rand(batch, 2, generator=g))


def run(network: Any, arguments: tuple[Tensor, ...]) -> Tensor:
    """The change and the weight, ``B x 6 x H x W``."""
    lifted, observed, state, estimate, condition, time = arguments
    with torch.no_grad():
        features = network.encode(lifted, observed, condition)
        change, weight = network(state, estimate, features, condition, time)
    return torch.cat((change, weight), 1)


# ---- size and shape -------------------------------------------------------------------------


def test_the_default_has_one_to_four_million_parameters() -> None:
    count = sum(p.numel() for p in DRFusion(Architecture()).parameters())
    assert 1e6 <= count <= 4e6


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (7, 1), (8, 8), (15, 17), (33, 24)])
def test_any_size_comes_out_as_it_went_in(size: tuple[int, int]) -> None:
    out = run(randomised(SMALL), images(*size))
    assert out.shape == (1, len(STATE) + 1, *size)
    assert torch.isfinite(out).all()
    weight = out[:, -1]
    assert weight.min() > 0
    assert weight.max() < 1


def test_a_fresh_network_changes_nothing_and_weighs_both_alike() -> None:
    out = run(FusionNet(SMALL), images(16, 16))
    assert not out[:, :-1].any()
    assert (out[:, -1] == 0.5).all()


def test_padding_repeats_the_last_row_and_column() -> None:
    x = torch.arange(6.0).reshape(1, 1, 2, 3)
    padded = pad_to_multiple(x)
    assert padded.shape == (1, 1, 8, 8)
    assert torch.equal(padded[..., :2, :3], x)
    assert (padded[0, 0, 1:, 2:] == 5).all()
    assert pad_to_multiple(padded) is padded


# ---- determinism, conditioning --------------------------------------------------------------


def test_evaluation_is_deterministic_and_draws_nothing() -> None:
    network, arguments = randomised(SMALL), images(21, 18)
    torch.manual_seed(0)
    before = torch.get_rng_state()
    first = run(network, arguments)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(1)
    assert torch.equal(run(network, arguments), first)
    assert torch.equal(run(network.train(), arguments), first)  # nothing is dropped out


def test_a_batch_is_its_images_one_by_one() -> None:
    network, arguments = randomised(SMALL), images(16, 24, batch=3)
    together = run(network, arguments)
    for i in range(3):
        alone = run(network, tuple(a[i : i + 1] for a in arguments))
        torch.testing.assert_close(alone, together[i : i + 1], rtol=0, atol=1e-5)


@pytest.mark.parametrize("which", range(6))
def test_every_input_matters(which: int) -> None:
    network, arguments = randomised(SMALL), images(16, 16)
    changed = list(arguments)
    changed[which] = changed[which] + 0.5
    difference = run(network, tuple(changed)) - run(network, arguments)
    assert (difference.abs().amax((0, 2, 3)) > 1e-5).all()


@pytest.mark.parametrize("component", range(CONDITION))
def test_every_component_of_the_description_matters(component: int) -> None:
    network, arguments = randomised(SMALL), images(16, 16)
    changed = arguments[4].clone()
    changed[:, component] += 1
    difference = run(network, (*arguments[:4], changed, arguments[5])) - run(network, arguments)
    assert float(difference.abs().max()) > 1e-4


# ---- the fusion decoder ---------------------------------------------------------------------


def test_a_decoder_moves_the_fused_image_and_the_weight_of_the_last_step_alone() -> None:
    network, arguments = randomised(DECODING), images(24, 40)
    plain = FusionNet(SMALL).eval()
    plain.load_state_dict(
        {name: w for name, w in network.state_dict().items() if not name.startswith("decoder.")}
    )
    earlier = (*arguments[:5], torch.tensor([[2 / 3, 1 / 3]]))
    assert torch.equal(run(network, earlier), run(plain, earlier))
    last = (*arguments[:5], LAST)
    moved = (run(network, last) - run(plain, last)).abs().amax((0, 2, 3))
    assert moved[STATE.index("f")] > 1e-4
    assert moved[-1] > 1e-4
    assert not moved[[i for i, name in enumerate(STATE) if name != "f"]].any()


def test_a_new_decoder_changes_nothing() -> None:
    network, arguments = randomised(SMALL), (*images(24, 40)[:5], LAST)
    grown = FusionNet(DECODING).eval()
    grown.load_state_dict(network.state_dict(), strict=False)
    assert torch.equal(run(grown, arguments), run(network, arguments))


@pytest.mark.parametrize("arch", [SMALL, DECODING, replace(DECODING, decoder=4, step_blocks=2)])
def test_a_step_does_not_look_beyond_its_reach(arch: Architecture) -> None:
    network = randomised(arch)
    n = network.reach + 16
    _, _, state, estimate, condition, _ = images(2 * n, 2 * n)
    features = torch.rand(1, 8, n, n)
    seen = []
    for x in (state, estimate):
        changed = x.clone()
        changed[..., :16, :16] += 1  # further than the reach from what is compared
        with torch.no_grad():
            args = [changed if y is x else y for y in (state, estimate)]
            seen.append(torch.cat(network(*args, features, condition, LAST), 1))
    with torch.no_grad():
        whole = torch.cat(network(state, estimate, features, condition, LAST), 1)
    for other in seen:
        assert torch.equal(other[..., 16 + network.reach :, :], whole[..., 16 + network.reach :, :])
        assert not torch.equal(other[..., :16, :16], whole[..., :16, :16])


# ---- locality -------------------------------------------------------------------------------


def test_nothing_is_seen_of_the_whole_image(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pixels out of reach change nothing: no normalisation over the image, no pooling.

    By plain convolutions: how Winograd's rounds a pixel depends on those beside it, and on the
    processor, by about the bound itself.
    """
    monkeypatch.setattr("drfuse_cli.networks.convolution._has_winograd", lambda: False)
    network = randomised(Architecture())
    near = images(64, 400)
    far = list(near)
    for i in range(4):
        far[i] = near[i].clone()
        far[i][..., 320:] = 10 * torch.rand(far[i][..., 320:].shape) - 5
    before, after = run(network, near), run(network, tuple(far))
    torch.testing.assert_close(after[..., :160], before[..., :160], rtol=0, atol=1e-5)
    assert float((after[..., 320:] - before[..., 320:]).abs().max()) > 0.1


@pytest.mark.parametrize(
    ("size", "tile"), [((171, 205), 128), ((40, 333), 64), ((97, 40), 8), ((64, 64), 1024)]
)
@pytest.mark.parametrize("decoder", [0, 2])
def test_tiles_agree_with_the_whole_below_a_grey_level(
    size: tuple[int, int], tile: int, decoder: int
) -> None:
    arch = replace(Architecture() if tile > 8 else SMALL, decoder=decoder)
    network = MixedNetwork(randomised(arch), "fp32")
    arguments = (*images(*size)[:5], LAST)
    whole, tiled = run(network, arguments), run(TiledNetwork(network, tile), arguments)
    assert tiled.shape == whole.shape
    assert float(whole[:, :-1].std()) > 0.05  # outputs worth comparing
    assert 255 * float((tiled - whole).abs().max()) < 1


def test_a_tile_is_at_least_one_block_of_the_network() -> None:
    network = MixedNetwork(randomised(SMALL), "fp32")
    assert [TiledNetwork(network, n).tile for n in (1, 8, 15, 130)] == [8, 8, 8, 128]


def test_the_network_never_sees_more_than_a_tile_and_its_surroundings() -> None:
    inner = randomised(SMALL)
    seen: list[int] = []

    class Watched(MixedNetwork):
        def encode(self, lifted: Tensor, observed: Tensor, condition: Tensor) -> Tensor:
            seen.append(max(lifted.shape[-2:]))
            return super().encode(lifted, observed, condition)

    run(TiledNetwork(Watched(inner, "fp32"), 64), images(40, 400))
    assert len(seen) == 7
    assert max(seen) == 64 + 2 * 96


# ---- precision ------------------------------------------------------------------------------


@pytest.mark.parametrize("arch", [SMALL, DECODING])
def test_a_narrow_network_hands_back_single_precision(arch: Architecture) -> None:
    network, arguments = randomised(arch), (*images(16, 24)[:5], LAST)
    exact = run(MixedNetwork(network, "fp32"), arguments)
    narrow = run(MixedNetwork(network, "bf16"), arguments)
    assert narrow.dtype == torch.float32
    assert not torch.equal(narrow, exact)
    torch.testing.assert_close(narrow, exact, rtol=0, atol=0.05)
    assert torch.equal(exact, run(network, arguments))


def test_the_processor_runs_in_single_precision_unless_asked() -> None:
    assert choose_precision(torch.device("cpu"), "auto") == "fp32"
    assert choose_precision(torch.device("cpu"), "bf16") == "bf16"


# ---- descriptions ---------------------------------------------------------------------------


def test_a_network_is_rebuilt_from_its_description() -> None:
    arch = Architecture(widths=(16, 20, 24), depths=(1, 2, 3), step_blocks=3, embedding=24, steps=4)
    described = arch.as_dict()
    assert described["depths"] == [1, 2, 3]
    assert described["widths"] == [16, 20, 24]
    model = build_network(described)
    assert model.arch == arch
    assert len(model.schedule.logits) == 4
    fresh = DRFusion(arch).state_dict()
    assert {k: v.shape for k, v in model.state_dict().items()} == {
        k: v.shape for k, v in fresh.items()
    }


def test_a_description_may_leave_out_what_is_usual() -> None:
    described = {"kind": "drfusion", "widths": [8, 12, 16]}
    assert build_network(described).arch == Architecture.of_size(8, 3)


@pytest.mark.parametrize(
    ("description", "reason"),
    [
        ({}, "kind None"),
        ({"kind": "unet"}, "kind 'unet'"),
        ({"kind": ["drfusion"]}, "kind"),
        ({"kind": "drfusion", "heads": 4}, "fields ['heads']"),
        ({"kind": "drfusion", "widths": [0, 12, 16]}, "impossible sizes"),
        ({"kind": "drfusion", "widths": [-32, 48, 64]}, "impossible sizes"),
        ({"kind": "drfusion", "widths": [10**9] * 3}, "impossible sizes"),
        ({"kind": "drfusion", "widths": [32.0, 48, 64]}, "impossible sizes"),
        ({"kind": "drfusion", "widths": "325"}, "impossible sizes"),
        ({"kind": "drfusion", "widths": [True, 12, 16]}, "impossible sizes"),
        ({"kind": "drfusion", "widths": None}, "impossible sizes"),
        ({"kind": "drfusion", "embedding": 0}, "impossible sizes"),
        ({"kind": "drfusion", "step_blocks": 4096}, "impossible sizes"),
        ({"kind": "drfusion", "steps": 0}, "impossible sizes"),
        ({"kind": "drfusion", "noise_left": 1.5}, "impossible sizes"),
        ({"kind": "drfusion", "noise_left": "much"}, "impossible sizes"),
        ({"kind": "drfusion", "steps": float("nan")}, "impossible sizes"),
        ({"kind": "drfusion", "decoder": -1}, "impossible sizes"),
        ({"kind": "drfusion", "depths": [2, 2]}, "impossible sizes"),
        ({"kind": "drfusion", "depths": [2, 2, 4, 4]}, "impossible sizes"),
        ({"kind": "drfusion", "depths": [2, 2, 10**7]}, "impossible sizes"),
        ({"kind": "drfusion", "depths": [2, [2], 4]}, "impossible sizes"),
        ({"kind": "drfusion", "depths": "224"}, "impossible sizes"),
        ({"kind": "drfusion", "depths": 3}, "impossible sizes"),
        ({"kind": "drfusion", "depths": None}, "impossible sizes"),
        ({"kind": "drfusion", "depths": {"a": 1}}, "impossible sizes"),
    ],
)
def test_strange_descriptions_are_refused(description: dict[str, Any], reason: str) -> None:
    with pytest.raises(DrfuseError) as caught:
        build_network(description)
    assert caught.value.code == ExitCode.WEIGHTS
    assert reason in caught.value.message
