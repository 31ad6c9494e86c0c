"""Objective fusion metrics: one registry, one function that scores.

Every metric compares a fused image F with its two (clean) sources A and B, all 8-bit
luminance of one size. A new metric is one function ``(triple) -> float`` that raises
`Undefined` where it has no value, and one entry in `drfuse_cli.metrics.registry`.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from drfuse_cli.errors import DrfuseError
from drfuse_cli.metrics.common import Grey, Undefined
from drfuse_cli.metrics.deviation import psnr
from drfuse_cli.metrics.registry import DRFUSION_TABLE, METRICS, RECOFUSE_TABLE, Better, Metric
from drfuse_cli.metrics.triple import Sources, Triple

__all__ = [
    "DRFUSION_TABLE",
    "METRICS",
    "PRESETS",
    "RECOFUSE_TABLE",
    "Better",
    "Metric",
    "Score",
    "Sources",
    "Triple",
    "Undefined",
    "psnr",
    "resolve",
    "score",
    "score_against",
    "score_triple",
]

_OTHER_NAMES = {"qabf": "Q_G", "nmi": "Q_MI", "fmipixel": "FMI"}

PRESETS: dict[str, tuple[str, ...]] = {
    "all": tuple(METRICS),
    "drfusion": DRFUSION_TABLE,
    "recofuse": RECOFUSE_TABLE,
}


@dataclass(frozen=True)
class Score:
    """The value of a metric, or ``None`` and the reason why it has none."""

    value: float | None
    reason: str | None = None


def resolve(ids: str | Iterable[str] | None = None) -> list[Metric]:
    """The metrics of these IDs and presets (`PRESETS`), in the order asked, each once.

    Takes IDs in any case, as a list or as text between commas; ``None`` is all of them.
    Raises `DrfuseError` for an unknown ID, with the near ones, or for no ID at all.
    """
    if ids is None:
        return list(METRICS.values())
    texts = [ids] if isinstance(ids, str) else ids
    wanted = [name.strip() for text in texts for name in text.split(",") if name.strip()]
    if not wanted:
        raise DrfuseError("no metric is asked for", hint=_choices())
    unknown = [name for name in wanted if not _expand(name)]
    if unknown:
        raise DrfuseError(f"unknown metric {', '.join(unknown)}", hint=_suggestion(unknown))
    return [METRICS[name] for name in dict.fromkeys(i for name in wanted for i in _expand(name))]


def score(
    a: Grey,
    b: Grey,
    f: Grey,
    ids: str | Iterable[str] | None = None,
    *,
    device: str | None = None,
) -> dict[str, Score]:
    """Score the fused image `f` against its sources `a` and `b`.

    All three are H x W uint8 luminance of one shape. Computed on the processor by numpy, or on
    a torch `device` that has double precision. Returns a `Score` for every ID, in the order
    asked. Raises `DrfuseError` for an unknown ID, another dtype, or differing shapes.
    """
    return score_against(Sources.of(a, b, device), f, ids)


def score_against(
    sources: Sources, f: Grey, ids: str | Iterable[str] | None = None, *, threads: int = 1
) -> dict[str, Score]:
    """As `score`, for several fused images of the same sources: their own part is done once.

    The device is that of the sources. With more than one thread, metrics of different kinds are
    computed side by side.
    """
    return score_triple(Triple.of(sources, f), ids, threads=threads)


def score_triple(
    triple: Triple, ids: str | Iterable[str] | None = None, *, threads: int = 1
) -> dict[str, Score]:
    """As `score_against`, for images that were put together before."""
    metrics = resolve(ids)
    # What shares work stands in one module and stays on one thread.
    families: dict[str, list[Metric]] = {}
    for metric in metrics:
        families.setdefault(metric.function.__module__, []).append(metric)

    def evaluate(family: list[Metric]) -> dict[str, Score]:
        return {metric.id: _evaluate(metric, triple) for metric in family}

    if threads == 1:
        return evaluate(metrics)
    with ThreadPoolExecutor(threads) as pool:
        parts = list(pool.map(evaluate, families.values()))
    return {metric.id: part[metric.id] for metric in metrics for part in parts if metric.id in part}


def _evaluate(metric: Metric, triple: Triple) -> Score:
    least = metric.minimum_size
    if min(triple.f.pixels.shape) < least:
        return Score(None, f"{triple.f.size} is smaller than {least}x{least}")
    try:
        value = metric.function(triple)
    except Undefined as undefined:
        return Score(None, str(undefined))
    if not math.isfinite(value):
        return Score(None, "not a finite number")
    return Score(float(value) + 0.0)  # turns -0.0 into 0.0


def _expand(name: str) -> tuple[str, ...]:
    upper = name.upper()
    return (upper,) if upper in METRICS else PRESETS.get(name.lower(), ())


def _suggestion(unknown: list[str]) -> str:
    known = {_plain(name): name for name in (*METRICS, *PRESETS)} | _OTHER_NAMES
    near = dict.fromkeys(known[match] for name in unknown for match in _near(_plain(name), known))
    return f"did you mean {' or '.join(near)}? {_choices()}" if near else _choices()


def _near(name: str, known: Iterable[str]) -> list[str]:
    return [name] if name in known else difflib.get_close_matches(name, known, n=3, cutoff=0.5)


def _plain(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "")


def _choices() -> str:
    return f"choose from {', '.join((*PRESETS, *METRICS))}"
