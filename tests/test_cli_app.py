"""The funnel: exit codes, messages, signals; and the command surface, frozen."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from cli_support import Cli, FakeEngine, noise, save, use_fake_engine

from drfuse_cli import __version__
from drfuse_cli.cli import app as app_module
from drfuse_cli.cli.app import app
from drfuse_cli.errors import DrfuseError, ExitCode

REPO = Path(__file__).resolve().parents[1]

DEGRADATION = "--degrade --noise-std --blur-sigma --psf --sr-scale"
SURFACE = {
    "fuse": "source1 source2 --output -o --task --profile --degrade --noise-std --blur-sigma "
    "--cap-blur --psf --sr-scale --register --crop "
    "--motion --agc --destripe --fit --method "
    "--weights --steps --no-correction --correction --self-ensemble --restore-first --device "
    "--precision --tile --seed --overwrite --json --save-sources --explain --no-sidecar --window "
    "--slice --axis --colormap --ignore-geometry",
    "batch": "root second --output -o --task --profile --pairs --allow-unpaired --degrade "
    "--noise-std --blur-sigma --cap-blur --psf --sr-scale "
    "--register --crop --motion --agc --destripe --fit --method --weights --steps --no-correction "
    "--correction --self-ensemble --restore-first --device --precision --tile --seed --batch-size "
    "--workers --shard --engine --ray-address --fail-fast --dry-run "
    "--resume --skip-existing --overwrite --json --save-sources --explain --no-sidecar "
    "--sequence --codec",
    "degrade": f"clean --output -o --task --profile {DEGRADATION} --kind --seed --clean-out "
    "--allow-unpaired --overwrite --json",
    "eval": "dataset --output -o --task --profile --fused --against --metrics "
    "--metrics-device --gate "
    f"{DEGRADATION} --method --weights --steps --no-correction --correction --self-ensemble "
    "--restore-first --device --precision --tile --seed --workers --limit --allow-unpaired "
    "--overwrite --resume --json",
    "demo": "--output -o --device --overwrite --json",
    "train": "data --output -o --task --method --balance --photographs --self-distil "
    "--denoiser-blocks --aim --steps --minutes --batch-size --draws --crop --lr --seed --device "
    "--precision --width --middle --init --freeze-encoder --steps-only --fusion-only "
    "--denoiser-only --resume --val --val-every --checkpoint-every --run-dir --correction --stage "
    "--size --regularisation --restore-first --image-loss --threads --overwrite",
    "inspect": "images --json",
    "calibrate": "root --name --output -o --task --roles --register --crop --agc --destripe --fit "
    "--limit --workers --allow-unpaired --overwrite --json",
    "bench": "--size --batch-size --precision --device --task --degrade --weights --steps --tile "
    "--workers --seconds --json",
    "doctor": "--json",
    "weights list": "--json",
    "weights info": "spec --json",
    "weights verify": "specs --json",
    "weights pull": "spec --json",
}


def commands(command: Any, name: str = "") -> dict[str, str]:
    """Every command with its options, as they are typed."""
    if hasattr(command, "commands"):
        below = (commands(sub, f"{name} {key}") for key, sub in command.commands.items())
        return {key: flags for found in below for key, flags in found.items()}
    flags = [flag for parameter in command.params for flag in parameter.opts]
    return {name.strip(): " ".join(flags)}


def test_the_command_surface() -> None:
    assert commands(typer.main.get_command(app)) == SURFACE


def test_version(drfuse: Cli) -> None:
    assert drfuse("--version").text == f"drfuse {__version__}\n"


@pytest.mark.parametrize("command", ["", *SURFACE, "weights"])
def test_help(drfuse: Cli, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    done = drfuse(*command.split(), "--help")
    assert f"Usage: drfuse {command}".strip() in done.text
    for flag in SURFACE.get(command, "").split():
        if flag.startswith("--") and flag != "--correction":
            assert flag in done.text


def test_no_command_shows_the_help(drfuse: Cli) -> None:
    drfuse.capture.readouterr()
    assert app_module.run([]) == 2
    out, err = drfuse.capture.readouterr()
    assert b"Usage: drfuse" in out + err
    assert b"error" not in err


# ---- exit codes -----------------------------------------------------------------------------


class OutOfMemoryError(RuntimeError):
    """As torch names it."""


FAILURES = [
    (DrfuseError("bad", path="x.png", hint="mend it"), 2, "x.png: bad\n  mend it"),
    (DrfuseError("bad", code=ExitCode.WEIGHTS), 3, "bad"),
    (DrfuseError("bad", code=ExitCode.ENVIRONMENT), 4, "bad"),
    (DrfuseError("bad", code=ExitCode.FAILED), 1, "bad"),
    (MemoryError(), 4, "not enough memory"),
    (OutOfMemoryError("CUDA"), 4, "not enough memory"),
    (RuntimeError("DefaultCPUAllocator: can't allocate memory: 9 bytes"), 4, "not enough memory"),
    (OSError(errno.ENOSPC, "No space left on device", "out.png"), 4, "out.png: No space left"),
    (KeyboardInterrupt(), 130, "interrupted"),
    (ValueError("odd [red]"), 1, "internal error: ValueError: odd [red]\n  Run again with --debug"),
    (OSError(errno.ENOTTY, "odd"), 1, "internal error"),
]


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> type[FakeEngine]:
    monkeypatch.chdir(tmp_path)
    save(Path("a.png"), noise(8, 8))
    save(Path("b.png"), noise(8, 8, seed=1))
    return use_fake_engine(monkeypatch)


FUSE = ("fuse", "a.png", "b.png", "-o", "out.png")


@pytest.mark.parametrize(("failure", "code", "message"), FAILURES)
def test_failures_become_one_message_and_a_code(
    drfuse: Cli, engine: type[FakeEngine], failure: BaseException, code: int, message: str
) -> None:
    engine.failure = failure
    done = drfuse(*FUSE, code=code)
    assert f"error: {message}" in done.err
    assert done.out == b""
    assert sorted(os.listdir()) == ["a.png", "b.png"]


@pytest.mark.parametrize("how", ["before", "after", "environment"])
def test_debug_shows_the_traceback(
    drfuse: Cli, engine: type[FakeEngine], monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    engine.failure = ValueError("odd")
    if how == "environment":
        monkeypatch.setenv("DRFUSE_DEBUG", "1")
    drfuse.capture.readouterr()
    arguments = {"before": ["--debug", *FUSE], "after": [*FUSE, "--debug"]}.get(how, [*FUSE])
    assert app_module.run(arguments) == 1
    err = drfuse.capture.readouterr()[1].decode()
    assert "Traceback (most recent call last)" in err
    assert "in fuse" in err
    assert "ValueError: odd" in err


def test_debug_after_two_dashes_is_a_file(drfuse: Cli, engine: type[FakeEngine]) -> None:
    done = drfuse("fuse", "-o", "out.png", "--", "--debug", "b.png", code=2)
    assert "--debug: no such file" in done.err


def test_the_signal_handler_is_put_back(drfuse: Cli) -> None:
    before = signal.getsignal(signal.SIGTERM)
    drfuse("--version")
    assert signal.getsignal(signal.SIGTERM) is before


# ---- signals and pipes ------------------------------------------------------------------------

# A run that stops at one moment and says so; none of the engine's libraries is loaded.
STOPPING = """
import os, sys, time, types
moment, arguments = sys.argv[1], sys.argv[2:]

