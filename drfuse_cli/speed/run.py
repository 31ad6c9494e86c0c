"""Every setting in turn, on pairs that are rendered for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from drfuse_cli.batch.recipe import Recipe
from drfuse_cli.config import FuseOptions, Task, preset
from drfuse_cli.degradations import Mode, Overrides
from drfuse_cli.engine import Engine
from drfuse_cli.imageio import write_image
from drfuse_cli.operators.simulate import degrade_image, generator
from drfuse_cli.scenes import render
from drfuse_cli.sources import Assumptions
from drfuse_cli.speed.ceiling import ceiling, network_multiply_adds
from drfuse_cli.speed.measure import Measured, measure
from drfuse_cli.weights import LoadedWeights

Size = tuple[int, int]
"""Width and height."""

_SCENES: dict[Task, str] = {"ivif": "street-day", "medical": "mri-pet", "multifocus": "street-day"}
_SEED = 2026


@dataclass(frozen=True)
class Plan:
    """What to measure: every combination of sizes, batch sizes and precisions."""

    options: FuseOptions
    degrade: Mode
    sizes: Sequence[Size]
    batches: Sequence[int | None]
    precisions: Sequence[Any]
    workers: int
    seconds: float

    def __len__(self) -> int:
        return len(self.sizes) * len(self.batches) * len(self.precisions)


@dataclass(frozen=True)
class Row:
    """One combination and what it gave; ``ceiling`` in multiply-adds a second."""

    width: int
    height: int
    device: str
    precision: str
    threads: int
    measured: Measured
    multiply_adds: int
    ceiling: float

    @property
    def share(self) -> float:
        """Of the ceiling: what the network computes while pairs go from file to file."""
        return self.multiply_adds * self.measured.pairs_per_second / self.ceiling

    def document(self) -> dict[str, Any]:
        """Ready for JSON."""
        found = asdict(self)
        return {**found, **found.pop("measured"), "share_of_ceiling": self.share}


def measure_all(weights: LoadedWeights, plan: Plan, folder: Path) -> Iterator[Row]:
    """Measure one combination after another, with files in ``folder``.

    Raises ``DrfuseError`` where a scene cannot be drawn at a size, or a pair fails.
    """
    pairs = {size: render_pair(plan.options.task, size, folder) for size in plan.sizes}
    for precision in plan.precisions:
        options = replace(plan.options, precision=precision)
        engine = Engine(weights, options)
        told = Assumptions(options.task, plan.degrade, Overrides(), register="auto")
        recipe = Recipe(told, options, weights, str(engine.device), engine.precision)
        most = ceiling(engine.device, engine.precision, engine.cores)
        for size in plan.sizes:
            work = network_multiply_adds(engine.model.arch, size[1], size[0], options.steps)
            for batch in plan.batches:
                measured = measure(
                    engine, recipe, pairs[size], folder,
                    batch=batch, workers=plan.workers, seconds=plan.seconds,
                )  # fmt: skip
                yield Row(
                    *size,
                    _name(engine.device),
                    engine.precision,
                    engine.cores,
                    measured,
                    work,
                    most,
                )


def render_pair(task: Task, size: Size, folder: Path, seed: int = 0) -> tuple[Path, Path]:
    """Files of a rendered pair with the noise of the published preset."""
    clean = render(_SCENES[task], *size, seed)
    name = f"{size[0]}x{size[1]}-{seed}"
    files = folder / f"{name}-1.png", folder / f"{name}-2.png"
    for number in (0, 1):
        rng = generator(_SEED, name, str(number))
        write_image(files[number], degrade_image(clean[number], preset(task, "noise")[number], rng))
    return files


def _name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)
