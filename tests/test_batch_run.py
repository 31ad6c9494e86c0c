"""The pipeline and its journal: faults, resuming, shards; always the same tree of bytes."""

from __future__ import annotations

import errno
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from batch_support import lines, make_pairs, make_weights, summary, tree

from drfuse_cli.batch import pipeline
from drfuse_cli.batch.journal import Journal, journals
from drfuse_cli.batch.pipeline import Outcome, Stop, in_order
from drfuse_cli.batch.plan import Outputs, Plan, Shard, gather_pairs, make_plan
from drfuse_cli.batch.recipe import Recipe
from drfuse_cli.batch.run import Existing, find_todo, run_batch
from drfuse_cli.batch.summary import Summary
from drfuse_cli.config import FuseOptions
from drfuse_cli.degradations import Overrides
from drfuse_cli.engine import Engine
from drfuse_cli.errors import DrfuseError, ExitCode
from drfuse_cli.imageio import read_image
from drfuse_cli.sources import Assumptions
from drfuse_cli.weights import LoadedWeights, load_weights

NAMES = ("1", "2", "10", "night/1", "night/2")


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> LoadedWeights:
    path = make_weights(tmp_path_factory.mktemp("weights") / "w.safetensors")
    return load_weights(str(path), "ivif")


class Batch:
    """Runs batches of the pairs in ``set`` into ``out``."""

    def __init__(self, weights: LoadedWeights) -> None:
        self.weights = weights
        self.told: list[Outcome] = []

    def recipe(self, **options: Any) -> tuple[Recipe, Engine]:
        chosen = FuseOptions(device="cpu", **options)
        engine = Engine(self.weights, chosen)
        told = Assumptions("ivif", "noise", Overrides())
        return Recipe(told, chosen, self.weights, "cpu", engine.precision), engine

    def plan(self, shard: str | None = None, out: str = "out", sources: bool = True) -> Plan:
        outputs = Outputs(Path(out), Path(out) / "restored" if sources else None)
        pairs = gather_pairs(Path("set"), None, "ivif", False, outputs)
        return make_plan(pairs, outputs, Shard.of(shard) if shard else None)

    def __call__(
        self,
        existing: Existing = "refuse",
        *,
        plan: Plan | None = None,
        batch: int | None = None,
        stop: Stop | None = None,
        tell: Callable[[Outcome], None] | None = None,
        wrap: Callable[[Engine], None] = lambda engine: None,
        **options: Any,
    ) -> Summary:
        plan = plan or self.plan()
        recipe, engine = self.recipe(**options)
        wrap(engine)
        self.told = []
        return run_batch(
            plan, find_todo(plan, recipe, existing, 2), recipe, engine, existing=existing,
            workers=2, batch=batch, stop=stop or Stop(), tell=tell or self.told.append,
            started=time.perf_counter(),
        )  # fmt: skip


@pytest.fixture
def batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, weights: LoadedWeights) -> Batch:
    monkeypatch.chdir(tmp_path)
    make_pairs(Path("set"), *NAMES)
    return Batch(weights)


@pytest.fixture
def undisturbed(batch: Batch) -> dict[str, Any]:
    """What a run leaves that nothing disturbs; it is moved out of the way."""
    batch()
    found = tree(Path("out"))
    os.rename("out", "undisturbed")
    return found


# ---- what it leaves -------------------------------------------------------------------------


