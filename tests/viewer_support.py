"""Evaluations made up for the tests of ``report.html``: pictures of one colour, known scores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from drfuse_cli.evaluation.results import Evaluation, MethodScores, PairScores
from drfuse_cli.imageio import Image, write_image
from drfuse_cli.metrics import Score, resolve
from drfuse_cli.report.viewer import Picture

INPUTS = ("source1", "source2", "degraded1", "degraded2")
COLOURS = {
    "source1": (40, 40, 40),
    "source2": (200, 30, 30),
    "degraded1": (90, 90, 90),
    "degraded2": (30, 30, 200),
    "drfusion": (30, 160, 30),
}
ValueOf = Callable[[str, str, int], float | None]


def rising(metric: str, method: str, pair: int) -> float:
    """Grows with the pair's index and the length of the method's name."""
    return round(0.1 + 0.001 * pair + 0.01 * len(method), 6)


def made_up(
    pairs: Sequence[str],
    methods: Sequence[str] = ("drfusion", "average"),
    metrics: Sequence[str] = ("Q_G", "MSE"),
    value: ValueOf = rising,
    reason: str = "constant image",
) -> Evaluation:
    """An evaluation with ``value(metric, method, index of the pair)`` everywhere."""

    def score(metric: str, method: str, pair: int) -> Score:
        found = value(metric, method, pair)
        return Score(found, reason if found is None else None)

    return Evaluation(
        task="ivif",
        degrade="composite",
        dataset="scenes",
        metrics=tuple(resolve(metrics)),
        methods=tuple(
            MethodScores(
                method,
                tuple(
                    PairScores(name, {metric: score(metric, method, i) for metric in metrics})
                    for i, name in enumerate(pairs)
                ),
                seconds_per_pair=0.25,
            )
            for method in methods
        ),
        pairs=tuple(pairs),
    )


def flat(colour: tuple[int, int, int], width: int = 48, height: int = 36) -> Image:
    return Image(np.full((height, width, 3), colour, np.uint8))


def painted(
    folder: Path, evaluation: Evaluation, size: tuple[int, int] = (48, 36), shared: bool = False
) -> list[Picture]:
    """One picture of one colour per pair and column, under ``folder/images``.

    Source 1 degraded is a quarter as large. ``shared`` lets all pairs show the same files.
    """
    columns = [*INPUTS, *(method.name for method in evaluation.methods)]
    pictures = []
    for column in columns:
        width, height = (side // 4 if column == "degraded1" else side for side in size)
        for i, pair in enumerate(evaluation.pairs):
            name = "all" if shared else str(i)
            path = folder / "images" / str(columns.index(column)) / f"{name}.png"
            if not path.exists():
                write_image(path, flat(COLOURS.get(column, (160, 160, 0)), width, height))
            pictures.append(Picture(column, pair, path))
    return pictures
