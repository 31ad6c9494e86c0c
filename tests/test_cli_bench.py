"""`drfuse bench`: every setting measured, figures that belong together, and what it refuses."""

from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from cli_support import Cli

from drfuse_cli.engine import Engine
from drfuse_cli.models import build_network
from drfuse_cli.networks.fusion_net import Architecture
from drfuse_cli.speed.ceiling import network_multiply_adds
from drfuse_cli.speed.measure import STAGES
from drfuse_cli.weights import save_weights


@pytest.fixture
def bench(small_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return [
        "bench", "--weights", str(small_weights), "--device", "cpu", "--seconds", "0.1",
        "--workers", "1", "--degrade", "noise",
    ]  # fmt: skip


def test_every_setting_is_measured(drfuse: Cli, bench: list[str], tmp_path: Path) -> None:
    sizes, batches = ("--size", "64x64,96x64"), ("--batch-size", "1,2")
    done = drfuse(*bench, *sizes, *batches, "--precision", "fp32", "--json")
    document = json.loads(done.out)
    assert document["schema"] == "drfuse.bench/1"
    rows: list[dict[str, Any]] = document["settings"]
    assert [(row["width"], row["height"], row["batch"]) for row in rows] == [
        (64, 64, 1), (64, 64, 2), (96, 64, 1), (96, 64, 2),
    ]  # fmt: skip
    for row in rows:
        assert tuple(row["stages"]) == STAGES
        assert all(seconds >= 0 for seconds in row["stages"].values())
        assert row["stages"]["network"] > 0
        assert row["pairs"] >= 3 * row["batch"]
        achieved = row["multiply_adds"] * row["pairs_per_second"] / row["ceiling"]
        assert row["share_of_ceiling"] == pytest.approx(achieved)
        assert (row["device"], row["precision"], row["threads"]) == ("cpu", "fp32", 1)
    assert rows[2]["multiply_adds"] == 1.5 * rows[0]["multiply_adds"]
    assert not list(tmp_path.glob("tmp*"))


def test_the_denoiser_has_a_stage_of_its_own(drfuse: Cli, bench: list[str], tmp_path: Path) -> None:
    arch = Architecture(widths=(8, 12, 16), depths=(1, 1, 1), step_blocks=1, denoiser=8).as_dict()
    weights = tmp_path / "denoiser.safetensors"
    save_weights(weights, build_network(arch).state_dict(), arch, "ivif", dtype="fp32")
    call = [*bench, "--size", "64x64", "--json", "--weights", str(weights)]
    noisy, plain = (
        json.loads(drfuse(*call, "--degrade", degrade).out)["settings"][0]["stages"]
        for degrade in ("noise", "blur")
    )
    assert noisy["denoise"] > 0
    assert plain["denoise"] == 0
    assert min(noisy["network"], noisy["operators"]) > 0


def test_a_table_for_people(drfuse: Cli, bench: list[str]) -> None:
    done = drfuse(*bench, "--size", "64x64", "--task", "ivif")
    assert "64x64" in done.text
    assert "network" in done.text
    assert "ceiling of cpu in fp32" in done.err


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--size", "640"), "--size is '640'"),
        (("--size", "640x480,x"), "--size is"),
        (("--size", "32x32"), "cannot be drawn"),
        (("--batch-size", "0"), "--batch-size is '0'"),
        (("--batch-size", "1,"), "--batch-size is '1,'"),
        (("--precision", "fp64"), "--precision is 'fp64'"),
    ],
    ids=" ".join,
)
def test_wrong_flags(drfuse: Cli, bench: list[str], flags: tuple[str, ...], said: str) -> None:
    assert said in drfuse(*bench, *flags, code=2).err


def test_a_pair_that_fails(drfuse: Cli, bench: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    init = Engine.__init__

    def broken(self: Engine, *given: Any) -> None:
        init(self, *given)
        with torch.no_grad():
            self.model.network.noise_head.bias.fill_(float("nan"))

    monkeypatch.setattr(Engine, "__init__", broken)
    assert "not numbers" in drfuse(*bench, "--size", "64x64", code=1).err


def test_multiply_adds_are_those_of_the_convolutions() -> None:
    arch = Architecture(widths=(4, 6, 8), depths=(1, 1, 1), step_blocks=2)
    quarter, half = 32 * 32, 64 * 64  # pixels
    eighth = 16 * 16
    encoder = half * (32 * 4 * 9 + 4 * 4 * 4 * 9) + quarter * (4 * 6 * 4 + 4 * 6 * 6 * 9)
    encoder += eighth * (6 * 8 * 4 + 2 * 8 * 8 * 9 + 8 * 24) + quarter * 6 * 16
    step = half * (40 * 4 * 9 + 4 * 4 * 4 * 9 + 4 * 24 * 9)
    assert network_multiply_adds(arch, 128, 128, 3) == encoder + 3 * step
    decoder = half * (20 * 4 * 9 + 2 * 4 * 4 * 9 + 4 * 8 * 9)
    decoder += quarter * (4 * 6 * 4 + 3 * 2 * 6 * 6 * 9 + 6 * 16)
    grown = replace(arch, decoder=3)
    assert network_multiply_adds(grown, 128, 128, 3) == encoder + 3 * step + decoder
    denoiser = half * (12 * 8 * 9 + 8 * 8 * 8 * 9 + 8 * 4 * 9)
    denoiser += quarter * (8 * 12 * 4 + 8 * 12 * 12 * 9 + 12 * 32)
    denoiser += eighth * (12 * 16 * 4 + 8 * 16 * 16 * 9 + 16 * 48)
    grown = replace(arch, denoiser=8)
    assert network_multiply_adds(grown, 128, 128, 3) == encoder + 3 * step + 2 * denoiser