def test_images_manifest_and_summary(batch: Batch) -> None:
    found = batch()
    images = {f"{name}.png" for name in NAMES}
    restored = {f"restored/source{k}/{image}" for k in (1, 2) for image in images}
    assert set(tree(Path("out"))) == images | restored | {"manifest.jsonl", "summary.json"}
    documents = lines(Path("out"))
    assert [document["name"] for document in documents] == [
        "1", "2", "10", "night/1", "night/2",
    ]  # fmt: skip
    last = documents[-1]
    assert last["schema"] == "drfuse.fuse/1"
    assert last["output"]["path"] == "out/night/2.png"
    assert last["output"]["sha256"] == read_image("out/night/2.png").sha256
    assert [entry["sha256"] for entry in last["sources"]] == [
        read_image(f"out/restored/source{k}/night/2.png").sha256 for k in (1, 2)
    ]
    assert last["inputs"][1]["sha256"] == read_image("set/vis/night/2.png").sha256
    assert set(last["seconds"]) == {"load", "read", "fuse", "write"}
    assert last["assumed"]["degrade"] == "noise"
    document = summary(Path("out"))
    assert document == found.document()
    assert (document["pairs"], document["done"], document["failed"]) == (5, 5, 0)
    assert document["skipped"] == 0
    assert document["pairs_per_second"] == pytest.approx(5 / document["seconds"], rel=0.05)
    assert sorted(outcome.work.name for outcome in batch.told) == sorted(NAMES)


@pytest.mark.parametrize("size", [2, 50])
def test_the_batch_size_changes_nothing(
    batch: Batch, undisturbed: dict[str, Any], size: int
) -> None:
    batch(batch=size)
    assert tree(Path("out")) == undisturbed


def test_sizes_may_be_mixed(batch: Batch) -> None:
    make_pairs(Path("set"), "a", "b", size=(12, 18))
    make_pairs(Path("set"), "wide", size=(9, 40))
    assert batch(batch=3).done == 8
    assert read_image("out/wide.png").width == 40


