"""Many pairs through one engine: alone or together, with memory or without."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import numpy as np
import pytest
import torch
from batch_support import make_weights, picture

from drfuse_cli.config import Degradation, FuseOptions
from drfuse_cli.engine import Engine, Fusion, Prepared, prepare
from drfuse_cli.errors import DrfuseError, ExitCode
from drfuse_cli.weights import LoadedWeights, load_weights

NOISY = Degradation(noise_std=6)
BLURRED = Degradation(noise_std=6, blur_sigma=1.5)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> LoadedWeights:
    path = make_weights(tmp_path_factory.mktemp("weights") / "w.safetensors")
    return load_weights(str(path), "ivif")


def engine(weights: LoadedWeights, **options: object) -> Engine:
    return Engine(weights, FuseOptions(device="cpu", **options))  # type: ignore[arg-type]


def pair(
    seed: int,
    first: Degradation = NOISY,
    second: Degradation = NOISY,
    size: tuple[int, int] = (20, 24),
) -> Prepared:
    images = picture(seed, size), picture(seed + 1, size, colour=True)
    return prepare(*images, (first, second))


def pixels(fusions: list[Fusion]) -> list[np.ndarray]:
    return [fusion.fused.pixels for fusion in fusions]


def difference(a: np.ndarray, b: np.ndarray) -> int:
    return int(np.abs(a.astype(int) - b).max())


# ---- together ---------------------------------------------------------------------------------


def test_on_a_processor_the_batch_changes_no_byte(weights: LoadedWeights) -> None:
    pairs = [pair(seed) for seed in range(5)]
    alone = [engine(weights).run([one])[0] for one in pairs]
    together = engine(weights).run(pairs, batch=3)
    for a, b in zip(alone, together, strict=True):
        assert torch.equal(a.state, b.state)
        assert a.residuals[1].rms == b.residuals[1].rms


def test_pairs_that_differ_in_noise_share_a_batch(weights: LoadedWeights) -> None:
    pairs = [pair(0), pair(2, Degradation()), pair(4, Degradation(noise_std=20))]
    assert len({one.key for one in pairs}) == 1
    alone = engine(weights).run(pairs)
    batching = engine(weights)
    batching.batches = True
    seen: list[int] = []
    encode = batching.model.network.encode

    def watched(lifted: torch.Tensor, *rest: torch.Tensor) -> torch.Tensor:
        seen.append(len(lifted))
        return encode(lifted, *rest)

    batching.model.network.encode = watched  # type: ignore[method-assign]
    together = batching.run(pairs, batch=2)
    assert seen == [2, 2]  # the second is filled up
    for a, b in zip(alone, together, strict=True):
        assert difference(a.fused.pixels, b.fused.pixels) <= 1
        assert difference(a.sources[0].pixels, b.sources[0].pixels) <= 1
        assert a.residuals[0].rms == pytest.approx(b.residuals[0].rms, abs=0.05)
        assert a.residuals[0].expected == b.residuals[0].expected


def test_neighbours_in_a_batch_do_not_matter(weights: LoadedWeights) -> None:
    batching = engine(weights)
    batching.batches = True
    full = batching.run([pair(0), pair(2), pair(4)], batch=3)
    short = batching.run([pair(0)], batch=3)
    assert torch.equal(full[0].state, short[0].state)


@pytest.mark.parametrize(
    "other",
    [
        pair(0, BLURRED),
        pair(0, NOISY, Degradation(psf=np.full((3, 3), 1 / 9))),
        pair(0, size=(20, 26)),
        prepare(picture(0), picture(1), (NOISY, NOISY)),
        prepare(picture(0, colour=True), picture(1), (NOISY, NOISY)),
    ],
    ids=["blur", "psf", "size", "grey", "colour in source 1"],
)
def test_what_cannot_share_a_batch(other: Prepared) -> None:
    assert pair(0).key != other.key


def test_states_belong_to_their_pair(weights: LoadedWeights) -> None:
    batching = engine(weights, keep_states=True, steps=2)
    batching.batches = True
    results = [fusion.result() for fusion in batching.run([pair(0), pair(2)], batch=2)]
    for result in results:
        assert [int(state["t"]) for state in result.states] == [2, 1]
        restored = result.states[-1]["x1"] * 255
        assert difference(result.sources[0].pixels, np.round(restored)) <= 1
    assert engine(weights).run([pair(0)])[0].result().states == []


def test_a_batch_by_memory(weights: LoadedWeights, monkeypatch: pytest.MonkeyPatch) -> None:
    batching = engine(weights)
    vga = pair(0, size=(480, 640))
    assert batching.batch_size(vga) == 1
    batching.cores = 4
    assert batching.batch_size(vga) == 4
    assert batching.batch_size(pair(0, size=(1500, 1200))) == 2
    batching.batches, batching.device = True, torch.device("cuda")
    for gigabytes, expected in ((80, 13), (2, 1), (0.25, 1)):
        device = type("Device", (), {"total_memory": int(gigabytes * 2**30)})
        monkeypatch.setattr(torch.cuda, "get_device_properties", lambda *_, device=device: device)
        assert batching.batch_size(vga) == expected


def test_operators_are_made_once(weights: LoadedWeights, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[object] = []
    from drfuse_cli.engine import drfusion as module

    build = module.build_operator
    monkeypatch.setattr(module, "build_operator", lambda *a, **k: made.append(a) or build(*a, **k))
    one = engine(weights)
    for seed in range(3):
        one.run([pair(seed, BLURRED)])
    assert len(made) == 2
    monkeypatch.setattr(module, "WHOLE_LIMIT", 100)  # nothing large is kept
    for seed in range(3):
        one.run([pair(seed, BLURRED)])
    assert len(made) == 8


def test_cores_work_side_by_side(weights: LoadedWeights) -> None:
    pairs = [pair(seed) for seed in range(5)]
    alone = engine(weights).run(pairs)
    torch.set_num_threads(2)
    try:
        parallel = engine(weights)
    finally:
        torch.set_num_threads(1)
    assert parallel.batch_size(pairs[0]) == 2
    threads: set[tuple[str, int]] = set()
    encode = parallel.model.network.encode

    def watched(*given: torch.Tensor) -> torch.Tensor:
        threads.add((threading.current_thread().name, torch.get_num_threads()))
        time.sleep(0.01)
        return encode(*given)

    parallel.model.network.encode = watched  # type: ignore[method-assign]
    together = parallel.run(pairs, batch=5)
    assert threads == {("fuse_0", 1), ("fuse_1", 1)}
    for a, b in zip(alone, together, strict=True):
        assert torch.equal(a.state, b.state)


# ---- without memory ---------------------------------------------------------------------------


@pytest.fixture
def limited(weights: LoadedWeights) -> Callable[..., Engine]:
    """An engine whose network runs out of memory above so many pixels."""

    def make(limit: int, **options: object) -> Engine:
        made = engine(weights, **options)
        network = made.model.network
        encode = network.encode

        def short(lifted: torch.Tensor, *rest: torch.Tensor) -> torch.Tensor:
            if lifted.shape[0] * lifted.shape[-2] * lifted.shape[-1] > limit:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return encode(lifted, *rest)

        network.encode = short  # type: ignore[method-assign]
        return made

    return make


def test_half_the_batch(limited: Callable[..., Engine], weights: LoadedWeights) -> None:
    pairs = [pair(seed) for seed in range(5)]
    poor = limited(3 * 24 * 24)
    poor.batches = True
    fusions = poor.run(pairs, batch=8)
    assert [fusion.warnings for fusion in fusions] == [
        (
            "not enough memory for 8 pairs at once: 4 at once",
            "not enough memory for 4 pairs at once: 2 at once",
        )
    ] * 5
    for a, b in zip(pixels(engine(weights).run(pairs)), pixels(fusions), strict=True):
        assert difference(a, b) <= 1


def test_tiles_and_smaller_tiles(limited: Callable[..., Engine], weights: LoadedWeights) -> None:
    large = pair(0, BLURRED, BLURRED, (72, 640))
    whole = engine(weights).run([large])[0]
    poor = limited(72 * 340)
    tiled = poor.run([large])[0]
    assert tiled.warnings == (
        "not enough memory for the image as a whole: tiles of 512",
        "not enough memory for tiles of 512 pixels: tiles of 256",
        "not enough memory for tiles of 256 pixels: tiles of 128",
    )
    assert tiled.result().warnings == list(tiled.warnings)
    assert difference(whole.fused.pixels, tiled.fused.pixels) <= 1
    assert difference(whole.sources[0].pixels, tiled.sources[0].pixels) <= 1
    # What was learnt holds for the next image of that size, and for no other.
    assert poor.run([pair(2, BLURRED, BLURRED, (72, 640))])[0].warnings == tiled.warnings
    assert poor.run([pair(0)])[0].warnings == ()


@pytest.mark.parametrize(
    ("options", "hint"), [({}, "--tile 64"), ({"tile": 0}, "--tile auto"), ({"tile": 100}, "64")]
)
def test_when_nothing_helps(
    limited: Callable[..., Engine], options: dict[str, object], hint: str
) -> None:
    with pytest.raises(DrfuseError, match="not enough memory on cpu for 300x200") as caught:
        limited(0, **options).run([pair(0, size=(200, 300))])
    assert caught.value.code == ExitCode.ENVIRONMENT
    assert hint in str(caught.value)


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory")]
)
def test_other_words_for_it(weights: LoadedWeights, error: Exception) -> None:
    made = engine(weights)

    def fail(*_: object) -> None:
        raise error

    made.model.forward = fail  # type: ignore[method-assign]
    with pytest.raises(DrfuseError, match="not enough memory"):
        made.run([pair(0)])


def test_other_failures_are_not_hidden(weights: LoadedWeights) -> None:
    made = engine(weights)

    def fail(*_: object) -> None:
        raise RuntimeError("odd")

    made.model.forward = fail  # type: ignore[method-assign]
    with pytest.raises(RuntimeError, match="odd"):
        made.run([pair(0)])


# ---- on a GPU ---------------------------------------------------------------------------------


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_on_a_gpu_the_batch_changes_no_byte(weights: LoadedWeights, precision: str) -> None:
    made = Engine(weights, FuseOptions(device="cuda", precision=precision))  # type: ignore[arg-type]
    pairs = [pair(seed, BLURRED, size=(120, 160)) for seed in range(6)]
    alone = pixels([made.run([one], 1)[0] for one in pairs])
    for batch in (2, 4, 6):
        together = pixels(made.run(pairs, batch))
        assert all(np.array_equal(a, b) for a, b in zip(alone, together, strict=True))
