"""The tables of docs/metrics.md that follow from the package.

    python bench/metrics/page.py [--write]

Prints them, or puts them into the page, between its ``<!-- name -->`` and ``<!-- /name -->``.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path

import numpy as np

from drfuse_cli.colour import luma8
from drfuse_cli.metrics import METRICS, Metric, score
from drfuse_cli.scenes import render

PAGE = Path(__file__).resolve().parents[2] / "docs" / "metrics.md"

_BETTER = {"higher": "higher", "lower": "lower", "zero": "0"}


def metrics_table() -> str:
    """Every metric and how to read it."""
    lines = [
        "| ID | what it measures | better | range | least side | source | follows |",
        "|---|---|---|---|---:|---|---|",
    ]
    for metric in METRICS.values():
        paper, _, followed = metric.source.partition("; ")
        lines.append(
            f"| {metric.id} | {metric.title} | {_BETTER[metric.better]} | {_range(metric)} | "
            f"{metric.minimum_size} | {paper} | {followed} |"
        )
    return "\n".join(lines)


def definitions_table() -> str:
    """Every formula, and what other tools do differently."""
    lines = ["| ID | formula | elsewhere |", "|---|---|---|"]
    for metric in METRICS.values():
        formula = metric.formula.replace("|", "\\|")
        lines.append(f"| {metric.id} | `{formula}` | {' '.join(metric.variants)} |")
    return "\n".join(lines)


def undefined_table() -> str:
    """Who has no value for pictures that cannot be rated, and the reason that is told."""
    lines = ["| pictures | no value | reason |", "|---|---|---|"]
    for label, pictures in _hard_cases().items():
        reasons = defaultdict(list)
        for name, result in score(*pictures).items():
            if result.value is None:
                reasons[str(result.reason)].append(name)
        lines += [f"| {label} | {' '.join(ids)} | {reason} |" for reason, ids in reasons.items()]
    return "\n".join(lines)


def _hard_cases() -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    a, b = (luma8(image) for image in render("street-day", 192, 168))
    f = ((a.astype(np.uint16) + b + 1) // 2).astype(np.uint8)
    flat, black = np.full_like(f, 128), np.zeros_like(f)
    small = np.s_[80:120, 80:120]
    return {
        "F constant": (a, b, flat),
        "a source constant": (flat, b, f),
        "a source black": (black, b, f),
        "all constant": (flat, flat, flat),
        "all black": (black, black, black),
        "F equal to a source": (a, b, a),
        "all equal": (a, a, a),
        "40 x 40": (a[small], b[small], f[small]),
    }


def _range(metric: Metric) -> str:
    low, high = metric.range
    if low is None and high is None:
        return "unbounded"
    return f"{low:.5g} or more" if high is None else f"{low:.5g} to {high:.5g}"


TABLES = {
    "metrics": metrics_table,
    "definitions": definitions_table,
    "undefined": undefined_table,
}


def with_tables(page: str) -> str:
    """The page with every table as it is now. Raises ``ValueError`` where one has no place."""
    for name, table in TABLES.items():
        start, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
        if page.count(start) != 1 or page.count(end) != 1:
            raise ValueError(f"not one place for the table {name!r}")
        before, _, rest = page.partition(start)
        page = f"{before}{start}\n{table()}\n\n{end}{rest.partition(end)[2]}"
    return page


def main(arguments: list[str]) -> int:
    if arguments == ["--write"]:
        PAGE.write_text(with_tables(PAGE.read_text("utf-8")), "utf-8")
    else:
        print("\n\n".join(table() for table in TABLES.values()))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
