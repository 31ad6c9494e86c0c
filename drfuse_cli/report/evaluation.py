"""The reports of an evaluation: JSON as scripts read it, CSV, a LaTeX table, and the page."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drfuse_cli import __version__
from drfuse_cli.evaluation.results import (
    Evaluation,
    MethodScores,
    PairScores,
    Restoration,
)
from drfuse_cli.imageio import write_bytes
from drfuse_cli.metrics import Metric
from drfuse_cli.report.sidecar import method_document, operator_document

if TYPE_CHECKING:
    from drfuse_cli.config import FuseOptions
    from drfuse_cli.evaluation.run import Plan
    from drfuse_cli.report.viewer import Picture
    from drfuse_cli.weights import LoadedWeights

SCHEMA = "drfuse.eval/1"
DOCUMENT, TABLE, LATEX, PAGE = "report.json", "report.csv", "report.tex", "report.html"
FILES = (TABLE, LATEX, PAGE, DOCUMENT)
IMAGES = "images"

PSNR = ("PSNR_1", "PSNR_2")
ARROWS = {"higher": "↑", "lower": "↓", "zero": "→0"}
_WIDE = 8
"""Metrics that stand side by side; more of them stand below each other."""


def write_reports(evaluation: Evaluation, folder: Path) -> None:
    """Write every report; ``report.json`` last, so that where it stands, the rest does too.

    Raises ``DrfuseError`` where something cannot be written.
    """
    from drfuse_cli.report.viewer import write_viewer

    write_bytes(folder / TABLE, csv_table(evaluation).encode("utf-8", "backslashreplace"))
    write_bytes(folder / LATEX, latex_table(evaluation).encode("utf-8", "backslashreplace"))
    write_viewer(evaluation, pictures(evaluation, folder / IMAGES), folder / PAGE)
    text = json.dumps(evaluation_document(evaluation), indent=2, allow_nan=False)
    write_bytes(folder / DOCUMENT, text.encode() + b"\n")


def pictures(evaluation: Evaluation, images: Path) -> list[Picture]:
    """The images that an evaluation left under a folder."""
    from drfuse_cli.report.viewer import Picture

    sources = ("source1", "source2", "degraded1", "degraded2")
    methods = (method.name for method in evaluation.methods)
    found = (
        Picture(name, pair, images / name / f"{pair}.png")
        for name in (*sources, *methods)
        for pair in evaluation.pairs
    )
    return [picture for picture in found if picture.path.is_file()]


def gaps(evaluation: Evaluation) -> Iterator[str]:
    """What a mean leaves out: a line for every metric that some pairs of a method have not."""
    total = len(evaluation.pairs)
    for metric in evaluation.metrics:
        alike: dict[tuple[int, str], list[str]] = {}
        for method in evaluation.methods:
            scores = [pair.scores[metric.id] for pair in method.pairs if metric.id in pair.scores]
            missing = total - sum(score.value is not None for score in scores)
            reasons = [score.reason or "" for score in scores if score.value is None]
            if missing:
                why = (reasons or ["the pair failed"])[0]
                alike.setdefault((missing, why), []).append(method.name)
        for (missing, why), names in alike.items():
            kept = "no mean" if missing == total else "the mean is over the others"
            yield (
                f"{metric.id} of {', '.join(names)} has no value for {missing} of {total} pairs "
                f"({why}): {kept}"
            )


# ---- JSON -------------------------------------------------------------------------------------


def run_settings(plan: Plan, weights: LoadedWeights | None, options: FuseOptions) -> dict[str, Any]:
    """What it takes to do the same again, ready for JSON; the data set and the metrics apart."""
    settings: dict[str, Any] = {
        "version": __version__,
        "operators": [operator_document(d) for d in plan.setting.degradations],
        "seed": plan.setting.seed,
        "metrics_device": plan.setting.metrics_device or "cpu",
    }
    if weights is not None:
        settings |= method_document(options, weights, options.device, options.precision)
    return settings


def evaluation_document(evaluation: Evaluation) -> dict[str, Any]:
    """The document ``drfuse.eval/1``; what is undefined is null with a reason, never a number."""
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "task": evaluation.task,
        "degrade": evaluation.degrade,
        "dataset": {"path": evaluation.dataset, "pairs": len(evaluation.pairs)},
        **evaluation.settings,
        "metrics": {metric.id: _metric(metric) for metric in evaluation.metrics},
        "methods": [_method(method, evaluation.metrics) for method in evaluation.methods],
    }
    if evaluation.restorations:
        document["restoration"] = [_restoration(found) for found in evaluation.restorations]
    if evaluation.gates:
        document["gates"] = [asdict(verdict) for verdict in evaluation.gates]
    document["warnings"] = list(evaluation.warnings)
    document["failures"] = [asdict(failure) for failure in evaluation.failures]
    return document


def _metric(metric: Metric) -> dict[str, Any]:
    return {
        "title": metric.title,
        "better": metric.better,
        "range": list(metric.range),
        "source": metric.source,
    }


def _method(method: MethodScores, metrics: tuple[Metric, ...]) -> dict[str, Any]:
    seconds = method.seconds_per_pair
    return {
        "name": method.name,
        "mean": {metric.id: method.mean(metric.id) for metric in metrics},
        "std": {metric.id: method.std(metric.id) for metric in metrics},
        "seconds_per_pair": None if seconds is None else round(seconds, 4),
        "pairs": [_pair(pair) for pair in method.pairs],
    }


def _pair(pair: PairScores) -> dict[str, Any]:
    reasons = {name: score.reason for name, score in pair.scores.items() if score.value is None}
    values = {name: score.value for name, score in pair.scores.items()}
    return {"name": pair.name, **values, **({"null_reason": reasons} if reasons else {})}


def _restoration(restoration: Restoration) -> dict[str, Any]:
    return {
        "name": restoration.name,
        "mean": {name: restoration.mean(source) for source, name in enumerate(PSNR, 1)},
        "pairs": [
            {"name": pair, **dict(zip(PSNR, values, strict=True))}
            for pair, values in restoration.pairs.items()
        ],
    }


# ---- CSV --------------------------------------------------------------------------------------


def csv_table(evaluation: Evaluation) -> str:
    """One row for every method and pair, then the means and standard deviations.

    The first column says which it is. Where sources were restored, the last columns are the
    luma PSNR of the sources as they were given to the method, and as it fused them.
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    ids = [metric.id for metric in evaluation.metrics]
    restored = [f"degraded_{name}" for name in PSNR] + [*PSNR] if evaluation.restorations else []
    writer.writerow(["row", "method", "pair", *ids, *restored])
    for row in (*_pair_rows(evaluation), *_mean_rows(evaluation)):
        writer.writerow([harmless(cell) for cell in row])
    return stream.getvalue()


