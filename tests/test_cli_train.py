"""`drfuse train`: flags become options, progress becomes lines."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from cli_support import Cli

from drfuse_cli.cli.console import duration
from drfuse_cli.training import TrainOptions, TrainProgress


@pytest.fixture(autouse=True)
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[TrainOptions]:
    """The options that a training run was started with; the run itself only reports."""
    found: list[TrainOptions] = []

    def train(options: TrainOptions, on_progress: Callable[[TrainProgress], None]) -> Path:
        found.append(options)
        on_progress(TrainProgress(0, 9, float("nan"), 0.0, float("nan"), "12 pairs [of all]"))
        on_progress(TrainProgress(1, 9, 0.5, 1.0, 8.0))
        on_progress(TrainProgress(9, 9, 0.25, 7300.0, 0.0, "step 9"))
        options.output.write_bytes(b"weights")
        return options.output

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("drfuse_cli.training.train", train)
    return found


def test_defaults(drfuse: Cli, asked: list[TrainOptions]) -> None:
    drfuse("train", "pairs", "-o", "w.safetensors")
    assert asked == [TrainOptions((Path("pairs"),), "ivif", Path("w.safetensors"))]


def test_every_flag(drfuse: Cli, asked: list[TrainOptions]) -> None:
    drfuse(
        "train", "a", "b", "-o", "w.safetensors", "--task", "medical", "--steps", "9",
        "--minutes", "1.5", "--batch-size", "2", "--crop", "64", "--lr", "2e-4", "--seed", "3",
        "--device", "cpu", "--precision", "bf16", "--width", "16", "--resume", "--val", "v",
        "--middle", "2", "--init", "w", "--freeze-encoder", "--draws", "3", "--fusion-only",
        "--val-every", "4", "--checkpoint-every", "5", "--run-dir", "r", "--correction", "fusion",
        "--steps-only", "--denoiser-only", "--photographs", "p",
        "--self-distil", "0.5", "--denoiser-blocks", "4,4,6",
        "--aim", "Q_P=4.5, Q_CB=1",
    )  # fmt: skip
    assert asked == [
        TrainOptions(
            data=(Path("a"), Path("b")), task="medical", output=Path("w.safetensors"), steps=9,
            minutes=1.5, batch_size=2, crop=64, lr=2e-4, seed=3, device="cpu", precision="bf16",
            width=16, middle=2, init="w", freeze_encoder=True, draws=3, fusion_only=True,
            resume=True, val=Path("v"), val_every=4, checkpoint_every=5, run_dir=Path("r"),
            correction="fusion", steps_only=True, denoiser_only=True,
            photographs=Path("p"), self_distil=0.5, denoiser_blocks=(4, 4, 6),
            aim={"Q_P": 4.5, "Q_CB": 1.0},
        )
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("method", "unused"),
    [("recofuse", ["--width", "--correction"]), ("drfusion", ["--stage", "--image-loss"])],
)
def test_flags_of_the_other_method_are_said_to_be_unused(
    drfuse: Cli, method: str, unused: list[str]
) -> None:
    done = drfuse(
        "train", "pairs", "-o", "w.safetensors", "--method", method, "--width", "16",
        "--correction", "none", "--stage", "coupled", "--image-loss", "0",
    )  # fmt: skip
    warnings = [line for line in done.err.splitlines() if "does not use" in line]
    assert [line.split()[-1] for line in warnings] == unused
    assert all(f"training {method}" in line for line in warnings)


def test_a_line_per_message(drfuse: Cli) -> None:
    done = drfuse("train", "pairs", "-o", "w.safetensors")
    assert done.err.splitlines() == [
        "12 pairs [of all] (0 s, ? left)",
        "step 9 (2 h 02 min, 0 s left)",
    ]
    assert done.text == "w.safetensors\n"


def test_outputs_are_checked_first(drfuse: Cli, asked: list[TrainOptions]) -> None:
    assert ".safetensors" in drfuse("train", "p", "-o", "w.pt", code=2).err
    Path("w.safetensors").write_bytes(b"mine")
    drfuse("train", "p", "-o", "w.safetensors", code=2)
    assert asked == []
    assert Path("w.safetensors").read_bytes() == b"mine"
    drfuse("train", "p", "-o", "w.safetensors", "--resume")
    drfuse("train", "p", "-o", "w.safetensors", "--overwrite")
    assert len(asked) == 2


@pytest.mark.parametrize("flags", [("--steps", "0"), ("--lr", "x"), ("--device", "gpu"),
                                   ("--correction", "all"), ("--crop", "1"),
                                   ("--denoiser-blocks", "4,4"),
                                   ("--denoiser-blocks", "4,0,x"), ("--aim", "Q_P"),
                                   ("--aim", "Q_P=-1"), ("--aim", "=2"),
                                   ("--aim", "Q_P=nan")])  # fmt: skip
def test_wrong_flags(drfuse: Cli, asked: list[TrainOptions], flags: tuple[str, str]) -> None:
    assert flags[0] in drfuse("train", "p", "-o", "w.safetensors", *flags, code=2).err
    assert asked == []


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(float("nan"), "?"), (0, "0 s"), (99.4, "99 s"), (120, "2 min"), (3900, "1 h 05 min")],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text
