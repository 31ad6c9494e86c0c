"""``report.html`` of an evaluation: one page that needs no other file and no network.

What no click changes is written as HTML by `viewer_parts`; the scripts in ``assets`` sort the
table, draw the distributions and show the pictures. Their data go through `_json`. The page's
own policy lets nothing run but its one script, whose hash it names.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any
from urllib.parse import quote

from drfuse_cli import __version__
from drfuse_cli.evaluation.results import Evaluation, MethodScores
from drfuse_cli.imageio import write_bytes
from drfuse_cli.metrics import Score
from drfuse_cli.report import viewer_parts as parts
from drfuse_cli.report.previews import Album, Preview, album

BUDGET = 60_000_000
"""Bytes of embedded pictures."""

SCRIPTS = ("data.js", "table.js", "plots.js", "compare.js", "pairs.js")
# Metrics that tell good fusion from bad on most data; the viewer starts with the first found.
TELLING = ("Q_G", "VIF", "SSIM")


@dataclass(frozen=True)
class Picture:
    """An image file of an evaluation.

    ``method`` is ``source1`` or ``source2`` for the clean sources, ``degraded1`` or
    ``degraded2`` for what the methods were given, otherwise the name of a fusing method.
    """

    method: str
    pair: str
    path: Path


def write_viewer(
    evaluation: Evaluation, pictures: Sequence[Picture], path: Path, budget: int = BUDGET
) -> None:
    """Write the page to ``path``.

    Pictures lie inside as WebP, as fine as ``budget`` bytes allow; where even small ones do
    not all fit, the worst and the best pairs lie inside and the page shows the files of the
    others by their place relative to ``path``. Raises ``DrfuseError`` where the page cannot
    be written; a picture that cannot be read is shown as missing.
    """
    write_bytes(path, page(evaluation, pictures, path.parent, budget).encode())


def page(
    evaluation: Evaluation, pictures: Sequence[Picture], folder: Path, budget: int = BUDGET
) -> str:
    """The page as `write_viewer` writes it, for a file in ``folder``."""
    files = _Files.of(evaluation, pictures)
    shown = album(files.paths, _importance(evaluation, files.pairs), budget)
    style = _asset("viewer.css")
    script = "".join(f"// {name}\n{_asset(name)}" for name in SCRIPTS)
    complete = len(shown.groups) == len(files.pairs)
    methods = parts.count(len(evaluation.methods), "method")
    pairs = parts.count(len(files.pairs), "pair")
    return Template(_asset("viewer.html")).substitute(
        policy=_policy(style, script, complete),
        style=style,
        script=script,
        title=parts.escaped(f"drfuse eval: {evaluation.dataset}"),
        heading=f"{methods} on {pairs}",
        facts=parts.facts(evaluation),
        notes=parts.notes(evaluation),
        table=parts.table(evaluation),
        missing=parts.missing(evaluation),
        restorations=parts.restorations(evaluation),
        settings=parts.settings(evaluation),
        glossary=parts.glossary(evaluation.metrics),
        previews=parts.escaped(_previews(shown, files)),
        version=parts.escaped(__version__),
        data=_json(_data(evaluation, files, shown, folder)),
        pictures="".join(_blocks(shown)),
    )


# ---- pairs and their pictures ---------------------------------------------------------------


@dataclass(frozen=True)
class _Files:
    """Where the picture of every pair and column lies; ``None`` where there is none."""

    pairs: list[str]
    columns: list[str]
    paths: list[list[Path | None]]

    @staticmethod
    def of(evaluation: Evaluation, pictures: Sequence[Picture]) -> _Files:
        methods = [method.name for method in evaluation.methods]
        scored = (pair.name for method in evaluation.methods for pair in method.pairs)
        pairs = list(
            dict.fromkeys([*evaluation.pairs, *scored, *(picture.pair for picture in pictures)])
        )
        found = {(picture.pair, picture.method): picture.path for picture in pictures}
        given = dict.fromkeys(picture.method for picture in pictures)
        inputs = [
            name for name in ("source1", "source2", "degraded1", "degraded2") if name in given
        ]
        columns = list(dict.fromkeys([*inputs, *methods, *given]))
        paths = [[found.get((pair, column)) for column in columns] for pair in pairs]
        return _Files(pairs, columns, paths)


def _importance(evaluation: Evaluation, pairs: list[str]) -> list[int]:
    """The pairs' indices: worst, best, second worst, second best and so on, by the first method."""
    order = list(range(len(pairs)))
    if not (evaluation.methods and evaluation.metrics):
        return order
    metric = evaluation.metrics[_start(evaluation)]
    scores = parts.scores_of(evaluation.methods[0], metric.id)
    values = [_value(scores.get(pair)) for pair in pairs]
    known = [i for i in order if values[i] is not None]
    known.sort(key=lambda i: metric.merit(values[i] or 0.0))
    ends = [known[n // 2] if n % 2 == 0 else known[-1 - n // 2] for n in range(len(known))]
    return ends + [i for i in order if values[i] is None]


def _start(evaluation: Evaluation) -> int:
    ids = [metric.id for metric in evaluation.metrics]
    return next((ids.index(name) for name in TELLING if name in ids), 0)


def _previews(shown: Album, files: _Files) -> str:
    quality = shown.quality
    text = (
        f"Previews: WebP of quality {quality.webp}, at most {quality.side} pixels a side, 8 bits. "
        "Scores were computed on the files themselves."
    )
    inside, all_pairs = len(shown.groups), len(files.pairs)
    if inside == all_pairs:
        return text
    return (
        f"{text} Only {inside} of {parts.count(all_pairs, 'pair')}, the worst and the best, have "
        f"room inside this page; the pictures of the other {all_pairs - inside} are read from the "
        "folder beside it, so keep both together."
    )


def _blocks(shown: Album) -> Iterator[str]:
    """One block a pair, so that only what is opened is parsed and decoded."""
    for index, previews in shown.groups.items():
        content = _json([made.data if made else None for made in previews])
        yield f'<script type="application/json" id="pictures-{index}">{content}</script>\n'


# ---- data for the scripts -------------------------------------------------------------------


def _data(evaluation: Evaluation, files: _Files, shown: Album, folder: Path) -> dict[str, Any]:
    methods = [method.name for method in evaluation.methods]
    return {
        "metrics": [
            {
                "id": metric.id,
                "title": metric.title,
                "better": metric.better,
                "arrow": parts.ARROWS[metric.better],
                "decimals": parts.decimals(evaluation, metric),
            }
            for metric in evaluation.metrics
        ],
        "methods": methods,
        "pairs": files.pairs,
        "columns": [
            {
                "label": _label(evaluation.task, name, files.columns),
                "method": methods.index(name) if name in methods else None,
            }
            for name in files.columns
        ],
        "scores": [
            [_column(method, metric.id, files.pairs) for method in evaluation.methods]
            for metric in evaluation.metrics
        ],
        "reasons": _reasons(evaluation, files.pairs),
        "frames": [_frame(shown.groups.get(index, [])) for index in range(len(files.pairs))],
        "files": [
            [None if path is None else _address(path, folder) for path in row]
            for row in files.paths
        ],
        "start": _start(evaluation),
    }


def _column(method: MethodScores, metric: str, pairs: list[str]) -> list[float | None]:
    scores = parts.scores_of(method, metric)
    values = (_value(scores.get(pair)) for pair in pairs)
    return [None if value is None else float(f"{value:.6g}") for value in values]


def _reasons(evaluation: Evaluation, pairs: list[str]) -> dict[str, str]:
    """Why a value is missing, by ``metric/method/pair`` as indices."""
    index = {pair: i for i, pair in enumerate(pairs)}
    return {
        f"{k}/{m}/{index[pair]}": score.reason
        for k, metric in enumerate(evaluation.metrics)
        for m, method in enumerate(evaluation.methods)
        for pair, score in parts.scores_of(method, metric.id).items()
        if score.value is None and score.reason
    }


def _frame(previews: list[Preview | None]) -> tuple[int, int] | None:
    """The largest picture's width and height; the others are enlarged to it."""
    sizes = [(made.width, made.height) for made in previews if made]
    return max(sizes, key=lambda size: size[0] * size[1], default=None)


def _address(path: Path, folder: Path) -> str:
    relative = os.path.relpath(os.path.abspath(path), os.path.abspath(folder))
    return quote(os.fsencode(relative.replace(os.sep, "/")))


def _label(task: str, column: str, columns: list[str]) -> str:
    """The name to show; only beside degraded inputs are sources called clean."""
    roles = parts.roles_of(task)
    clean = ", clean" if {"degraded1", "degraded2"} & set(columns) else ""
    known = {f"source{n}": f"{role}{clean}" for n, role in enumerate(roles, 1)}
    known |= {f"degraded{n}": f"{role}, degraded" for n, role in enumerate(roles, 1)}
    return known.get(column, column)


def _value(score: Score | None) -> float | None:
    return None if score is None else score.value


# ---- writing safely -------------------------------------------------------------------------


def _json(value: Any) -> str:
    """JSON that cannot end the element it stands in."""
    text = json.dumps(_printable(value), ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _printable(value: Any) -> Any:
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {name: _printable(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_printable(item) for item in value]
    return value


def _policy(style: str, script: str, complete: bool) -> str:
    """Nothing from outside; pictures from files only where some have no room inside."""
    images = "data:" if complete else "data: 'self' file:"
    return (
        f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}'; "
        f"img-src {images}; base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")


def _asset(name: str) -> str:
    return (resources.files("drfuse_cli.report") / "assets" / name).read_text(encoding="utf-8")
