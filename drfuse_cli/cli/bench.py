"""``drfuse bench``: pairs a second on this machine, where the time goes, and what is possible."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from drfuse_cli import __version__
from drfuse_cli.cli import console, options
from drfuse_cli.errors import DrfuseError

if TYPE_CHECKING:
    from drfuse_cli.speed.run import Row

SCHEMA = "drfuse.bench/1"

_SIZE = re.compile(r"([0-9]{2,5})x([0-9]{2,5})", re.ASCII)

Sizes = Annotated[
    str, typer.Option("--size", metavar="WxH[,WxH]", help="Sizes of the rendered pairs.")
]
BatchSizes = Annotated[
    str, typer.Option("--batch-size", metavar="auto|N[,N]", help="Pairs at once.")
]
Precisions = Annotated[
    str,
    typer.Option("--precision", metavar="auto|fp32|bf16|fp16[,...]", help="Numbers to compute in."),
]
Seconds = Annotated[float, typer.Option("--seconds", min=0.1, help="For each setting, about.")]
Workers = Annotated[
    int | None,
    typer.Option("--workers", min=1, help="Threads that read, and as many that write."),
]


def bench(
    size: Sizes = "640x480",
    batch_size: BatchSizes = "auto",
    precision: Precisions = "auto",
    device: options.DeviceOption = "auto",
    task: options.TaskOption = "ivif",
    degrade: options.DegradeOption = "auto",
    weights: options.WeightsOption = None,
    steps: options.StepsOption = None,
    tile: options.TileOption = "auto",
    workers: Workers = None,
    seconds: Seconds = 10.0,
    as_json: options.JsonOption = False,
) -> None:
    """Measure how fast this machine fuses, from file to file.

    Example: drfuse bench --size 640x480,1024x768 --batch-size 1,8
    """
    sizes, batches, precisions = _sizes(size), _batches(batch_size), _precisions(precision)
    chosen = options.fuse_options(
        task=task,
        method="drfusion",
        weights=weights,
        steps=steps,
        no_correction=False,
        correction=None,
        device=device,
        precision="auto",
        tile=tile,
        seed=0,
        keep_states=False,
    )
    from drfuse_cli.weights import load_weights

    loaded = load_weights(chosen.weights, chosen.task, chosen.method)
    from drfuse_cli.evaluation.pool import processors
    from drfuse_cli.speed.run import Plan, measure_all

    plan = Plan(chosen, degrade, sizes, batches, precisions, workers or processors(), seconds)
    rows = []
    with (
        tempfile.TemporaryDirectory() as folder,
        console.counting("measuring", len(plan), "settings") as count,
    ):
        for row in measure_all(loaded, plan, Path(folder)):
            rows.append(row)
            count()
    if as_json:
        document = {"schema": SCHEMA, "version": __version__, "task": task, "degrade": degrade}
        console.document({**document, "settings": [row.document() for row in rows]})
    else:
        _show(rows)


# ---- flags ------------------------------------------------------------------------------------


def _sizes(text: str) -> list[tuple[int, int]]:
    matches = [_SIZE.fullmatch(part) for part in text.split(",")]
    found = [(int(match[1]), int(match[2])) for match in matches if match]
    if len(found) < len(matches):
        raise DrfuseError(f"--size is {text!r}", hint="Give width x height: --size 640x480.")
    return found


def _batches(text: str) -> list[int | None]:
    parts = text.split(",")
    if not all(
        part == "auto" or (part.isascii() and part.isdecimal() and int(part)) for part in parts
    ):
        raise DrfuseError(
            f"--batch-size is {text!r}", hint="Use auto, or numbers: --batch-size 1,8."
        )
    return [None if part == "auto" else int(part) for part in parts]


def _precisions(text: str) -> list[str]:
    known = get_args(options.Precision)
    if not set(parts := text.split(",")) <= set(known):
        raise DrfuseError(f"--precision is {text!r}", hint=f"Known: {', '.join(known)}.")
    return parts


# ---- what it found ----------------------------------------------------------------------------


def _show(rows: Sequence[Row]) -> None:
    columns = ("size", "device", "precision", "at once", "pairs/s", "in memory", "processor s/pair")
    console.table(
        "Pairs a second",
        [*columns, "of ceiling"],
        [
            [
                *_setting(row),
                f"{row.measured.pairs_per_second:.3g}",
                f"{row.measured.in_memory:.3g}",
                f"{row.measured.processor_seconds:.3g}",
                f"{row.share:.0%}",
            ]
            for row in rows
        ],
        words=3,
    )
    stages = rows[0].measured.stages
    console.table(
        "Milliseconds a pair by stage",
        ["size", "device", "precision", "at once", *stages],
        [
            [*_setting(row), *(f"{1000 * found:.3g}" for found in row.measured.stages.values())]
            for row in rows
        ],
        words=3,
    )
    for device, precision, most in dict.fromkeys((r.device, r.precision, r.ceiling) for r in rows):
        console.note(f"ceiling of {device} in {precision}: {most / 1e9:.4g} G multiply-adds/s")


def _setting(row: Row) -> list[str]:
    return [f"{row.width}x{row.height}", row.device, row.precision, str(row.measured.batch)]