def wait(*a, **k):
    sys.stderr.write("here\\n")
    sys.stderr.flush()
    time.sleep(60)

class Weights:
    name = sha256 = "x"
    warnings = ()

class Engine:
    def __init__(self, *a): pass
    def fuse(self, first, second, degradations):
        if moment == "fuse":
            wait()
        residual = types.SimpleNamespace(rms=1.0, expected=1.0)
        return types.SimpleNamespace(
            fused=first, sources=(first, second), residuals=(residual, residual),
            warnings=[], device="cpu", precision="fp32")

sys.modules["drfuse_cli.engine"] = types.SimpleNamespace(Engine=Engine)
import drfuse_cli.weights
drfuse_cli.weights.load_weights = lambda *a: Weights
import drfuse_cli.imageio
if moment == "read":
    drfuse_cli.imageio.read_image = wait
if moment == "write":
    drfuse_cli.imageio.files.os.fsync = wait
sys.argv[1:] = arguments
from drfuse_cli.cli.app import main
main()
"""


@pytest.mark.parametrize("moment", ["read", "fuse", "write"])
@pytest.mark.parametrize(
    ("sent", "code", "word"),
    [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")],
    ids=["SIGINT", "SIGTERM"],
)
def test_a_signal_leaves_nothing_half_written(
    engine: type[FakeEngine],
    tmp_path: Path,
    moment: str,
    sent: signal.Signals,
    code: int,
    word: str,
) -> None:
    command = [sys.executable, "-c", STOPPING, moment, *FUSE, "--degrade", "noise", "--overwrite"]
    (tmp_path / "out.png").write_bytes(b"older")
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(REPO)},
    ) as process:  # fmt: skip
        assert process.stderr is not None
        lines = iter(process.stderr.readline, "")
        assert any(line == "here\n" for line in lines)
        process.send_signal(sent)
        out, err = process.communicate(timeout=30)
    assert process.returncode == code, err
    assert err == f"error: {word}\n"
    assert out == ""
    assert sorted(os.listdir(tmp_path)) == ["a.png", "b.png", "out.png"]
    assert (tmp_path / "out.png").read_bytes() == b"older"


@pytest.mark.parametrize(
    ("closed", "arguments"),
    [("stdout", ["--version"]), ("stdout", ["weights", "--help"]), ("stderr", ["no-command"])],
)
def test_a_reader_that_went_away(closed: str, arguments: list[str]) -> None:
    read, write = os.pipe()
    os.close(read)
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, closed: write}
    done = subprocess.run(
        [sys.executable, "-m", "drfuse_cli", *arguments],
        **streams, cwd=REPO, timeout=30, check=False,
    )  # fmt: skip
    os.close(write)
    assert done.returncode == 1
    assert not done.stdout
    assert not done.stderr


def test_names_survive_a_terminal_without_unicode(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "drfuse_cli", "weights", "verify", "ü.safetensors"],
        capture_output=True, cwd=tmp_path, timeout=30, check=False,
        env={**os.environ, "PYTHONPATH": str(REPO), "PYTHONIOENCODING": "ascii:strict"},
    )  # fmt: skip
    assert done.returncode == 3
    assert done.stdout.startswith(b"\\xfc.safetensors: ")
