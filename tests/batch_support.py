"""Folders of small pairs, and a network that is quick and changes its inputs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from drfuse_cli.imageio import Image, write_image
from drfuse_cli.models import build_network
from drfuse_cli.networks.fusion_net import Architecture
from drfuse_cli.weights import save_weights

SIZE = (20, 24)
"""Height and width."""


def make_weights(path: Path, seed: int = 0) -> Path:
    """A small network with random heads."""
    torch.manual_seed(seed)
    architecture = Architecture(widths=(8, 12, 16), depths=(1, 1, 1), step_blocks=1).as_dict()
    model = build_network(architecture)
    torch.nn.init.normal_(model.network.noise_head.weight, std=0.002)
    torch.nn.init.normal_(model.network.weight_head.weight, std=0.5)
    save_weights(path, model.state_dict(), architecture, "ivif", dtype="fp32")
    return path


def picture(seed: int, size: tuple[int, int] = SIZE, *, colour: bool = False) -> Image:
    """Noise around a scene away from black and white."""
    y, x = np.mgrid[: size[0], : size[1]] / 7.0
    base = 120 + 40 * np.sin(x + seed) * np.cos(0.7 * y)
    planes = np.stack([base, base + 10, base - 10], -1) if colour else base
    noise = np.random.default_rng(seed).normal(0, 6, planes.shape)
    return Image(np.round(planes + noise).clip(0, 255).astype(np.uint8))


def make_pairs(root: Path, *names: str, size: tuple[int, int] = SIZE) -> Path:
    """Pairs in ``ir`` and ``vis`` under ``root``."""
    for i, name in enumerate(names):
        write_image(root / "ir" / f"{name}.png", picture(2 * i, size))
        write_image(root / "vis" / f"{name}.png", picture(2 * i + 1, size, colour=True))
    return root


def tree(root: Path) -> dict[str, Any]:
    """Every file below a folder with its content, timings apart; manifests as lists of lines."""
    return {
        path.relative_to(root).as_posix(): _content(path)
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def _content(path: Path) -> Any:
    data = path.read_bytes()
    if path.suffix == ".jsonl":
        return [_untimed(json.loads(line)) for line in data.splitlines()]
    return _untimed(json.loads(data)) if path.suffix == ".json" else data


def _untimed(document: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in document.items() if k not in {"seconds", "pairs_per_second"}}


def lines(folder: Path, name: str = "manifest.jsonl") -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / name).read_bytes().splitlines()]


def summary(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "summary.json").read_bytes())
    return found
