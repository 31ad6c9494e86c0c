"""Training ReCoFuse in miniature: what each stage moves, what its losses ask for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from recofuse_support import TINY, tiny_weights
from torch import Tensor

from drfuse_cli.errors import DrfuseError
from drfuse_cli.imageio import Image, write_image
from drfuse_cli.networks.recofuse.refiner import Pictures
from drfuse_cli.scenes import render
from drfuse_cli.training import TrainOptions, TrainProgress, train
from drfuse_cli.training.cameras import Cameras
from drfuse_cli.training.data import CleanPair, load_pairs
from drfuse_cli.training.quads import draw_quad
from drfuse_cli.training.recofuse import RecoFuseLearner
from drfuse_cli.training.refining import aimed, fusion_loss, refining_loss
from drfuse_cli.weights import describe, load_weights


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two small pairs of stripes and blobs."""
    root: Path = tmp_path_factory.mktemp("clean")
    for name, rate in (("ir", 5), ("vis", 3)):
        (root / name).mkdir()
        for k in range(2):
            y, x = np.mgrid[:64, :72]
            wave = 128 + 90 * np.sin(x / (rate + k)) * np.cos(y / rate)
            write_image(root / name / f"{k}.png", Image(wave.astype(np.uint8)))
    return root


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_weights(tmp_path_factory.mktemp("weights") / "tiny.safetensors")


def options(folder: Path, output: Path, init: Path, **changes: object) -> TrainOptions:
    fields: dict[str, object] = {
        "data": (folder,),
        "task": "ivif",
        "method": "recofuse",
        "output": output,
        "init": str(init),
        "steps": 3,
        "batch_size": 1,
        "crop": 32,
        "device": "cpu",
        "checkpoint_every": 1,
    }
    return TrainOptions(**{**fields, **changes})  # type: ignore[arg-type]


def quiet(_: TrainProgress) -> None:
    pass


def moved(learner: RecoFuseLearner, folder: Path) -> set[str]:
    """The parts of the model that three updates change."""
    before = {name: tensor.clone() for name, tensor in learner.model.state_dict().items()}
    pairs = load_pairs((folder,), "ivif")
    for _ in range(3):
        learner.update(pairs, 0.5)
    now = learner.model.state_dict()
    return {name.split(".")[0] for name in before if not torch.equal(before[name], now[name])}


