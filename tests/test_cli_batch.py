"""`drfuse batch`: its flags, what it says and returns, and signals at any moment."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from batch_support import lines, make_pairs, summary, tree
from cli_support import Cli

from drfuse_cli.cli.app import run
from drfuse_cli.engine import Engine
from drfuse_cli.imageio import read_image

REPO = Path(__file__).resolve().parents[1]
NAMES = ("1", "2", "10", "night/1", "night/2", "night/3")


@pytest.fixture
def batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_weights: Path) -> list[str]:
    """The command, in a folder with pairs in ``set``."""
    monkeypatch.chdir(tmp_path)
    make_pairs(Path("set"), *NAMES)
    return [
        "batch", "set", "-o", "out", "--degrade", "noise", "--weights", str(small_weights),
        "--device", "cpu", "--workers", "2",
    ]  # fmt: skip


def disturb(monkeypatch: pytest.MonkeyPatch, call: int, what: Callable[[], object]) -> None:
    """Something happens in the network, from the given call on."""
    run_network, calls = Engine.run, 0

    def disturbed(self: Engine, *given: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls >= call:
            what()
        return run_network(self, *given)

    monkeypatch.setattr(Engine, "run", disturbed)


# ---- what it says -------------------------------------------------------------------------------


def test_a_folder_becomes_a_folder(drfuse: Cli, batch: list[str]) -> None:
    done = drfuse(*batch)
    assert done.text == "out\n"
    assert "6 done, 0 failed, 0 skipped of 6 in " in done.err
    assert [document["name"] for document in lines(Path("out"))] == list(NAMES)
    assert read_image("out/night/3.png").width == 24


def test_the_same_pixels_as_fuse(drfuse: Cli, batch: list[str]) -> None:
    drfuse(*batch)
    flags = batch[4:-2]
    drfuse("fuse", "set/ir/1.png", "set/vis/1.png", "-o", "one.png", *flags)
    assert Path("one.png").read_bytes() == Path("out/1.png").read_bytes()
    single = json.loads(Path("one.png.json").read_bytes())
    several = lines(Path("out"))[0]
    for document in (single, several):
        del document["seconds"], document["output"]
    assert single == {key: several[key] for key in single}


def test_json_is_the_summary(drfuse: Cli, batch: list[str]) -> None:
    done = drfuse(*batch, "--json")
    assert json.loads(done.out) == summary(Path("out"))


def test_sources_and_explanations(drfuse: Cli, batch: list[str]) -> None:
    drfuse(*batch, "--save-sources", "s", "--explain", "e", "--steps", "1")
    assert read_image("s/source2/night/1.png").colour
    assert len(os.listdir("e/night/1")) == 7
    line = lines(Path("out"))[3]
    assert [entry["path"] for entry in line["sources"]] == [
        "s/source1/night/1.png", "s/source2/night/1.png",
    ]  # fmt: skip
    assert len(line["explain"]) == 7
    drfuse(*batch, "--save-sources", "s", "--explain", "e", "--steps", "1", "--resume")


def test_failures_are_named_and_counted(drfuse: Cli, batch: list[str]) -> None:
    Path("set/ir/2.png").write_bytes(b"")
    done = drfuse(*batch, code=1)
    assert "warning: 2 failed: set/ir/2.png: is empty" in done.err
    assert "error: 1 of 6 pairs failed\n" in done.err
    assert summary(Path("out"))["done"] == 5
    assert json.loads(drfuse(*batch, "--overwrite", "--json", code=1).out)["failed"] == 1


def test_doubts_are_counted(drfuse: Cli, batch: list[str]) -> None:
    Path("set/ir/2.png").write_bytes(Path("set/vis/2.png").read_bytes())
    assert "1 of 6 pairs have warnings; see manifest.jsonl" in drfuse(*batch).err
    assert lines(Path("out"))[1]["warnings"] == ["both sources are the same file"]


def test_fail_fast(drfuse: Cli, batch: list[str]) -> None:
    for name in ("1", "night/3"):
        Path(f"set/ir/{name}.png").write_bytes(b"")
    done = drfuse(*batch, "--fail-fast", code=1)
    assert "error: 1 of 6 pairs failed" in done.err
    assert summary(Path("out"))["done"] < 5


def test_nothing_is_touched_by_a_dry_run(drfuse: Cli, batch: list[str]) -> None:
    before = {path: path.stat().st_mtime_ns for path in Path().rglob("*")}
    done = drfuse(*batch, "--dry-run")
    assert (
        done.text.splitlines()[3] == "set/ir/night/1.png + set/vis/night/1.png -> out/night/1.png"
    )
    assert "6 pairs to fuse, 0 left out; nothing was written" in done.err
    plan = json.loads(drfuse(*batch, "--dry-run", "--json", "--shard", "2/4").out)
    assert [pair["name"] for pair in plan["pairs"]] == ["2", "night/3"]
    assert {path: path.stat().st_mtime_ns for path in Path().rglob("*")} == before
    drfuse(*batch)
    os.unlink("out/10.png")
    done = drfuse(*batch, "--dry-run", "--resume")
    assert "1 pair to fuse, 5 left out" in done.err
    assert not Path("out/10.png").exists()


def test_pairs_from_a_table(drfuse: Cli, batch: list[str]) -> None:
    Path("set/p.csv").write_text("source1,source2,name\nir/1.png,vis/1.png,x/y\n")
    drfuse("batch", "--pairs", "set/p.csv", *batch[2:])
    assert Path("out/x/y.png").exists()
    drfuse("batch", "set", "--pairs", "set/p.csv", *batch[2:], "--overwrite")
    assert len(lines(Path("out"))) == 1


def test_shards(drfuse: Cli, batch: list[str]) -> None:
    drfuse(*batch)
    whole = tree(Path("out"))
    os.rename("out", "whole")
    for part in ("2/2", "1/2"):
        drfuse(*batch, "--shard", part)
    assert tree(Path("out")) == whole


# ---- what it refuses before the work ------------------------------------------------------------


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--resume", "--overwrite"), "--resume and --overwrite contradict"),
        (("--skip-existing", "--resume"), "--resume and --skip-existing contradict"),
        (("--shard", "3/2"), "--shard is '3/2'"),
        (("--batch-size", "0"), "--batch-size is '0'"),
        (("--batch-size", "many"), "--batch-size is 'many'"),
        (("--workers", "0"), "--workers"),
        (("--method", "refuse"), "--method"),
        (("--psf", "missing.npy"), "missing.npy"),
        (("--noise-std", "x"), "--noise-std"),
        (("--pairs", "missing.csv"), "missing.csv: no such file"),
        (("--task", "medical"), "no medical pairs found"),
        (("-o", "set/ir"), "the folder of source 1"),
        (("-o", "set/ir/1.png"), "a file stands where a folder is needed"),
    ],
    ids=" ".join,
)
def test_wrong_flags(drfuse: Cli, batch: list[str], flags: tuple[str, ...], said: str) -> None:
    before = tree(Path())
    assert said in drfuse(*batch, *flags, code=2).err
    assert tree(Path()) == before


@pytest.mark.parametrize(
    "taken", ["night/2.png", "manifest.jsonl", "summary.json", "s/source1/1.png"]
)
def test_existing_outputs(drfuse: Cli, batch: list[str], taken: str) -> None:
    path = Path("out", taken)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"mine")
    done = drfuse(*batch, "--save-sources", "out/s", code=2)
    assert taken in done.err
    assert "--resume" in done.err
    assert path.read_bytes() == b"mine"
    drfuse(*batch, "--save-sources", "out/s", "--overwrite")
    assert path.read_bytes() != b"mine"


def test_manifests_of_shards_are_not_overrun(drfuse: Cli, batch: list[str]) -> None:
    drfuse(*batch, "--shard", "1/2")
    for path in Path("out").rglob("*.png"):
        path.unlink()
    assert "manifest.1-of-2.jsonl: already exists" in drfuse(*batch, code=2).err


def test_names_that_collide(drfuse: Cli, batch: list[str]) -> None:
    table = "source1,source2,name\nir/1.png,vis/1.png,x\nir/2.png,vis/2.png,x.png/y\n"
    Path("set/p.csv").write_text(table)
    assert "one output and the folder of another" in drfuse(
        "batch", "--pairs", "set/p.csv", *batch[2:], code=2
    ).err  # fmt: skip
    make_pairs(Path("set"), "source1/1")
    done = drfuse(*batch, "--save-sources", "out", code=2)
    assert "two outputs would have this name" in done.err


def test_a_folder_that_cannot_be_written(
    drfuse: Cli, batch: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(dir: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    assert "nothing can be written" in drfuse(*batch, code=4).err


def test_a_disk_that_is_full(
    drfuse: Cli, batch: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("drfuse_cli.cli.batch_folder.free_space", lambda folder: 0)
    assert "the disk is full" in drfuse(*batch, code=4).err
    monkeypatch.setattr("drfuse_cli.cli.batch_folder.free_space", lambda folder: 10)
    assert "0 MiB are free" in drfuse(*batch).err


def test_a_disk_that_becomes_full(
    drfuse: Cli, batch: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(handle: int) -> None:
        raise OSError(28, os.strerror(28))

    disturb(monkeypatch, 3, lambda: monkeypatch.setattr("drfuse_cli.imageio.files.os.fsync", full))
    done = drfuse(*batch, code=4)
    assert "the disk is full" in done.err
    assert done.out == b""


# ---- signals ------------------------------------------------------------------------------------


def test_one_interrupt_finishes_what_has_begun(
    drfuse: Cli, batch: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    drfuse(*batch)
    whole = tree(Path("out"))
    os.rename("out", "whole")
    with monkeypatch.context() as patched:
        disturb(patched, 3, lambda: signal.raise_signal(signal.SIGINT))
        before = signal.getsignal(signal.SIGINT)
        done = drfuse(*batch, "--json", code=130)
        assert signal.getsignal(signal.SIGINT) is before
    assert "Ctrl-C again stops at once" in done.err
    assert done.err.endswith("error: interrupted\n")
    assert json.loads(done.out) == summary(Path("out"))
    assert summary(Path("out"))["done"] == 3
    assert [document["name"] for document in lines(Path("out"))] == ["1", "2", "10"]
    drfuse(*batch, "--resume")
    assert tree(Path("out")) == whole


@pytest.mark.parametrize(
    ("send", "code"),
    [
        (lambda: [signal.raise_signal(signal.SIGINT) for _ in range(2)], 130),
        (lambda: signal.raise_signal(signal.SIGTERM), 143),
    ],
    ids=["two interrupts", "SIGTERM"],
)
def test_stopping_at_once(
    drfuse: Cli,
    batch: list[str],
    monkeypatch: pytest.MonkeyPatch,
    send: Callable[[], object],
    code: int,
) -> None:
    with monkeypatch.context() as patched:
        disturb(patched, 3, send)
        drfuse(*batch, code=code)
    found = tree(Path("out"))
    assert not [name for name in found if name.endswith(".tmp")]
    assert summary(Path("out"))["done"] == len(lines(Path("out"))) <= 2
    drfuse(*batch, "--resume")
    assert summary(Path("out"))["done"] == 6


def test_a_late_interrupt_shows_no_traceback() -> None:
    late = (
        "import atexit, signal, sys; from drfuse_cli.cli.app import main; "
        "atexit.register(signal.raise_signal, signal.SIGINT); "
        "sys.argv = ['drfuse', '--version']; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", late],
        capture_output=True,
        env={**os.environ, "PYTHONPATH": str(REPO)},
    )
    assert (done.returncode, done.stderr) == (-signal.SIGINT, b"")


# A run that hangs while it puts the fourth image in place.
HANGING = """
import os, sys, time

replace, calls = os.replace, 0

def hang(source, target):
    global calls
    calls += str(target).endswith(".png")
    if calls == 4:
        print("here", flush=True)
        time.sleep(600)
    replace(source, target)

os.replace = hang
from drfuse_cli.cli.app import main
main()
"""


def test_killed_and_resumed(drfuse: Cli, batch: list[str], tmp_path: Path) -> None:
    drfuse(*batch)
    whole = tree(Path("out"))
    os.rename("out", "whole")
    batch[batch.index("--workers") + 1] = "1"
    with subprocess.Popen(
        [sys.executable, "-c", HANGING, *batch],
        stdout=subprocess.PIPE, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(REPO)},
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == b"here\n"
        process.kill()
    killed = tree(Path("out"))
    assert any(name.endswith(".tmp") for name in killed)
    assert len(killed["manifest.jsonl"]) == 3
    assert "summary.json" not in killed
    with Path("out/manifest.jsonl").open("ab") as stream:
        stream.write(b'{"name": "night/1", "sch')  # killed while it wrote this
    assert run([*batch, "--resume"]) == 0
    assert tree(Path("out")) == whole
