"""The networks of ReCoFuse: the published sizes, any image size, and what the module sees."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from recofuse_support import TINY, tiny_model
from torch import Tensor, nn

from drfuse_cli.errors import DrfuseError, ExitCode
from drfuse_cli.models import RecoFuse, build_network
from drfuse_cli.networks.recofuse.architecture import PUBLISHED, FusionSizes
from drfuse_cli.networks.recofuse.fusion_module import CrossAttention, TimeAwareFusion
from drfuse_cli.networks.recofuse.refiner import Pictures, Refiner, columns, histogram
from drfuse_cli.samplers.recofuse import Latents


def parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_the_published_sizes() -> None:
    with torch.device("meta"):
        model = RecoFuse(PUBLISHED)
    assert round(parameters(model.autoencoder) / 1e6, 3) == 2.008
    assert parameters(model.visible) == parameters(model.infrared) == 76_617_032
    assert round(2 * parameters(model.visible) / 1e6, 2) == 153.23
    assert round(parameters(model.fusion) / 1e6, 4) == 0.2313


def test_the_published_auto_encoder_keeps_nine_features_and_a_stride_of_eight() -> None:
    torch.manual_seed(0)
    model = RecoFuse(replace(PUBLISHED, branch=TINY.branch))
    with torch.no_grad():
        latent, features = model.encode(torch.rand(1, 3, 32, 48))
        assert model.decode(latent, features).shape == (1, 3, 32, 48)
    assert latent.shape == (1, 8, 4, 6)
    full, half, quarter, eighth = (32, 48), (16, 24), (8, 12), (4, 6)
    expected = [(8, full)] * 3 + [(32, half)] * 2 + [(64, quarter)] * 2 + [(64, eighth)] * 2
    assert [(f.shape[1], tuple(f.shape[2:])) for f in features] == expected


@pytest.mark.parametrize("size", [(16, 16), (21, 35), (7, 50)])
def test_any_size_comes_back(size: tuple[int, int]) -> None:
    model = tiny_model()
    with torch.no_grad():
        made = model(torch.rand(2, 3, *size), torch.rand(2, 3, *size))
    assert [picture.shape for picture in made] == [(2, c, *size) for c in (3, 3, 3, 1)]
    assert float(made.weight.min()) > 0
    assert float(made.weight.max()) < 1


def test_the_spread_of_the_latents_does_not_change_a_round_trip() -> None:
    model, image = tiny_model(), torch.rand(1, 3, 16, 16)
    with torch.no_grad():
        before = model.decode(*model.encode(image))
        model.spread.copy_(torch.tensor([0.5, 2.0, 3.0, 7.0]))
        latent, _ = model.encode(image)
        after = model.decode(*model.encode(image))
        model.spread.fill_(1)
        assert torch.allclose(
            latent * torch.tensor([0.5, 2.0, 3.0, 7.0])[:, None, None],
            model.encode(image)[0],
            atol=1e-6,
        )
    assert torch.allclose(before, after, atol=1e-5)


def test_pooled_attention_is_dense_attention_where_every_cell_is_a_pixel() -> None:
    torch.manual_seed(0)
    dense, pooled = CrossAttention(4, 0), CrossAttention(4, 6)
    pooled.load_state_dict(dense.state_dict())
    own, other = torch.randn(1, 4, 6, 6), torch.randn(1, 4, 6, 6)
    with torch.no_grad():
        assert torch.allclose(dense(own, other), pooled(own, other), atol=1e-5)
        larger = torch.randn(1, 4, 12, 12)
        assert not torch.allclose(dense(larger, -larger), pooled(larger, -larger), atol=1e-3)


def test_the_module_is_told_the_time_unless_built_without() -> None:
    torch.manual_seed(0)
    z = torch.randn(1, 4, 8, 8), torch.randn(1, 4, 8, 8)
    early, late = torch.tensor([5]), torch.tensor([95])
    with torch.no_grad():
        timed = TimeAwareFusion(TINY.fusion, 4)
        assert not torch.allclose(timed(*z, early), timed(*z, late), atol=1e-4)
        untimed = TimeAwareFusion(FusionSizes(width=32, pooled=4, timed=False), 4)
        assert torch.equal(untimed(*z, early), untimed(*z, late))


def test_as_published_both_branches_go_on_from_the_fused_state() -> None:
    z = Latents(torch.randn(1, 4, 8, 8), torch.randn(1, 4, 8, 8))
    model, t = tiny_model(replace(TINY, feedback="whole")), torch.tensor([50])
    with torch.no_grad():
        fused = model.fuse(z, t)
        assert all(torch.equal(state, fused) for state in model.predict(z, fused, z, t)[0])
    plain = {name: value for name, value in PUBLISHED.as_dict().items() if name != "feedback"}
    with torch.device("meta"):
        older = build_network(plain)
    assert isinstance(older, RecoFuse)
    assert older.visible.beside is None


def test_branches_see_the_fused_state_beside_their_own_and_nothing_of_it_at_first() -> None:
    z = Latents(torch.randn(1, 4, 8, 8), torch.randn(1, 4, 8, 8))
    model, t = tiny_model(), torch.tensor([50])
    with torch.no_grad():
        fused = model.fuse(z, t)
        states, alone = model.predict(z, None, z, t)
        assert states is z
        states, new = model.predict(z, fused, z, t)
        assert states is z
        assert all(map(torch.equal, new, alone))
        for branch in (model.visible, model.infrared):
            assert branch.beside is not None
            branch.beside.weight.normal_()
        told = model.predict(z, fused, z, t)[1]
    assert not any(torch.allclose(a, b) for a, b in zip(told, alone, strict=True))


def test_weights_are_between_zero_and_one_and_need_not_sum_to_one() -> None:
    model = tiny_model()
    z = torch.randn(1, 4, 8, 8), torch.randn(1, 4, 8, 8)
    with torch.no_grad():
        w_infrared, w_visible = model.fusion.weights(*z, torch.tensor([50]))
        fused = model.fusion(*z, torch.tensor([50]))
    for w in (w_infrared, w_visible):
        assert float(w.min()) > 0
        assert float(w.max()) < 1
    assert float((w_infrared + w_visible - 1).abs().max()) > 1e-3
    assert torch.allclose(fused, w_infrared * z[1] + w_visible * z[0], atol=1e-6)


def test_a_description_builds_the_network_it_came_from() -> None:
    built = build_network(TINY.as_dict())
    assert isinstance(built, RecoFuse)
    assert built.arch == TINY
    built.load_state_dict(tiny_model().state_dict())


@pytest.mark.parametrize(
    "change",
    [
        {"autoencoder": {"base": 0}},
        {"autoencoder": {"base": 5000}},
        {"autoencoder": [1, 2]},
        {"autoencoder": {"multipliers": 3}},
        {"branch": {"encoder": ["a"]}},
        {"branch": {"depth": 3}},
        {"fusion": {"attention": "sparse"}},
        {"fusion": {"timed": 1}},
        {"predicts": "velocity"},
        {"coupled": "yes"},
        {"kind": "recofuse2"},
        {"more": 1},
    ],
)
def test_other_descriptions_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(DrfuseError) as caught:
        build_network({**TINY.as_dict(), **change})
    assert caught.value.code == ExitCode.WEIGHTS


def test_a_seed_decides_the_noise() -> None:
    model, image = tiny_model(), torch.rand(1, 3, 16, 16)

    def fused(seed: int) -> torch.Tensor:
        with torch.no_grad():
            return model(image, image, generator=torch.Generator().manual_seed(seed)).fused

    assert torch.equal(fused(1), fused(1))
    assert not torch.equal(fused(1), fused(2))


# ---- the refiner ----------------------------------------------------------------------------


def pictures(height: int, width: int) -> tuple[Tensor, Tensor, Pictures]:
    generator = torch.Generator().manual_seed(0)
    found = [torch.rand(2, 3, height, width, generator=generator) for _ in range(4)]
    grey = found[1].mean(1, keepdim=True).expand(-1, 3, -1, -1)
    return found[0], grey, Pictures(found[2], found[3], grey)


@pytest.mark.parametrize("size", [(16, 24), (33, 50)])
def test_a_new_refiner_changes_nothing_and_a_trained_one_all_three(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    refiner = Refiner(8, 8)
    visible, infrared, made = pictures(*size)
    with torch.no_grad():
        for same, given in zip(refiner(visible, infrared, made), made, strict=True):
            assert torch.equal(same, given)
        refiner.exit.weight.normal_(std=0.1)
        changed = refiner(visible, infrared, made)
    assert all(not torch.equal(*both) for both in zip(changed, made, strict=True))
    assert torch.equal(changed.infrared[:, 0], changed.infrared[:, 1])  # stays grey


def test_a_model_refines_what_its_latents_made() -> None:
    plain, refined = tiny_model(), tiny_model(replace(TINY, refiner=8))
    refined.load_state_dict(plain.state_dict(), strict=False)
    assert refined.refiner is not None
    visible, infrared, _ = pictures(32, 40)
    with torch.no_grad():
        refined.refiner.exit.weight.normal_(std=0.1)
        before = plain(visible, infrared, generator=torch.Generator().manual_seed(0))
        after = refined(visible, infrared, generator=torch.Generator().manual_seed(0))
        decoded = Pictures(before.fused, before.visible, before.infrared)
        expected = refined.refiner(visible, infrared, decoded)
    assert torch.equal(after.fused, expected.fused)
    assert torch.equal(after.visible, expected.visible)
    assert torch.equal(after.weight, before.weight)


def test_histograms_are_shares_of_the_pixels() -> None:
    image = torch.tensor([0.0, 0.0, 1.0, 0.5]).view(1, 1, 2, 2)
    found = histogram(image)
    torch.testing.assert_close(found.sum(), torch.tensor(1.0))
    torch.testing.assert_close(found[0, [0, 7]], torch.tensor([0.5, 0.25]))
    torch.testing.assert_close(found[0, 3:5], torch.tensor([0.125, 0.125]))


def test_the_profile_of_columns_shows_stripes_and_not_the_scene() -> None:
    y, x = torch.meshgrid(torch.arange(64.0), torch.arange(80.0), indexing="ij")
    scene = 0.5 + 0.2 * torch.sin(x / 25) + 0.2 * torch.sin(y / 3)
    stripes = torch.zeros(80)
    stripes[[20, 41, 60]] = torch.tensor([0.03, -0.02, 0.025])
    seen = columns((scene + stripes)[None, None])[0, 0]
    assert torch.equal(seen[0], seen[-1])
    alone = columns(scene[None, None])[0, 0, 0]
    assert float(alone[8:-8].abs().max()) < 0.1 * float(seen[0].abs().max())
    assert sorted(seen[0].abs().topk(3).indices.tolist()) == [20, 41, 60]
