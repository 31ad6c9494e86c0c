"""The tables of `docs/quality.md` from what `bench/quality/run.py --json` wrote.

python bench/quality/tables.py ivif.json medical.json --peers DIR
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from run import Standing, peer_restoration, standings, summary

from drfuse_cli.metrics import DRFUSION_TABLE

Document = dict[str, Any]


def restored(document: Document, peers: Path) -> Iterator[str]:
    """A line a source: degraded, lift, drfuse and the denoiser chain of the peers."""
    task, roles = document["task"], tuple(document["roles"])
    for preset, found in document["presets"].items():
        chain = peer_restoration(peers, task, preset, roles, found["pairs"])
        for i, role in enumerate(roles):
            degraded, lift, ours = (
                found["mean"][f"{stage}{i + 1}"] for stage in ("degraded", "lift", "restored")
            )
            other = chain[i]
            chained = ("-", "-") if other is None else (f"{other:.2f}", f"{ours - other:+.2f}")
            own = f"{degraded:.2f}", f"{lift:.2f}", f"**{ours:.2f}**"
            yield _row((task, preset, role, *own, chained[0], f"{ours - lift:+.2f}", chained[1]))


def fused(document: Document, peers: Path, cells: list[Standing]) -> Iterator[str]:
    """Two lines a preset: drfuse with its place, and the best peer of every column."""
    task = document["task"]
    for preset, found in document["presets"].items():
        ours = {column: found["mean"][column] for column in DRFUSION_TABLE}
        standing = standings(peers, task, preset, found["pairs"], ours)
        cells += standing.values()
        own = (_placed(ours[column], standing.get(column)) for column in DRFUSION_TABLE)
        yield _row((task, preset, "drfuse", *own))
        best = (f"{cell.best:.4f} {cell.whose}" for cell in standing.values())
        yield _row(("", "", "best peer", *best))


def _placed(value: float, standing: Standing | None) -> str:
    if standing is None:
        return f"{value:.4f}"
    return f"**{value:.4f}**" if standing.place == 1 else f"{value:.4f} ({standing.place})"


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _head(*columns: str) -> str:
    return _row(columns) + "\n" + "|---" * len(columns) + "|"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("documents", type=Path, nargs="+")
    parser.add_argument("--peers", type=Path, required=True)
    options = parser.parse_args()
    documents = [json.loads(path.read_text()) for path in options.documents]
    print(_head("task", "preset", "source", "degraded", "lift", "drfuse", "denoiser chain",
                "drfuse - lift", "drfuse - chain"))  # fmt: skip
    for document in documents:
        print(*restored(document, options.peers), sep="\n")
    cells: list[Standing] = []
    print("\n" + _head("task", "preset", "method", *DRFUSION_TABLE))
    for document in documents:
        print(*fused(document, options.peers, cells), sep="\n")
    print("\n" + summary(cells))


if __name__ == "__main__":
    main()
