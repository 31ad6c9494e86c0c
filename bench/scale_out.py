"""What a pair costs beside the network: `--engine local` against `--engine ray` on one machine.

    python bench/scale_out.py [--size 320x240] [--few 20] [--many 80] [--workers N]

Folders of FEW and of MANY rendered pairs go through ``drfuse batch`` with each engine; what a pair
costs is the difference, so that starting counts apart. The processor time is that of the process
that plans, keeps the journal and hands out the work: with Ray it does nothing else, and bounds how
many workers one run can keep busy. All times in milliseconds, lower is better.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from drfuse_cli.evaluation.pool import processors
from drfuse_cli.imageio import Image, write_image
from drfuse_cli.scenes import render

_CHILD = """
import json, resource, sys, time
from drfuse_cli.cli.app import run
started = time.perf_counter()
code = run(sys.argv[1:])
used = resource.getrusage(resource.RUSAGE_SELF)
told = {"code": code, "wall": time.perf_counter() - started, "cpu": used.ru_utime + used.ru_stime}
print(json.dumps(told))
"""


@dataclass(frozen=True)
class Cost:
    """Seconds, of all that a run took and of the process that ran it."""

    wall: float
    cpu: float


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--size", default="320x240")
    parser.add_argument("--few", type=int, default=20)
    parser.add_argument("--many", type=int, default=80)
    parser.add_argument("--workers", type=int, default=processors())
    parser.add_argument("--engines", default="local,ray")
    given = parser.parse_args()
    width, height = map(int, given.size.split("x"))
    print(f"{given.size}, {given.workers} workers, {given.few} and {given.many} pairs, on a CPU")
    print(f"{'engine':8}{'starting':>12}{'a pair':>12}{'its processor time':>22}")
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        make_pairs(root / "few", given.few, (width, height))
        make_pairs(root / "many", given.many, (width, height))
        for engine in given.engines.split(","):
            few, many = (measure(root, name, engine, given.workers) for name in ("few", "many"))
            count = given.many - given.few
            pair = Cost((many.wall - few.wall) / count, (many.cpu - few.cpu) / count)
            starting = few.wall - given.few * pair.wall
            print(
                f"{engine:8}{1e3 * starting:12.0f}{1e3 * pair.wall:12.1f}{1e3 * pair.cpu:22.2f}",
                flush=True,
            )


def make_pairs(root: Path, count: int, size: tuple[int, int]) -> None:
    """The same rendered pair under many names, each with noise of its own."""
    scene = render("street-night", *size)
    for number in range(count):
        rng = np.random.default_rng(number)
        for role, image in zip(("ir", "vis"), scene, strict=True):
            noisy = image.pixels + rng.normal(0, 8, image.pixels.shape)
            pixels = np.round(noisy).clip(0, 255).astype(np.uint8)
            write_image(root / role / f"{number}.png", Image(pixels))


def measure(root: Path, name: str, engine: str, workers: int) -> Cost:
    command = ["batch", str(root / name), "-o", str(root / "out" / engine / name)]
    command += ["--noise-std", "8", "--device", "cpu", "--engine", engine]
    command += ["--workers", str(workers)]
    done = subprocess.run(
        [sys.executable, "-c", _CHILD, *command], check=True, capture_output=True, text=True
    )
    told = json.loads(done.stdout.splitlines()[-1])
    if told["code"]:
        raise SystemExit(done.stderr)
    return Cost(told["wall"], told["cpu"])


if __name__ == "__main__":
    main()
