"""Training in miniature: it learns, repeats, resumes exactly, and refuses what it cannot use."""

from __future__ import annotations

import copy
from collections import Counter
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from drfuse_cli.errors import DrfuseError
from drfuse_cli.imageio import Image, write_image
from drfuse_cli.models import build_network
from drfuse_cli.training import TrainOptions, TrainProgress, train
from drfuse_cli.training.data import (
    CleanPair,
    balanced,
    draw_crops,
    load_pairs,
    paint,
    with_photographs,
)
from drfuse_cli.training.decoding import AIMS, added_edges, aimed, decoding_loss
from drfuse_cli.training.defocus import near_and_far
from drfuse_cli.training.degradations import MARGIN, degrade, draw, to_ycbcr
from drfuse_cli.training.drfusion import DRFusionLearner
from drfuse_cli.training.learner import learning_rate
from drfuse_cli.training.losses import (
    WEIGHTS,
    aim_of,
    fusion_loss,
    gradient_loss,
    ideal_fusion,
    intensity_loss,
    livelier,
    restoration_loss,
    sharper,
    structure_loss,
)
from drfuse_cli.training.muon import Muon, orthogonalise
from drfuse_cli.training.scores import contrast_preservation
from drfuse_cli.training.variety import as_other_cameras
from drfuse_cli.weights import describe, load_weights, save_weights


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three small pairs of stripes and blobs."""
    root: Path = tmp_path_factory.mktemp("clean")
    rng = np.random.default_rng(0)
    for name in ("ir", "vis"):
        (root / name).mkdir()
        for k in range(3):
            y, x = np.mgrid[:80, :90]
            wave = 128 + 90 * np.sin(x / (3 + k)) * np.cos(y / rng.uniform(3, 6))
            write_image(root / name / f"{k}.png", Image(wave.astype(np.uint8)))
    return root


def options(folder: Path, output: Path, **changes: object) -> TrainOptions:
    fields: dict[str, object] = {
        "data": (folder,),
        "task": "ivif",
        "output": output,
        "steps": 4,
        "batch_size": 2,
        "crop": 32,
        "width": 8,
        "device": "cpu",
        "checkpoint_every": 2,
    }
    return TrainOptions(**{**fields, **changes})  # type: ignore[arg-type]


def quiet(_: TrainProgress) -> None:
    pass


def test_a_run_writes_weights_log_and_plot(folder: Path, tmp_path: Path) -> None:
    told: list[TrainProgress] = []
    run = options(folder, tmp_path / "w.safetensors", val=folder, val_every=2)
    path = train(run, told.append)
    loaded = load_weights(str(path), "ivif")
    assert loaded.architecture["widths"] == [8, 12, 16]
    rows = (tmp_path / "w" / "log.csv").read_text().splitlines()
    assert len(rows) == 1 + 2 * 3
    assert (tmp_path / "w" / "progress.png").stat().st_size > 1000
    assert told[-1].step == 4
    assert told[-1].eta_seconds == 0


def test_a_run_repeats_and_a_resumed_run_is_the_same(folder: Path, tmp_path: Path) -> None:
    whole = train(options(folder, tmp_path / "a.safetensors"), quiet)
    again = train(options(folder, tmp_path / "b.safetensors"), quiet)
    assert whole.read_bytes() == again.read_bytes()

    class StopError(Exception):
        pass

    def interrupt(progress: TrainProgress) -> None:
        if progress.step == 3:
            raise StopError

    cut = options(folder, tmp_path / "c.safetensors")
    with pytest.raises(StopError):
        train(cut, interrupt)
    assert not cut.output.exists()
    resumed = train(options(folder, tmp_path / "c.safetensors", resume=True), quiet)
    assert resumed.read_bytes() == whole.read_bytes()


def test_one_batch_can_be_learned(folder: Path, tmp_path: Path) -> None:
    run = options(folder, tmp_path / "w.safetensors", lr=1e-3)
    trainer = DRFusionLearner(run, torch.device("cpu"), tmp_path)
    pairs = load_pairs(run.data, run.task)
    losses = []
    for _ in range(30):
        trainer.step = 0  # the step decides the batch
        losses.append(trainer.update(pairs, 0.1))
    assert losses[-1] < 0.9 * losses[0]


def test_what_the_network_says_before_the_correction_is_seen(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[torch.Tensor] = []

    def watch(state: torch.Tensor, clean: torch.Tensor, lifted: torch.Tensor) -> torch.Tensor:
        seen.append(state)
        return restoration_loss(state, clean, lifted)

    monkeypatch.setattr("drfuse_cli.training.drfusion.restoration_loss", watch)
    pairs = load_pairs((folder,), "ivif")
    for correction, each in (("joint", 2), ("none", 1)):
        run = options(folder, tmp_path / "w.safetensors", correction=correction)
        learner = DRFusionLearner(run, torch.device("cpu"), tmp_path)
        seen.clear()
        learner.loss(pairs, np.random.default_rng(3)).backward()  # type: ignore[no-untyped-call]
        assert len(seen) in (each, 2 * each, 3 * each)
        if each == 2:
            assert not torch.equal(seen[0], seen[1])
        assert not learner.model.correction._forward_hooks


def test_a_checkpoint_of_another_run_is_refused(folder: Path, tmp_path: Path) -> None:
    train(options(folder, tmp_path / "w.safetensors", steps=2), quiet)
    with pytest.raises(DrfuseError, match="does not fit"):
        train(options(folder, tmp_path / "w.safetensors", width=16, resume=True), quiet)


def test_a_run_that_diverges_stops_with_a_reason(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(DrfuseError, match="diverged"):
        train(options(folder, tmp_path / "w.safetensors", lr=1e30, steps=40), quiet)


def test_pairs_of_unequal_size_are_refused(tmp_path: Path) -> None:
    for name, width in (("ir", 40), ("vis", 41)):
        (tmp_path / name).mkdir()
        write_image(tmp_path / name / "x.png", Image(np.zeros((40, width), np.uint8)))
    with pytest.raises(DrfuseError, match="differ in size"):
        load_pairs((tmp_path,), "ivif")


def test_draws_cover_the_stated_range() -> None:
    rng = np.random.default_rng(0)
    both = [d for _ in range(300) for d in draw("ivif", 8, rng)]
    noise = torch.cat([d.noise_std for d in both])
    sigma = torch.cat([d.sigma for d in both])
    assert noise.max() <= 25
    assert noise.max() > 24
    assert 2.9 < sigma.max() <= 3
    assert {d.scale for d in both} == {1, 2, 4}
    assert {d.border for d in both} == {"reflect", "real", "zero"}
    clean = ((noise == 0) & (sigma == 0)).float().mean()
    assert 0.1 < clean < 0.3


@pytest.mark.parametrize("border", ["reflect", "real", "zero"])
def test_degraded_batches_have_the_noise_they_state(border: str) -> None:
    from dataclasses import replace

    rng = np.random.default_rng(3)
    grey = torch.full((4, 1, 64 + 2 * MARGIN, 64 + 2 * MARGIN), 0.5)
    first, second = draw("ivif", 4, rng)
    noise = torch.full((4,), 12.0)
    draws = tuple(
        replace(d, noise_std=noise, sigma=torch.zeros(4), scale=1, border=border)
        for d in (first, second)
    )
    inputs, clean = degrade(grey, grey.expand(-1, 3, -1, -1), draws, rng, torch.device("cpu"))  # type: ignore[arg-type]
    seen = inputs.observations[0]
    assert 255 * (seen.y - clean[:, :1]).std() == pytest.approx(12, rel=0.05)
    assert 255 * seen.noise_var.sqrt().mean() == pytest.approx(12, rel=0.2)


def test_untouched_sources_are_exact() -> None:
    from dataclasses import replace

    rng = np.random.default_rng(1)
    rgb = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    rgb = (rgb * 255).round() / 255
    none = torch.zeros(2)
    draws = tuple(
        replace(d, noise_std=none, sigma=none, scale=1, border="reflect")
        for d in draw("ivif", 2, rng)
    )
    inputs, clean = degrade(rgb[:, :1], rgb, draws, rng, torch.device("cpu"))  # type: ignore[arg-type]
    assert (inputs.observed - clean).abs().max() < 1e-5
    assert (inputs.lifted - clean).abs().max() < 1e-3


def test_painted_crops_keep_their_brightness() -> None:
    rng = np.random.default_rng(0)
    luma = 0.3 + 0.4 * rng.random((48, 48))
    rgb = torch.from_numpy(paint(luma, rng).transpose(2, 0, 1))[None]
    ycbcr = to_ycbcr(rgb)
    assert np.abs(ycbcr[0, 0].numpy() - luma).mean() < 0.02
    assert ycbcr[0, 1:].abs().max() > 0.005


@pytest.mark.parametrize("shrunk", [0, 1])
def test_crops_of_images_smaller_than_the_crop(folder: Path, shrunk: float) -> None:
    rng = np.random.default_rng(0)
    first, second, _ = draw_crops(
        load_pairs((folder,), "ivif"), 2, 128, rng, colourise=True, shrunk=shrunk
    )
    assert first.shape == (2, 1, 128, 128)
    assert second.shape == (2, 3, 128, 128)


def test_shrunk_crops_show_more_of_the_picture() -> None:
    across = np.tile(np.arange(200, dtype=np.uint8), (200, 1))
    pair = [CleanPair("ramp", across, across)]

    def spans(shrunk: float) -> np.ndarray:
        first, second, _ = draw_crops(
            pair, 40, 64, np.random.default_rng(1), colourise=False, shrunk=shrunk
        )
        assert np.allclose(first, second.mean(1, keepdims=True), atol=1e-6)
        return np.ptp(first * 255, axis=(1, 2, 3))

    assert np.allclose(spans(0), 63)
    wider = spans(1)
    assert 63 <= wider.min() < 70
    assert 115 < wider.max() <= 127


def test_small_families_come_as_often_as_the_root_of_what_they_lack() -> None:
    image = np.zeros((8, 8), np.uint8)
    names = [f"large_{i}" for i in range(36)] + ["small-1", "small_2_b", "alone"]
    repeated = Counter(pair.name for pair in balanced([CleanPair(n, image, image) for n in names]))
    assert repeated == {**{n: 1 for n in names[:36]}, "small-1": 4, "small_2_b": 4, "alone": 6}


def test_photographs_are_a_quarter_of_what_is_drawn(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    colours = rng.integers(0, 256, (48, 40, 3), np.uint8)
    write_image(tmp_path / "a.png", Image(colours))
    write_image(tmp_path / "below" / "b.png", Image(colours[..., 0]))
    pair = CleanPair("pair", colours[..., 1], colours)
    drawn = with_photographs([pair] * 60, tmp_path)
    assert Counter(one.name for one in drawn) == {"pair": 60, "a": 10, "b": 10}
    photograph = next(one for one in drawn if one.name == "a")
    assert np.array_equal(photograph.second, colours)
    assert np.array_equal(photograph.first, cv2.cvtColor(colours, cv2.COLOR_RGB2GRAY))
    assert not photograph.sharp
    assert [one.name for one in with_photographs([pair], tmp_path)] == ["pair", "a", "b"]
    with pytest.raises(DrfuseError, match="no photographs found"):
        with_photographs([pair], tmp_path / "none")


def test_photographs_teach_the_denoiser_alone(folder: Path, tmp_path: Path) -> None:
    run = options(folder, tmp_path / "w.safetensors", photographs=folder)
    with pytest.raises(DrfuseError, match="--photographs goes with --denoiser-only"):
        train(run, quiet)
    start = train(options(folder, tmp_path / "a.safetensors", width=16), quiet)
    made = train(replace(run, init=str(start), denoiser_only=True), quiet)
    recorded = describe(str(made))["training"]
    assert recorded["photographs"] == folder.name


def test_a_denoiser_may_be_trained_narrow(folder: Path, tmp_path: Path) -> None:
    """In bf16 its losses are those of fp32 but for rounding, which is far below its own errors."""
    plain = train(options(folder, tmp_path / "a.safetensors", width=16), quiet)
    run = options(folder, tmp_path / "w.safetensors", init=str(plain), denoiser_only=True)
    pairs, losses = load_pairs((folder,), "ivif"), []
    for precision in ("fp32", "bf16"):
        learner = DRFusionLearner(replace(run, precision=precision), torch.device("cpu"), tmp_path)
        losses.append([learner.update(pairs, 0.5) for _ in range(3)])
        assert all(p.dtype == torch.float32 for p in learner.model.parameters())
    assert losses[1] != losses[0]
    assert losses[1] == pytest.approx(losses[0], rel=0.01)


def test_a_denoiser_grows_deeper_from_where_it_is(folder: Path, tmp_path: Path) -> None:
    plain = train(options(folder, tmp_path / "a.safetensors", width=16), quiet)
    run = options(folder, tmp_path / "b.safetensors", init=str(plain), denoiser_only=True)
    start = train(run, quiet)
    deeper = replace(run, init=str(start), denoiser_blocks=(3, 2, 5))
    learner = DRFusionLearner(deeper, torch.device("cpu"), tmp_path)
    before = load_weights(str(start), "ivif").network().denoiser
    seen = torch.rand(1, 1, 24, 40), torch.zeros(1, 2, 24, 40), torch.ones(1), torch.zeros(1)
    with torch.no_grad():
        assert torch.allclose(learner.model.denoiser(*seen), before(*seen), atol=2e-6)
    new = [learner.model.denoiser.up0[2], learner.model.denoiser.middle[4]]
    for _ in range(2):
        learner.update(load_pairs((folder,), "ivif"), 0.5)
    assert all(p.grad is not None and p.grad.any() for block in new for p in block.parameters())
    assert learner.architecture()["denoiser_blocks"] == [3, 2, 5]
    with pytest.raises(DrfuseError, match="--denoiser-blocks 2,1,4: there are 2,2,4 already"):
        train(replace(deeper, denoiser_blocks=(2, 1, 4)), quiet)
    with pytest.raises(DrfuseError, match="--denoiser-blocks goes with --denoiser-only"):
        train(replace(deeper, denoiser_only=False), quiet)
    first = replace(deeper, init=str(plain), denoiser_blocks=(1, 1, 1))
    made = load_weights(str(train(first, quiet)), "ivif").architecture
    assert made["denoiser_blocks"] == [1, 1, 1]


def test_a_denoiser_teaches_the_one_that_goes_on_from_it(folder: Path, tmp_path: Path) -> None:
    run = options(folder, tmp_path / "w.safetensors", self_distil=1.0)
    with pytest.raises(DrfuseError, match="--self-distil goes with --denoiser-only"):
        train(run, quiet)
    plain = train(options(folder, tmp_path / "a.safetensors", width=16), quiet)
    alone = replace(run, init=str(plain), denoiser_only=True)
    with pytest.raises(DrfuseError, match="has no denoiser to learn from"):
        train(alone, quiet)
    start = replace(alone, self_distil=0.0, output=tmp_path / "b.safetensors")
    alone = replace(alone, init=str(train(start, quiet)))
    learner = DRFusionLearner(alone, torch.device("cpu"), tmp_path)
    first = copy.deepcopy(learner.teacher)
    made = {share: _after_a_step(replace(alone, self_distil=share), folder) for share in (0, 0.5)}
    assert not torch.equal(made[0], made[0.5])
    learner.update(load_pairs((folder,), "ivif"), 0.5)
    assert all(map(torch.equal, learner.teacher.parameters(), first.parameters()))


def _after_a_step(run: TrainOptions, folder: Path) -> Tensor:
    learner = DRFusionLearner(run, torch.device("cpu"), folder)
    learner.update(load_pairs((folder,), "ivif"), 0.5)
    assert learner.model.denoiser is not None
    return learner.model.denoiser.noise_head.weight.detach()


def test_recofuse_learns_from_no_photographs(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr("drfuse_cli.training.loop.with_photographs", refuse)
    run = options(folder, tmp_path / "w.safetensors", photographs=folder, method="recofuse")
    assert train(replace(run, steps=1, stage="autoencoder"), quiet).is_file()


def test_other_cameras_show_the_same_scene() -> None:
    rng = np.random.default_rng(0)
    ramp = np.tile(np.arange(256, dtype=np.uint8), (4, 1))
    colours = np.stack([ramp, ramp[:, ::-1], ramp // 2], axis=2)
    polarities, swaps = set(), 0
    for _ in range(200):
        first, second = as_other_cameras(ramp, colours, rng)
        assert first.dtype == second.dtype == np.uint8
        if second.ndim == 2:
            swaps += 1
            continue
        rising = np.diff(first[0].astype(int))
        polarities.add(bool(rising.sum() > 0))
        assert (rising >= 0).all() or (rising <= 0).all()
        for channel in np.moveaxis(second[0].astype(int), -1, 0):
            assert (np.diff(channel) >= 0).all() or (np.diff(channel) <= 0).all()
    assert polarities == {True, False}
    assert 10 < swaps < 50


def test_losses_are_zero_where_they_should_be_and_prefer_the_right_image() -> None:
    generator = torch.Generator().manual_seed(0)
    x1 = torch.rand(1, 1, 48, 48, generator=generator)
    assert intensity_loss(x1, x1) == 0
    assert gradient_loss(x1, x1) == 0
    assert gradient_loss(x1 + 0.1, x1) < 1e-6
    assert structure_loss(x1, x1, x1).abs() < 1e-5
    flat = torch.full_like(x1, 0.5)
    assert structure_loss(x1, x1, flat) < structure_loss((x1 + flat) / 2, x1, flat)
    assert gradient_loss(1 - x1, x1) > gradient_loss(flat, x1)
    weights = WEIGHTS["ivif"]
    assert fusion_loss(x1, x1, x1, x1, weights) < fusion_loss(flat, x1, x1, x1, weights)


def test_the_ideal_fusion_keeps_texture_and_hot_targets() -> None:
    generator = torch.Generator().manual_seed(0)
    texture = 0.3 + 0.2 * torch.rand(1, 1, 96, 96, generator=generator)
    bright = torch.full_like(texture, 0.8)
    assert torch.equal(ideal_fusion(bright, texture), texture)
    assert torch.equal(ideal_fusion(texture + 0.4, bright * 0), texture + 0.4)
    thermal = torch.full_like(texture, 0.1)
    thermal[..., 44:52, 44:50] = 1.0
    fused = ideal_fusion(thermal, texture)
    assert (fused[..., 44:52, 44:50] > 0.95).all()
    assert torch.equal(fused[..., :20, :], texture[..., :20, :])
    assert (fused >= texture).all(), "no dark rim around the target"


def test_a_black_thermal_sky_does_not_shade_a_bright_one() -> None:
    generator = torch.Generator().manual_seed(0)
    sky = 0.7 + 0.01 * torch.rand(1, 1, 96, 96, generator=generator)
    thermal = torch.zeros_like(sky)
    thermal[..., 48:] = 0.3 + 0.4 * torch.rand(1, 1, 96, 48, generator=generator)
    fused = ideal_fusion(thermal, sky)
    assert (fused[..., :48] > 0.69).all()
    assert (fused[..., :48] < 0.72).all()


def test_of_two_textures_the_livelier_is_seen() -> None:
    generator = torch.Generator().manual_seed(0)
    walls = 0.5 + 0.3 * torch.rand(1, 1, 96, 96, generator=generator)
    faint = 0.4 + 0.1 * torch.rand(1, 1, 96, 96, generator=generator)
    inner = (..., slice(24, -24), slice(24, -24))
    for first, second in ((walls, faint), (faint + 0.3, walls - 0.3)):
        fused = ideal_fusion(first, second)[inner].ravel()
        seen = torch.corrcoef(torch.stack((fused, walls[inner].ravel())))
        assert seen[0, 1] > 0.8


def test_anatomy_stays_seen_under_bright_activity() -> None:
    generator = torch.Generator().manual_seed(0)
    folds = 0.3 + 0.2 * torch.rand(1, 1, 96, 96, generator=generator)
    active = 0.45 + 0.01 * torch.rand(1, 1, 96, 96, generator=generator)
    fused = livelier(folds, active)
    assert (fused >= torch.minimum(folds, active)).all()
    assert (fused <= torch.maximum(folds, active)).all()
    inner = (..., slice(16, -16), slice(16, -16))
    seen = torch.stack((fused[inner].ravel(), folds[inner].ravel()))
    assert torch.corrcoef(seen)[0, 1] > 0.9, "the folds show"
    assert fused[inner].mean() > 0.43, "and so does the activity"
    assert torch.allclose(livelier(active, 0 * active), active)


def test_how_much_of_the_residual_is_believed_is_drawn_in_training_alone(
    folder: Path, tmp_path: Path
) -> None:
    run = options(folder, tmp_path / "w.safetensors", width=16)
    learner = DRFusionLearner(run, torch.device("cpu"), tmp_path)
    pairs, drawn = load_pairs((folder,), "ivif"), set()
    for _ in range(3):
        learner.update(pairs, 0.5)
        drawn.add(learner.model.correction.belief)
    assert len(drawn) == 3
    assert all(0 <= belief < 1 for belief in drawn)
    assert learner.average.correction.belief == 1


def test_kernels_move_along_orthogonal_matrices() -> None:
    torch.manual_seed(0)
    for shape in ((16, 40), (40, 16)):
        values = torch.linalg.svdvals(orthogonalise(torch.randn(shape) * 1e-3))
        assert values.min() > 0.5
        assert values.max() < 1.3
    kernel = torch.nn.Parameter(torch.randn(8, 4, 3, 3))
    target = torch.randn_like(kernel)
    optimiser = Muon([kernel], lr=0.2)
    first = ((kernel - target) ** 2).sum().item()
    for _ in range(40):
        optimiser.zero_grad()
        loss = ((kernel - target) ** 2).sum()
        loss.backward()
        optimiser.step()
    assert loss.item() < 0.2 * first


def test_the_learning_rate_warms_up_and_falls() -> None:
    rates = [learning_rate(1.0, p) for p in (0.0, 0.02, 0.5, 1.0)]
    assert rates[0] < 0.1
    assert rates[1] == pytest.approx(1)
    assert 0.4 < rates[2] < 0.6
    assert rates[3] == pytest.approx(0.01)


def test_near_and_far_are_sharp_in_different_places() -> None:
    rng = np.random.default_rng(3)
    picture = rng.integers(0, 256, (96, 80, 3)).astype(np.uint8)
    first, second = near_and_far(picture[..., 1], picture, rng)
    assert (first.shape, second.shape) == ((96, 80), (96, 80, 3))
    near = first == picture[..., 1]
    far = (second == picture).all(2)
    assert 0.1 < near.mean() < 0.9
    assert 0.1 < far.mean() < 0.9
    assert (near & far).mean() < 0.05


def test_the_sharper_source_is_chosen() -> None:
    rng = np.random.default_rng(4)
    grain = rng.uniform(0, 255, (128, 128))
    picture = ((grain + np.roll(grain, 1, 0) + np.roll(grain, 1, 1)) / 3).astype(np.uint8)
    shots = near_and_far(picture, picture, rng)
    near, far, sharp = (
        torch.from_numpy(x.astype(np.float32))[None, None] / 255 for x in (*shots, picture)
    )
    fused = sharper(near, far)
    errors = [(x - sharp).abs().mean() for x in (near, far, fused)]
    assert errors[2] < 0.25 * min(errors[:2])


def test_multifocus_learns_from_sharp_pictures_and_from_pairs(folder: Path, tmp_path: Path) -> None:
    pictures = load_pairs((folder / "vis",), "multifocus")
    assert [(pair.name, pair.sharp) for pair in pictures] == [(f"{k}", True) for k in range(3)]
    near, far, sharp = draw_crops(pictures, 4, 64, np.random.default_rng(0), colourise=False)
    assert not np.array_equal(near[:, 0], far[:, 0])
    errors = [np.abs(x[:, 0] - sharp[:, 0]) for x in (near, far)]
    assert all(error.max() > 0.05 for error in errors)
    assert np.minimum(*errors).mean() < 0.2 * min(error.mean() for error in errors)
    for name, role in (("near", "ir"), ("far", "vis")):
        (tmp_path / "real" / name).mkdir(parents=True)
        for file in (folder / role).iterdir():
            (tmp_path / "real" / name / file.name).write_bytes(file.read_bytes())
    both = load_pairs((tmp_path / "real", folder / "vis"), "multifocus")
    assert [pair.sharp for pair in both] == [False] * 3 + [True] * 3
    photographed = draw_crops(both[:3], 2, 64, np.random.default_rng(0), colourise=False)
    assert np.isnan(photographed.sharp).all()


def test_fusion_aims_at_the_picture_that_both_foci_were_made_from() -> None:
    x1, x2, known = torch.zeros(2, 1, 32, 32), torch.ones(2, 1, 32, 32), torch.rand(2, 1, 32, 32)
    known[1] = torch.nan
    aim = aim_of(x1, x2, "multifocus", known)
    assert torch.equal(aim[0], known[0])
    assert torch.equal(aim[1], sharper(x1, x2)[1])


def test_two_batches_in_five_of_near_and_far_are_untouched() -> None:
    rng = np.random.default_rng(0)
    clean = [
        not any(
            d.noise_std.any() or d.sigma.any() or d.scale > 1 for d in draw("multifocus", 4, rng)
        )
        for _ in range(400)
    ]
    assert 0.33 < np.mean(clean) < 0.48


def test_the_encoder_can_be_kept(folder: Path, tmp_path: Path) -> None:
    start = train(options(folder, tmp_path / "a.safetensors", width=16), quiet)
    run = options(folder, tmp_path / "b.safetensors", init=str(start), freeze_encoder=True)
    learner = DRFusionLearner(run, torch.device("cpu"), tmp_path)
    before = {name: p.detach().clone() for name, p in learner.model.network.named_parameters()}
    learner.update(load_pairs((folder,), "ivif"), 0.5)
    moved = [n for n, p in learner.model.network.named_parameters() if not p.equal(before[n])]
    assert {name.split(".")[0] for name in moved} == {
        *("embed", "entry", "body", "noise_head", "weight_head")
    }


def test_the_steps_learn_alone(folder: Path, tmp_path: Path) -> None:
    model = build_network({"kind": "drfusion", "widths": [8, 12, 16], "decoder": 1, "denoiser": 8})
    arch = model.arch.as_dict()
    save_weights(tmp_path / "a.safetensors", model.state_dict(), arch, "ivif", "drfusion")
    start = str(tmp_path / "a.safetensors")
    run = options(folder, tmp_path / "b.safetensors", init=start, steps_only=True)
    learner = DRFusionLearner(run, torch.device("cpu"), tmp_path)
    before = {name: p.detach().clone() for name, p in learner.model.named_parameters()}
    learner.update(load_pairs((folder,), "ivif"), 0.5)
    moved = {n for n, p in learner.model.named_parameters() if not p.equal(before[n])}
    steps = {n for n in before if n.startswith("network.") and "decoder" not in n}
    assert moved <= steps
    assert {name.split(".")[1] for name in moved} >= {"noise_head", "weight_head"}
    assert learner.model.network.decoder is not None


@pytest.mark.parametrize("flag", ["freeze_encoder", "steps_only", "fusion_only", "denoiser_only"])
def test_of_a_new_network_nothing_can_be_kept(folder: Path, tmp_path: Path, flag: str) -> None:
    with pytest.raises(DrfuseError, match=f"--{flag.replace('_', '-')}"):
        train(options(folder, tmp_path / "w.safetensors", **{flag: True}), quiet)


def test_one_part_learns_at_a_time(folder: Path, tmp_path: Path) -> None:
    run = options(folder, tmp_path / "w.safetensors", init="ivif-tiny", steps_only=True)
    with pytest.raises(DrfuseError, match="--steps-only and --denoiser-only exclude each other"):
        train(replace(run, denoiser_only=True), quiet)


FOLDERS = {"ivif": ("ir", "vis"), "medical": ("mri", "pet"), "multifocus": ("near", "far")}


@pytest.mark.parametrize("task", FOLDERS)
def test_the_fusion_decoder_learns_alone(folder: Path, tmp_path: Path, task: str) -> None:
    for role, name in zip(("ir", "vis"), FOLDERS[task], strict=True):
        (tmp_path / "pairs" / name).mkdir(parents=True)
        for file in (folder / role).iterdir():
            (tmp_path / "pairs" / name / file.name).write_bytes(file.read_bytes())
    data = {"data": (tmp_path / "pairs",), "task": task}
    start = train(options(folder, tmp_path / "a.safetensors", width=16, **data), quiet)
    run = options(folder, tmp_path / "b.safetensors", init=str(start), fusion_only=True, **data)
    old, new = (load_weights(str(path), task) for path in (start, train(run, quiet)))  # type: ignore[arg-type]
    for name, weight in old.tensors.items():
        assert torch.equal(new.tensors[name], weight), name
    added = {name for name in new.tensors if name not in old.tensors}
    assert {name.split(".")[1] for name in added} == {"decoder"}
    assert new.tensors["network.decoder.head.weight"].any()
    again = replace(run, output=tmp_path / "c.safetensors", init=str(run.output))
    learner = DRFusionLearner(again, torch.device("cpu"), tmp_path)
    head = learner.model.network.decoder.head  # type: ignore[union-attr]
    assert torch.equal(head.weight, new.tensors["network.decoder.head.weight"].float())


def test_the_denoiser_learns_alone_and_goes_on(folder: Path, tmp_path: Path) -> None:
    start = train(options(folder, tmp_path / "a.safetensors", width=16), quiet)
    run = options(folder, tmp_path / "b.safetensors", init=str(start), denoiser_only=True)
    old, new = (load_weights(str(path), "ivif") for path in (start, train(run, quiet)))
    for name, weight in old.tensors.items():
        assert torch.equal(new.tensors[name], weight), name
    added = {name for name in new.tensors if name not in old.tensors}
    assert {name.split(".")[0] for name in added} == {"denoiser"}
    assert new.tensors["denoiser.noise_head.weight"].any()
    again = replace(run, output=tmp_path / "c.safetensors", init=str(run.output))
    learner = DRFusionLearner(again, torch.device("cpu"), tmp_path)
    kept = learner.model.denoiser.noise_head.weight  # type: ignore[union-attr]
    assert torch.equal(kept, new.tensors["denoiser.noise_head.weight"].float())
    fusion = replace(again, denoiser_only=False, fusion_only=True)
    learner = DRFusionLearner(fusion, torch.device("cpu"), tmp_path)
    learning = {n for n, p in learner.model.named_parameters() if p.requires_grad}
    assert learning
    assert all(name.startswith("network.decoder") for name in learning)


def test_a_decoded_image_is_held_against_the_scores_and_the_ideal() -> None:
    generator = torch.Generator().manual_seed(0)
    x1, x2 = (torch.rand(1, 1, 64, 64, generator=generator) for _ in range(2))
    flat = torch.full_like(x1, 0.5)
    for task in WEIGHTS:
        good = WEIGHTS[task].ideal(x1, x2)
        aim = AIMS[task]
        assert decoding_loss(good, x1, x2, good, aim) < decoding_loss(flat, x1, x2, good, aim)
        assert decoding_loss(x1, x1, x1, x1, aim) < decoding_loss(1 - x1, x1, x1, x1, aim)


def test_a_run_says_what_scores_count(folder: Path, tmp_path: Path) -> None:
    x = torch.rand(1, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    wrong = 1 - x
    usual, asked = (decoding_loss(wrong, x, x, x, aimed("ivif", a)) for a in ({}, {"Q_CB": 3.0}))
    lost = 1 - contrast_preservation(wrong, x, x)
    assert float(asked - usual) == pytest.approx(2.0 * float(lost), rel=1e-4)
    start = train(options(folder, tmp_path / "a.safetensors", width=16), quiet)
    run = options(folder, tmp_path / "b.safetensors", init=str(start), fusion_only=True)
    made = describe(str(train(replace(run, aim={"Q_CB": 3.0}), quiet)))
    assert made["training"]["aim"] == {"Q_CB": 3.0}
    with pytest.raises(DrfuseError, match="--aim Q_X: no score that this run learns towards"):
        train(replace(run, aim={"Q_X": 1.0}), quiet)
    with pytest.raises(DrfuseError, match="--aim goes with --fusion-only"):
        train(replace(run, fusion_only=False, aim={"Q_P": 1.0}), quiet)


def test_patterns_that_no_source_has_are_counted() -> None:
    x1, x2 = torch.zeros(1, 1, 16, 16), torch.zeros(1, 1, 16, 16)
    x1[..., 8:] = 0.5
    x2[..., 4:, :] = 0.5
    assert added_edges(torch.maximum(x1, x2), x1, x2) == 0
    hash_ = torch.maximum(x1, x2)
    hash_[..., ::2, ::2] -= 0.1
    assert added_edges(hash_, x1, x2) > 0.05


def test_a_step_follows_several_draws(folder: Path, tmp_path: Path) -> None:
    """The mean gradient of batches drawn one after another."""
    pairs = load_pairs((folder,), "ivif")
    run = options(folder, tmp_path / "w.safetensors", draws=2, width=16)
    learner = DRFusionLearner(run, torch.device("cpu"), tmp_path)
    rng = np.random.default_rng([run.seed, 0])
    mean = sum((learner.loss(pairs, rng) for _ in range(2)), torch.zeros(())) / 2
    mean.backward()  # type: ignore[no-untyped-call]
    wanted = [p.grad.clone() for p in learner.model.parameters() if p.grad is not None]
    norm = torch.cat([g.flatten() for g in wanted]).norm()
    assert learner.update(pairs, 0.0) == pytest.approx(float(mean.detach()), rel=1e-5)
    got = [p.grad for p in learner.model.parameters() if p.grad is not None]
    for one, other in zip(got, wanted, strict=True):
        torch.testing.assert_close(one, other / norm.clamp_min(1), rtol=1e-3, atol=1e-6)


def test_shares_that_are_off_can_be_learned_again(folder: Path, tmp_path: Path) -> None:
    run = options(folder, tmp_path / "w.safetensors", width=16)
    correction = DRFusionLearner(run, torch.device("cpu"), tmp_path).model.correction
    last = correction.trust[-1]
    with torch.no_grad():
        last.bias[7:] = -20
    before = last.bias[:7].clone()
    correction.reopen()
    assert (torch.sigmoid(last.bias[7:]) > 0.05).all()
    assert torch.equal(last.bias[:7], before)


def test_a_run_can_start_from_weights(folder: Path, tmp_path: Path) -> None:
    start = train(options(folder, tmp_path / "a.safetensors", width=16), quiet)
    begun = DRFusionLearner(
        options(folder, tmp_path / "b.safetensors", init=str(start), task="multifocus"),
        torch.device("cpu"),
        tmp_path,
    )
    found = load_weights(str(start), "ivif").tensors
    now = begun.average.state_dict()
    assert all(torch.equal(now[name], tensor.to(now[name])) for name, tensor in found.items())
    assert begun.model.network.entry.weight.requires_grad
    assert begun.model.training