def test_nights_are_learned_from_as_they_would_look_lit(
    folder: Path, tiny: Path, tmp_path: Path
) -> None:
    learner = RecoFuseLearner(
        options(folder, tmp_path / "a.safetensors", tiny), torch.device("cpu"), tmp_path
    )
    day = load_pairs((folder,), "ivif")[0]
    night = replace(day, second=day.second // 6)
    taken = learner.taken([day, night])
    assert np.array_equal(taken[0].second, day.second)
    assert taken[1].second.mean() > 60 > night.second.mean()
    assert np.array_equal(taken[1].first, night.first)


@pytest.mark.parametrize(
    ("stage", "parts"),
    [
        ("autoencoder", {"autoencoder", "spread"}),
        ("branches", {"visible", "infrared"}),
        ("coupled", {"visible", "infrared", "fusion"}),
        ("refiner", {"refiner"}),
    ],
)
def test_a_stage_moves_its_own_parts(
    stage: str, parts: set[str], folder: Path, tiny: Path, tmp_path: Path
) -> None:
    run = options(folder, tmp_path / "w.safetensors", tiny, stage=stage, crop=64)
    assert moved(RecoFuseLearner(run, torch.device("cpu"), tmp_path), folder) == parts


@pytest.mark.parametrize("stage", ["autoencoder", "branches", "coupled", "refiner"])
def test_networks_may_be_trained_narrow(
    stage: str, folder: Path, tiny: Path, tmp_path: Path
) -> None:
    """In bf16 the loss is that of fp32 but for rounding, and all that learns gets gradients."""
    pairs, losses, reached = load_pairs((folder,), "ivif"), [], []
    for precision in ("fp32", "bf16"):
        run = options(folder, tmp_path / "w.safetensors", tiny, stage=stage, crop=64,
                      precision=precision)  # fmt: skip
        learner = RecoFuseLearner(run, torch.device("cpu"), tmp_path)
        losses.append(learner.update(pairs, 0.5))
        reached.append({n for n, p in learner.model.named_parameters() if p.grad is not None})
        assert all(p.dtype == torch.float32 for p in learner.model.parameters())
    assert losses[1] != losses[0]
    assert losses[1] == pytest.approx(losses[0], rel=0.03)
    assert reached[0] == reached[1] != set()


def test_latents_have_unit_spread_after_the_autoencoder(
    folder: Path, tiny: Path, tmp_path: Path
) -> None:
    run = options(folder, tmp_path / "w.safetensors", tiny, stage="autoencoder", steps=40, lr=0.0)
    learner = RecoFuseLearner(run, torch.device("cpu"), tmp_path)
    pairs = load_pairs((folder,), "ivif")
    for _ in range(40):
        learner.update(pairs, 0.5)
    quad = draw_quad(pairs, 16, 32, np.random.default_rng(5), torch.device("cpu"))
    with torch.no_grad():
        latent = learner.average.encode(torch.cat(list(quad)))[0]
    assert torch.equal(learner.average.spread, learner.model.spread)
    assert latent.std((0, 2, 3)) == pytest.approx(torch.ones(latent.shape[1]), abs=0.3)
    found = learner.model.spread.clone()
    learner._follow_spread(torch.full_like(latent, torch.inf))
    assert torch.equal(learner.model.spread, found)


def test_a_refiner_needs_something_to_refine(folder: Path, tmp_path: Path) -> None:
    run = options(folder, tmp_path / "w.safetensors", tmp_path, stage="refiner")
    run = replace(run, init=None)
    with pytest.raises(DrfuseError, match="--stage refiner"):
        train(run, quiet)


def test_a_whole_run_ends_with_the_refiner_where_there_is_one(
    folder: Path, tiny: Path, tmp_path: Path
) -> None:
    run = options(folder, tmp_path / "w.safetensors", tiny, crop=64)
    without = RecoFuseLearner(run, torch.device("cpu"), tmp_path)
    refined = train(replace(run, output=tmp_path / "r.safetensors", stage="refiner"), quiet)
    with_one = RecoFuseLearner(replace(run, init=str(refined)), torch.device("cpu"), tmp_path)
    for learner, last in ((without, "coupled"), (with_one, "refiner")):
        stages = [learner._where(progress / 200)[0] for progress in range(201)]
        assert list(dict.fromkeys(stages))[:3] == ["autoencoder", "branches", "coupled"]
        assert stages[-1] == last
        shares = [learner._where(progress / 200)[1] for progress in range(201)]
        assert min(shares) == 0
        assert max(shares) <= 1


def test_the_refining_loss_asks_for_the_clean_pair(folder: Path) -> None:
    pairs = load_pairs((folder,), "ivif")
    quad = draw_quad(pairs, 1, 64, np.random.default_rng(0), torch.device("cpu"))
    brighter = torch.maximum(quad.visible_clean, quad.infrared_clean)
    good = Pictures(brighter, quad.visible_clean, quad.infrared_clean)
    best = refining_loss(good, quad)
    for changed in ("fused", "visible", "infrared"):
        worse = good._replace(**{changed: 0.6 * getattr(good, changed) + 0.1})
        assert refining_loss(worse, quad) > best


def test_a_run_says_what_scores_of_the_refiner_count(
    folder: Path, tiny: Path, tmp_path: Path
) -> None:
    quad = draw_quad(
        load_pairs((folder,), "ivif"), 1, 64, np.random.default_rng(0), torch.device("cpu")
    )
    made = Pictures(quad.visible_clean, quad.visible_clean, quad.infrared_clean)
    once, twice = (refining_loss(made, quad, aimed({"CC": count})) for count in (1.0, 2.0))
    assert twice < once
    output, cpu = tmp_path / "w.safetensors", torch.device("cpu")
    refining = tiny_weights(tmp_path / "refining.safetensors", replace(TINY, refiner=8))
    for init, stage in ((refining, "coupled"), (tiny, "all")):
        run = options(folder, output, init, stage=stage, aim={"CC": 1.0})
        with pytest.raises(DrfuseError, match="--aim goes with the refiner, which this run does"):
            RecoFuseLearner(run, cpu, tmp_path)
    wrong = options(folder, output, refining, stage="refiner", aim={"Q_P": 1.0})
    with pytest.raises(DrfuseError, match="--aim Q_P: no score"):
        RecoFuseLearner(wrong, cpu, tmp_path)
    right = replace(wrong, stage="all", aim={"CC": 1.0})
    assert RecoFuseLearner(right, cpu, tmp_path).aim["CC"] == 1.0


def test_the_fusion_step_moves_the_module_alone(
    folder: Path, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = options(folder, tmp_path / "w.safetensors", tiny, stage="coupled")
    learner = RecoFuseLearner(run, torch.device("cpu"), tmp_path)

    def nothing(*_: object, **__: object) -> Tensor:
        return sum((p.sum() * 0 for p in learner.model.fusion.parameters()), torch.zeros(()))

    monkeypatch.setattr(learner, "_restoration", nothing)
    monkeypatch.setattr("drfuse_cli.training.learner.Muon.step", lambda self: None)
    before = [p.clone() for p in learner.model.visible.parameters()]
    assert moved(learner, folder) == {"fusion"}
    assert all(map(torch.equal, before, learner.model.visible.parameters()))


@pytest.mark.parametrize("regularisation", ["joint", "separate"])
def test_the_other_regularisations_run(
    regularisation: str, folder: Path, tiny: Path, tmp_path: Path
) -> None:
    run = options(
        folder, tmp_path / "w.safetensors", tiny, stage="coupled", regularisation=regularisation
    )
    learner = RecoFuseLearner(run, torch.device("cpu"), tmp_path)
    before = learner.model.visible.beside.weight.clone()
    assert moved(learner, folder) == {"visible", "infrared", "fusion"}
    follows = not torch.equal(before, learner.model.visible.beside.weight)
    assert follows == (regularisation == "joint")


def test_a_whole_run_repeats_resumes_and_measures(folder: Path, tiny: Path, tmp_path: Path) -> None:
    def run(name: str, **changes: object) -> Path:
        more = {"steps": 6, "val": folder, "val_every": 3, **changes}
        return train(options(folder, tmp_path / name, tiny, **more), quiet)

    whole = run("a.safetensors")

    class StopError(Exception):
        pass

    def interrupt(progress: TrainProgress) -> None:
        if progress.step == 4:
            raise StopError

    with pytest.raises(StopError):
        train(
            options(folder, tmp_path / "b.safetensors", tiny, steps=6, val=folder, val_every=3),
            interrupt,
        )
    resumed = run("b.safetensors", resume=True)
    assert resumed.read_bytes() == whole.read_bytes()
    loaded = load_weights(str(whole), "ivif", "recofuse")
    assert loaded.architecture == TINY.as_dict()
    assert not torch.equal(loaded.tensors["spread"], torch.ones(4))
    log = (tmp_path / "a" / "log.csv").read_text().splitlines()
    assert log[0].startswith("step,scenario,train_loss,psnr1,psnr2,fusion_loss")
    assert [line.split(",")[:2] for line in log[1:]] == [["3", "autoencoder"], ["6", "coupled"]]


def test_the_published_form_trains_too(folder: Path, tmp_path: Path) -> None:
    from dataclasses import replace

    noise = tiny_weights(
        tmp_path / "noise.safetensors", replace(TINY, predicts="noise", feedback="whole")
    )
    run = options(folder, tmp_path / "w.safetensors", noise, stage="coupled")
    learner = RecoFuseLearner(run, torch.device("cpu"), tmp_path)
    assert moved(learner, folder) == {"visible", "infrared", "fusion"}


def test_features_are_lent_in_all_sixteen_ways(folder: Path, tiny: Path, tmp_path: Path) -> None:
    run = options(folder, tmp_path / "w.safetensors", tiny, stage="autoencoder")
    learner = RecoFuseLearner(run, torch.device("cpu"), tmp_path)
    lent: set[tuple[int, int]] = set()
    quad = draw_quad(
        load_pairs((folder,), "ivif"), 1, 32, np.random.default_rng(0), torch.device("cpu")
    )
    codes = [learner.model.autoencoder.encode(image)[1][0] for image in quad]

    def decode(latent: Tensor, features: list[Tensor]) -> Tensor:
        for target, feature in enumerate(features[0]):
            lent.add(
                (
                    target,
                    next(
                        i for i, c in enumerate(codes) if torch.allclose(c[0], feature, atol=1e-5)
                    ),
                )
            )
        return torch.cat(list(quad))

    learner.model.autoencoder.decode = decode  # type: ignore[method-assign]
    with torch.no_grad():
        for seed in range(40):
            learner._recombination(quad, np.random.default_rng(seed))
    assert len(lent) == 16


def test_the_fusion_loss_is_nothing_for_what_it_asks_for() -> None:
    flat = torch.full((1, 3, 16, 16), 0.2)
    visible = flat.clone()
    visible[:, 0] = 0.6
    assert float(fusion_loss(visible, visible, flat)) == pytest.approx(0, abs=1e-6)
    assert float(fusion_loss(flat, visible, flat)) > 0.1


def test_edges_and_colours_count_as_published() -> None:
    """A step of 0.1 in grey that the fused image misses: 6 times the mean Sobel of both ways."""
    edge = torch.zeros(1, 3, 8, 8)
    edge[..., 4:] = 0.1
    nothing = torch.zeros_like(edge)
    sobel = 2 * 0.4 / 8  # two columns of eight, each 4 x 0.1
    expected = float(edge[:, :1].mean()) + 6 * sobel
    assert float(fusion_loss(nothing, edge, nothing)) == pytest.approx(expected, rel=1e-5)
    blue = torch.zeros(1, 3, 8, 8)
    blue[:, 2] = 0.1
    y = 0.0114
    chroma = 0.564 * (0.1 - y) + 0.713 * y
    assert float(fusion_loss(nothing, blue, nothing)) == pytest.approx(y + 8 * chroma, rel=1e-4)


def test_quads_are_degraded_beside_clean(folder: Path) -> None:
    pairs = load_pairs((folder,), "ivif")
    quad = draw_quad(pairs, 12, 48, np.random.default_rng(1), torch.device("cpu"))
    assert all(part.shape == (12, 3, 48, 48) for part in quad)
    assert all(float(part.min()) >= 0 and float(part.max()) <= 1 for part in quad)
    grey = quad.infrared
    assert torch.equal(grey[:, 0], grey[:, 2])
    changed = (quad.infrared - quad.infrared_clean).abs().mean((1, 2, 3))
    assert int((changed > 0.01).sum()) > 0
    again = draw_quad(pairs, 12, 48, np.random.default_rng(1), torch.device("cpu"))
    assert all(map(torch.equal, quad, again))


@pytest.fixture(scope="module")
def scene() -> CleanPair:
    infrared, visible = (image.pixels for image in render("street-day", 192, 160))
    return CleanPair("street", infrared, visible)


def test_quads_come_as_pairs_do_without_their_stripes(
    scene: CleanPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("drfuse_cli.training.cameras.INFRARED", {"stripes": 1.0})

    def uneven() -> list[float]:
        quad = draw_quad([scene], 6, 128, np.random.default_rng(3), torch.device("cpu"))
        off = (quad.infrared - quad.infrared_clean)[:, 0].mean(1)
        return (255 * off.std(1)).tolist()

    rid = uneven()
    monkeypatch.setattr("drfuse_cli.training.cameras.find_stripes", lambda *_: None)
    striped = uneven()
    assert min(striped) > 1
    assert np.mean(rid) < 0.75 * np.mean(striped)


@pytest.mark.parametrize(("optics", "share"), [(0.0, 0.5), (1.0, 0.7)])
def test_drfusion_undoes_what_cameras_did(
    optics: float, share: float, scene: CleanPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the squared error of files that are noisy alone, or blurred and pooled as well."""
    for name in ("INFRARED", "VISIBLE"):
        monkeypatch.setattr(f"drfuse_cli.training.cameras.{name}", {"noise": 1.0})
    for name, value in (("_AS_IT_IS", 0.0), ("_BLURRED", optics), ("_POOLED", optics)):
        monkeypatch.setattr(f"drfuse_cli.training.cameras.{name}", value)
    cameras = Cameras("cpu")

    def error() -> float:
        rng = np.random.default_rng(3)
        quad = draw_quad([scene], 4, 128, rng, torch.device("cpu"), see=cameras, colourise=False)
        errors = (quad.infrared - quad.infrared_clean, quad.visible - quad.visible_clean)
        return float(torch.cat(errors).square().mean())

    restored = error()
    monkeypatch.setattr(
        cameras.engine, "fuse",
        lambda *files: SimpleNamespace(sources=[_enlarged(file) for file in files[:2]]),
    )  # fmt: skip
    assert restored < share * error()


def _enlarged(image: Image) -> Image:
    return Image(cv2.resize(image.pixels, (128, 128), interpolation=cv2.INTER_CUBIC))


def test_a_third_of_the_pairs_is_taken_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    cameras, calls = Cameras("cpu"), []

    def watched(*given: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        calls.append(given)
        return given[0], given[1]

    monkeypatch.setattr("drfuse_cli.training.cameras.as_it_is", watched)
    for name in ("INFRARED", "VISIBLE"):
        monkeypatch.setattr(f"drfuse_cli.training.cameras.{name}", {})
    for name in ("_BLURRED", "_POOLED"):
        monkeypatch.setattr(f"drfuse_cli.training.cameras.{name}", 0)
    planes, colours = np.zeros((60, 16, 16), np.float32), np.zeros((60, 16, 16, 3), np.float32)
    cameras(planes, colours, np.random.default_rng(1))
    assert 10 <= len(calls) <= 32


def test_a_run_says_that_it_restores_first(folder: Path, tiny: Path, tmp_path: Path) -> None:
    run = options(folder, tmp_path / "w.safetensors", tiny, stage="refiner", crop=64,
                  restore_first=True)  # fmt: skip
    learner = RecoFuseLearner(run, torch.device("cpu"), tmp_path)
    assert isinstance(learner.see, Cameras)
    assert describe(str(train(run, quiet)))["training"]["restore_first"] is True


def test_other_tasks_are_refused(folder: Path, tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(DrfuseError, match="not for medical"):
        train(options(folder, tmp_path / "w.safetensors", tiny, task="medical"), quiet)