def test_a_line_repeats_the_run(batch: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    from drfuse_cli.cli.app import run
    from drfuse_cli.report.sidecar import arguments

    batch()
    assert run(arguments(lines(Path("out"))[0], "again.png")) == 0
    assert Path("again.png").read_bytes() == Path("out/1.png").read_bytes()


def test_the_order_of_finishing_changes_nothing(
    batch: Batch, undisturbed: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    write = pipeline.write_bytes

    def uneven(path: Path, data: bytes) -> None:
        if path == Path("out/1.png"):
            time.sleep(0.3)
        write(path, data)

    monkeypatch.setattr(pipeline, "write_bytes", uneven)
    batch()
    assert tree(Path("out")) == undisturbed


def test_memory_is_bounded(batch: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    make_pairs(Path("set"), *(f"more/{i}" for i in range(20)))
    read, write = pipeline.read_sources, pipeline._write_image
    lock, alive, most = threading.Lock(), 0, 0

    def counted(*given: Any) -> Any:
        nonlocal alive, most
        with lock:
            alive += 1
            most = max(most, alive)
        return read(*given)

    def slow(*given: Any) -> Any:
        nonlocal alive
        time.sleep(0.02)
        with lock:
            alive -= 1
        return write(*given)

    monkeypatch.setattr(pipeline, "read_sources", counted)
    monkeypatch.setattr(pipeline, "_write_image", slow)
    assert batch(plan=batch.plan(sources=False)).done == 25
    assert most <= 2 * 4 + 1 + 2  # ahead, in the network, behind, being written


def test_large_pairs_are_fewer_at_a_time(batch: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "_PIXELS_AHEAD", 1000)
    assert batch(batch=4).done == 5


def test_map_in_order_stays_near_its_reader() -> None:
    started: list[int] = []

    def note(item: int) -> int:
        started.append(item)
        return item

    with ThreadPoolExecutor(2) as pool:
        found = in_order(pool, note, range(100), lambda: 3)
        assert [next(found) for _ in range(5)] == list(range(5))
        time.sleep(0.05)
        assert len(started) <= 8
        assert list(found) == list(range(5, 100))


# ---- pairs that fail --------------------------------------------------------------------------


def spoil() -> None:
    Path("set/ir/2.png").write_bytes(b"GIF89a....")
    Path("set/vis/night/1.png").write_bytes(Path("set/vis/1.png").read_bytes()[:-30])


def test_broken_files_stop_no_other_pair(batch: Batch) -> None:
    spoil()
    found = batch()
    assert (found.done, len(found.failures)) == (3, 2)
    failures = {failure["name"]: failure["error"] for failure in summary(Path("out"))["failures"]}
    assert set(failures) == {"2", "night/1"}
    assert "set/ir/2.png: is a GIF" in failures["2"]
    by_name = {document["name"]: document for document in lines(Path("out"))}
    assert by_name["2"]["error"] == failures["2"]
    assert by_name["2"]["inputs"][1]["path"] == "set/vis/2.png"
    assert by_name["2"]["schema"] == "drfuse.fuse/1"
    assert not Path("out/2.png").exists()
    assert not Path("out/restored/source1/2.png").exists()


def test_what_failed_is_tried_again(batch: Batch, undisturbed: dict[str, Any]) -> None:
    good = {path: path.read_bytes() for path in Path("set").rglob("*.png")}
    spoil()
    batch()
    for path, data in good.items():
        path.write_bytes(data)
    assert batch("resume").document()["failures"] == []
    assert len(batch.told) == 2
    assert tree(Path("out")) == undisturbed


@pytest.mark.parametrize("size", [1, 5])
def test_a_pair_that_breaks_the_network(batch: Batch, size: int) -> None:
    def wrap(engine: Engine) -> None:
        run = engine.run

        def fragile(pairs: Any, batch: int | None = None) -> Any:
            assert batch == size
            if any(pair.sources[0].luma[0, 0] == marked for pair in pairs):
                raise ValueError("odd")
            return run(pairs, batch)

        engine.run = fragile  # type: ignore[method-assign]

    from drfuse_cli.colour import split

    marked = split(read_image("set/ir/10.png"))[0][0, 0]
    found = batch(batch=size, wrap=wrap)
    assert [(one.name, one.error) for one in found.failures] == [
        ("10", "internal error: ValueError: odd")
    ]
    assert found.done == 4


def test_a_network_that_returns_no_numbers(batch: Batch) -> None:
    def wrap(engine: Engine) -> None:
        with torch.no_grad():
            engine.model.network.noise_head.bias.fill_(float("nan"))

    found = batch(wrap=wrap)
    assert len(found.failures) == 5
    assert "not numbers" in found.failures[0].error
    assert list(tree(Path("out"))) == ["manifest.jsonl", "summary.json"]


def test_stop_begins_nothing_more(batch: Batch, undisturbed: dict[str, Any]) -> None:
    stop = Stop()

    def tell(outcome: Outcome) -> None:
        stop.asked = True

    found = batch(stop=stop, tell=tell)
    assert 1 <= found.done < 5
    assert (found.pairs, found.document()["failed"]) == (5, 0)
    assert len(lines(Path("out"))) == found.done
    batch("resume")
    assert tree(Path("out")) == undisturbed


# ---- a disk that fails ------------------------------------------------------------------------


def failing_sync(monkeypatch: pytest.MonkeyPatch, after: int, number: int) -> Iterator[None]:
    """The system refuses to write from the ``after``-th file on."""
    sync, calls = os.fsync, 0

    def refuse(handle: int) -> None:
        nonlocal calls
        calls += 1
        if calls > after:
            raise OSError(number, os.strerror(number))
        sync(handle)

    monkeypatch.setattr("drfuse_cli.imageio.files.os.fsync", refuse)
    yield
    monkeypatch.setattr("drfuse_cli.imageio.files.os.fsync", sync)


@pytest.mark.parametrize(
    ("number", "after"),
    [(errno.ENOSPC, 0), (errno.ENOSPC, 1), (errno.ENOSPC, 5), (errno.EROFS, 4), (errno.EIO, 8)],
)
def test_a_full_disk(
    batch: Batch,
    undisturbed: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    after: int,
) -> None:
    full = failing_sync(monkeypatch, after, number)
    next(full)
    with pytest.raises(DrfuseError) as caught:
        batch()
    next(full, None)
    assert caught.value.code == ExitCode.ENVIRONMENT
    found = tree(Path("out")) if Path("out").exists() else {}
    assert not [name for name in found if name.endswith(".tmp")]
    assert all(undisturbed[name] == data for name, data in found.items() if name.endswith(".png"))
    for document in found.get("manifest.jsonl", []):
        assert f"{document['name']}.png" in found
    batch("resume")
    assert tree(Path("out")) == undisturbed


def test_a_journal_never_holds_half_a_line(tmp_path: Path) -> None:
    class Full:
        """A stream that takes some of the second line."""

        def __init__(self, stream: Any) -> None:
            self.stream, self.fileno, self.close = stream, stream.fileno, stream.close

        def write(self, data: bytes) -> int:
            if b"two" in data:
                return int(self.stream.write(data[:5]))
            if not data.startswith(b"{"):
                raise OSError(errno.ENOSPC, "No space left on device")
            return int(self.stream.write(data))

    path = tmp_path / "manifest.jsonl"
    with Journal(path) as journal:
        journal._stream = Full(journal._stream)  # type: ignore[assignment]
        journal.add({"name": "one"})
        with pytest.raises(DrfuseError, match="the disk is full"):
            journal.add({"name": "two"})
        journal.add({"name": "three"})
    assert path.read_bytes() == b'{"name": "one"}\n{"name": "three"}\n'


# ---- resuming -----------------------------------------------------------------------------------


def append(path: str, data: bytes) -> None:
    with open(path, "ab") as stream:
        stream.write(data)


def test_resuming_a_finished_run_changes_nothing(batch: Batch, undisturbed: dict[str, Any]) -> None:
    os.rename("undisturbed", "out")
    before = {path: path.stat().st_mtime_ns for path in Path("out").rglob("*.png")}
    batch("resume")
    assert batch.told == []
    assert {path: path.stat().st_mtime_ns for path in Path("out").rglob("*.png")} == before
    assert tree(Path("out")) == undisturbed


def damage_line() -> None:
    data = Path("out/manifest.jsonl").read_bytes()
    Path("out/manifest.jsonl").write_bytes(data[:-20])


DAMAGE: dict[str, Callable[[], object]] = {
    "a line half written": damage_line,
    "an image gone": lambda: os.unlink("out/2.png"),
    "an image changed": lambda: append("out/2.png", b"x"),
    "a restored source gone": lambda: os.unlink("out/restored/source2/10.png"),
    "the summary gone": lambda: os.unlink("out/summary.json"),
    "the manifest gone": lambda: os.unlink("out/manifest.jsonl"),
    "everything gone": lambda: os.rename("out", "gone"),
    "zeros after a power failure": lambda: append("out/manifest.jsonl", bytes(300)),
    "a line of something else": lambda: append("out/manifest.jsonl", b'{"x": 1}\n[]\nno\n'),
    "a temporary file": lambda: append("out/night/.drfuse-0123456789abcdef.tmp", b"x"),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_resuming_mends(
    batch: Batch, undisturbed: dict[str, Any], damage: Callable[[], object]
) -> None:
    os.rename("undisturbed", "out")
    damage()
    batch("resume")
    assert tree(Path("out")) == undisturbed


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"steps": 2}, "another steps: 3, now 2"),
        ({"correction": "none"}, 'another correction_mode: "joint", now "none"'),
        ({"self_ensemble": 4}, "another self_ensemble: 1, now 4"),
        ({"tile": 64}, 'another tile: "auto", now 64'),
    ],
)
def test_resuming_with_other_settings(batch: Batch, options: dict[str, Any], said: str) -> None:
    batch()
    before = tree(Path("out"))
    with pytest.raises(DrfuseError, match=said) as caught:
        batch("resume", **options)
    assert caught.value.code == ExitCode.USAGE
    assert tree(Path("out")) == before