def harmless(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula; numbers stay as they are."""
    if not cell.startswith(("=", "+", "-", "@", "\t", "\r")):
        return cell
    try:
        float(cell)
    except ValueError:
        return f"'{cell}"
    return cell


def _pair_rows(evaluation: Evaluation) -> Iterator[list[str]]:
    for method in evaluation.methods:
        sources = _restorations_of(method.name, evaluation)
        for pair in method.pairs:
            scores = [pair.scores[metric.id].value for metric in evaluation.metrics]
            psnr = [value for found in sources for value in _of_pair(found, pair.name)]
            yield ["pair", method.name, pair.name, *map(_exact, (*scores, *psnr))]


def _mean_rows(evaluation: Evaluation) -> Iterator[list[str]]:
    for method in evaluation.methods:
        sources = _restorations_of(method.name, evaluation)
        means = [method.mean(metric.id) for metric in evaluation.metrics]
        psnr = [found.mean(i) if found else None for found in sources for i in (1, 2)]
        yield ["mean", method.name, "", *map(_exact, (*means, *psnr))]
    for method in evaluation.methods:
        spread = [method.std(metric.id) for metric in evaluation.metrics]
        nothing = [""] * 2 * len(_restorations_of(method.name, evaluation))
        yield ["std", method.name, "", *map(_exact, spread), *nothing]


def _restorations_of(method: str, evaluation: Evaluation) -> list[Restoration | None]:
    """The sources given to a method, and as it fused them: where drfuse ran it."""
    if not evaluation.restorations:
        return []
    by_name = {found.name: found for found in evaluation.restorations}
    front = method if method in by_name else method.rpartition("+")[0]
    return [by_name.get("degraded"), by_name[front]] if front in by_name else [None, None]


def _of_pair(restoration: Restoration | None, pair: str) -> tuple[float | None, float | None]:
    return (None, None) if restoration is None else restoration.pairs.get(pair, (None, None))


def _exact(value: float | None) -> str:
    return "" if value is None else repr(value)


# ---- tables for reading -----------------------------------------------------------------------


@dataclass(frozen=True)
class Cell:
    """A figure as text, and its place among the methods: 1 is the best."""

    text: str
    place: int | None = None


@dataclass(frozen=True)
class Grid:
    """A table: a label and cells a row; ``columns`` begins with the heading of the labels."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]


def score_grid(evaluation: Evaluation) -> Grid:
    """Means by method and metric, with an arrow for the better direction.

    Many metrics stand below each other, a column for every method.
    """
    metrics, methods = evaluation.metrics, evaluation.methods
    columns = [_column(evaluation, metric) for metric in metrics]
    labels = [f"{metric.id} {ARROWS[metric.better]}" for metric in metrics]
    names = [method.name for method in methods]
    if len(metrics) <= _WIDE:
        cells = zip(*columns, strict=True)
        return Grid(("method", *labels), tuple(zip(names, cells, strict=True)))
    return Grid(("metric", *names), tuple(zip(labels, columns, strict=True)))


def _column(evaluation: Evaluation, metric: Metric) -> tuple[Cell, ...]:
    """The means of a metric over the methods; places only where there is a choice."""
    means = {method.name: method.mean(metric.id) for method in evaluation.methods}
    largest = max((abs(mean) for mean in means.values() if mean is not None), default=0.0)
    places: Mapping[str, int] = evaluation.ranks(metric) if len(means) > 1 else {}
    digits = 4 if largest < 10 else 2
    return tuple(
        Cell("-" if mean is None else f"{mean:.{digits}f}", places.get(name))
        for name, mean in means.items()
    )


def restoration_grid(evaluation: Evaluation) -> Grid:
    """Mean luma PSNR of both sources, by what made them."""
    rows = [
        (found.name, tuple(Cell(_decibel(found.mean(source))) for source in (1, 2)))
        for found in evaluation.restorations
    ]
    return Grid(("sources", *PSNR), tuple(rows))


def _decibel(value: float | None) -> str:
    return "equal" if value is None else f"{value:.2f}"


# ---- LaTeX ------------------------------------------------------------------------------------


def latex_table(evaluation: Evaluation) -> str:
    """A table in the manner of papers: best bold, second underlined."""
    grid = score_grid(evaluation)
    head = " & ".join(map(_latex, grid.columns))
    rows = [" & ".join([_latex(label), *map(_latex_cell, cells)]) for label, cells in grid.rows]
    what = f"{evaluation.task}, {evaluation.degrade or 'fused images as given'}"
    caption = f"Mean over {len(evaluation.pairs)} pairs of {evaluation.dataset} ({what})."
    lines = [
        r"% \usepackage{booktabs}",
        r"\begin{table}",
        r"  \centering",
        rf"  \caption{{{_latex(caption)}}}",
        rf"  \begin{{tabular}}{{l{'r' * (len(grid.columns) - 1)}}}",
        r"    \toprule",
        rf"    {head} \\",
        r"    \midrule",
        *(rf"    {row} \\" for row in rows),
        r"    \bottomrule",
        r"  \end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


_SPECIAL = {
    **{c: f"\\{c}" for c in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "→": r"$\rightarrow$",
}


def _latex(text: str) -> str:
    return "".join(_SPECIAL.get(c, c if c.isprintable() else "?") for c in text)


def _latex_cell(cell: Cell) -> str:
    return {1: rf"\textbf{{{cell.text}}}", 2: rf"\underline{{{cell.text}}}"}.get(
        cell.place or 0, cell.text
    )
