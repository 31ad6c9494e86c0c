"""The memory that `drfuse batch` holds while thousands of pairs go through it (Linux only).

    python bench/throughput/memory.py [--pairs 2000] [--size 160x120] [-- FLAGS OF BATCH]

A few rendered pairs are named again and again in one table; every row writes an image of its own.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from drfuse_cli.speed.run import render_pair

FILES = 4
"""Pairs that are drawn."""
_POLL = 0.05


def make_table(folder: Path, size: tuple[int, int], count: int) -> Path:
    """A table of ``count`` pairs, all made of the same few files."""
    drawn = [render_pair("ivif", size, folder, seed) for seed in range(FILES)]
    rows = (f"{a.name},{b.name},{i:05}" for i in range(count) for a, b in [drawn[i % FILES]])
    table = folder / "pairs.csv"
    table.write_text("\n".join(["source1,source2,name", *rows]) + "\n")
    return table


def watch(arguments: list[str], manifest: Path, marks: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Run `drfuse` and give, once so many pairs are done, how many and the KiB it holds."""
    with subprocess.Popen(
        [sys.executable, "-m", "drfuse_cli", *arguments], stdout=subprocess.DEVNULL
    ) as process:
        done, start, left = 0, 0, list(marks)
        while left and process.poll() is None:
            time.sleep(_POLL)
            held = resident(process.pid)
            fresh = manifest.read_bytes()[start:] if manifest.exists() else b""
            done, start = done + fresh.count(b"\n"), start + len(fresh)
            if held and done >= left[0]:
                yield done, held
                left = [mark for mark in left if mark > done]
    if process.returncode or done < marks[-1]:
        raise SystemExit(f"drfuse ended with {process.returncode} after {done} pairs")


def resident(process: int) -> int:
    """KiB of main memory that a process holds; 0 once it has ended."""
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return 0
    found = re.search(r"^VmRSS:\s+(\d+) kB$", status, re.MULTILINE)
    return int(found[1]) if found else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pairs", type=int, default=2000)
    parser.add_argument("--size", default="160x120")
    parser.add_argument("flags", nargs="*", help="of drfuse batch, after --")
    given = parser.parse_args()
    width, height = map(int, given.size.split("x"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        table = make_table(folder, (width, height), given.pairs)
        # The last pair cannot be waited for: the process may end first.
        marks = sorted({given.pairs // 10, given.pairs // 2, given.pairs - 5})
        arguments = ["batch", "--pairs", str(table), "-o", str(folder / "out"), *given.flags]
        print(f"{given.size}, {given.pairs} pairs {' '.join(given.flags)}\n")
        print("| pairs done | resident, MiB |\n|---:|---:|")
        for done, held in watch(arguments, folder / "out" / "manifest.jsonl", marks):
            print(f"| {done} | {held / 1024:.1f} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