def test_resuming_what_is_no_manifest(batch: Batch) -> None:
    Path("out").mkdir()
    Path("out/manifest.jsonl").write_bytes(b"mine\n")
    with pytest.raises(DrfuseError, match="is no manifest"):
        batch("resume")
    assert Path("out/manifest.jsonl").read_bytes() == b"mine\n"


def test_resuming_leaves_out_pairs_that_are_gone(batch: Batch) -> None:
    batch()
    for folder in ("ir", "vis"):
        os.unlink(f"set/{folder}/2.png")
    assert batch("resume").done == 4
    assert "2" not in [document["name"] for document in lines(Path("out"))]


def test_what_exists_can_be_skipped(batch: Batch) -> None:
    Path("out").mkdir()
    Path("out/2.png").write_bytes(b"mine")
    found = batch("skip")
    assert (found.done, found.skipped, found.pairs) == (4, 1, 5)
    assert Path("out/2.png").read_bytes() == b"mine"
    again = batch("skip", steps=2)  # whatever made it
    assert (again.done, again.skipped) == (0, 5)
    assert len(lines(Path("out"))) == 4


def test_overwriting_forgets_what_was_there(batch: Batch, undisturbed: dict[str, Any]) -> None:
    batch(steps=2)
    Path("out/manifest.1-of-2.jsonl").write_bytes(Path("out/manifest.jsonl").read_bytes())
    batch("overwrite")
    assert tree(Path("out")) == undisturbed


def test_while_a_run_goes_on_there_is_no_summary(batch: Batch) -> None:
    batch()
    seen: list[bool] = []
    batch("overwrite", tell=lambda outcome: seen.append(Path("out/summary.json").exists()))
    assert seen == [False] * 5


# ---- shards -----------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [("1/3", "2/3", "3/3"), ("3/3", "1/3", "2/3")])
def test_shards_leave_what_one_run_leaves(
    batch: Batch, undisturbed: dict[str, Any], order: tuple[str, ...]
) -> None:
    for shard in order[:-1]:
        batch(plan=batch.plan(shard))
    assert not Path("out/manifest.jsonl").exists()
    assert len(journals(Path("out"))) == 2
    batch(plan=batch.plan(order[-1]))
    assert tree(Path("out")) == undisturbed


def test_a_shard_is_resumed(batch: Batch, undisturbed: dict[str, Any]) -> None:
    for shard in ("1/2", "2/2"):
        stop = Stop()
        batch(
            plan=batch.plan(shard),
            stop=stop,
            tell=lambda _, stop=stop: setattr(stop, "asked", True),
        )
    for shard in ("2/2", "1/2"):
        batch("resume", plan=batch.plan(shard))
    assert tree(Path("out")) == undisturbed
    batch("resume", plan=batch.plan("2/2"))
    assert tree(Path("out")) == undisturbed


def test_a_run_of_the_whole_set_takes_over_from_shards(
    batch: Batch, undisturbed: dict[str, Any]
) -> None:
    batch(plan=batch.plan("2/3"))
    batch("resume")
    assert tree(Path("out")) == undisturbed


def test_a_shard_at_work_keeps_its_journal(batch: Batch) -> None:
    batch()
    os.rename("out", "done")
    batch(plan=batch.plan("1/2"))
    # The other shard has written all its lines, and has still to close its journal.
    data = Path("done/manifest.jsonl").read_bytes()
    Path("out/manifest.2-of-2.jsonl").write_bytes(data)
    batch("resume", plan=batch.plan("1/2"))
    assert Path("out/manifest.2-of-2.jsonl").read_bytes() == data
    assert not Path("out/manifest.jsonl").exists()


def test_failures_in_shards_reach_the_summary(batch: Batch) -> None:
    spoil()
    for shard in ("1/2", "2/2"):
        batch(plan=batch.plan(shard))
    assert [one["name"] for one in summary(Path("out"))["failures"]] == ["2", "night/1"]
    assert summary(Path("out"))["done"] == 3


def test_shards_of_other_settings_are_not_joined(batch: Batch) -> None:
    batch(plan=batch.plan("1/2"), steps=2)
    batch(plan=batch.plan("2/2"))
    assert not Path("out/manifest.jsonl").exists()
    assert json.loads(Path("out/summary.2-of-2.json").read_bytes())["shard"] == "2/2"
