"""`drfuse batch` against a loop of `drfuse fuse`, the bare network, and the published network.

    python bench/throughput/run.py [--pairs 200] [--weights FILE] [--json FILE]

README.md beside this file says what is measured.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import torch
from published import STEPS, PublishedNetwork, multiply_adds

from drfuse_cli.config import FuseOptions, preset
from drfuse_cli.engine import Engine, Prepared, prepare
from drfuse_cli.engine.inputs import make_inputs
from drfuse_cli.imageio import read_image
from drfuse_cli.speed.ceiling import network_multiply_adds
from drfuse_cli.speed.run import render_pair
from drfuse_cli.weights import load_weights

SIZE = (640, 480)
SCENES = 4
"""Pictures that are drawn; every pair of files has noise of its own."""


@dataclass(frozen=True)
class Cost:
    """Seconds a pair: on the clock, and of all processors together."""

    clock: float
    processor: float


# ---- contenders ---------------------------------------------------------------------------------


def make_pairs(folder: Path, count: int) -> list[str]:
    """Folders ``ir`` and ``vis`` of noisy pairs; returns their names."""
    names = [f"{i:04}" for i in range(count)]
    for role in ("ir", "vis"):
        (folder / role).mkdir()
    for i, name in enumerate(names):
        first, second = render_pair("ivif", SIZE, folder, seed=i % SCENES)
        os.replace(first, folder / "ir" / f"{name}.png")
        os.replace(second, folder / "vis" / f"{name}.png")
    return names


def command(arguments: list[str], pairs: int) -> Cost:
    """The cost of a `drfuse` process, from start to end."""
    before, started = os.times(), time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "drfuse_cli", *arguments], check=True, stdout=subprocess.DEVNULL
    )
    after = os.times()
    busy = after.children_user + after.children_system
    busy -= before.children_user + before.children_system
    return Cost((time.perf_counter() - started) / pairs, busy / pairs)


def bare(engine: Engine, pairs: list[Prepared]) -> Cost:
    """Lift and sampler on observations in memory, a pair a core; nothing else."""
    operators = [engine.runner.operator(source.blur, pairs[0].grid) for source in pairs[0].sources]

    @torch.no_grad()
    def one(pair: Prepared) -> None:
        torch.set_num_threads(1)
        engine.model(make_inputs([pair], operators, engine.device), 3, precision=engine.precision)

    with ThreadPoolExecutor(engine.cores) as pool:
        return timed(lambda: list(pool.map(one, pairs)), len(pairs))


def timed(work: Callable[[], object], pairs: int) -> Cost:
    clock, processor = time.perf_counter(), time.process_time()
    work()
    clock, processor = time.perf_counter() - clock, time.process_time() - processor
    return Cost(clock / pairs, processor / pairs)


# ---- comparisons --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Round:
    """One measurement of each, close together in time; ``further`` leaves out the start."""

    batch: Cost
    further: Cost
    loop: Cost
    bare: Cost


def throughput(
    folder: Path, names: list[str], flags: list[str], engine: Engine, rounds: int, fused: int
) -> Iterator[Round]:
    """Batches over a share of the pairs each, in turn with the others."""
    pairs = [prepared(folder, name) for name in names[: 2 * engine.cores]]
    bare(engine, pairs[: engine.cores])
    for number in range(rounds):
        chosen = names[number::rounds]
        first = bare(engine, pairs)
        one = batch(folder, chosen[:1], flags)
        some = batch(folder, chosen, flags)
        second = bare(engine, pairs)
        loop = [
            command(
                ["fuse", f"{folder}/ir/{name}.png", f"{folder}/vis/{name}.png",
                 "-o", f"{folder}/fuse-{name}.png", *flags], 1,
            )
            for name in chosen[:fused]
        ]  # fmt: skip
        further = without_start(some, one, len(chosen))
        yield Round(some, further, mean(loop), mean([first, second]))


def batch(folder: Path, names: list[str], flags: list[str]) -> Cost:
    """The cost of a pair in a `drfuse batch` over these."""
    with tempfile.TemporaryDirectory(dir=folder) as output:
        table = Path(output, "pairs.csv")
        rows = [f"{folder}/ir/{name}.png,{folder}/vis/{name}.png,{name}" for name in names]
        table.write_text("\n".join(["source1,source2,name", *rows]) + "\n")
        return command(
            ["batch", "--pairs", str(table), "-o", f"{output}/fused", *flags], len(names)
        )


def without_start(some: Cost, one: Cost, count: int) -> Cost:
    """The cost of every pair after the first, from a batch of ``count`` and a batch of one."""
    clock, processor = (
        (count * getattr(some, f) - getattr(one, f)) / (count - 1) for f in ("clock", "processor")
    )
    return Cost(clock, processor)


def mean(costs: list[Cost]) -> Cost:
    clock, processor = (sum(getattr(c, f) for c in costs) for f in ("clock", "processor"))
    return Cost(clock / len(costs), processor / len(costs))


def prepared(folder: Path, name: str) -> Prepared:
    images = (read_image(folder / role / f"{name}.png") for role in ("ir", "vis"))
    first, second = images
    return prepare(first, second, preset("ivif", "noise"))


def against_published(engine: Engine, pair: Prepared, rounds: int) -> list[float]:
    """Processor time of the published network's steps over that of a pair here, in turn."""
    torch.set_num_threads(1)
    network = PublishedNetwork().eval()
    x = torch.rand(1, 3, SIZE[1], SIZE[0])

    def ours() -> float:
        return timed(lambda: engine.run([pair], 1), 1).processor

    @torch.no_grad()
    def one_step() -> float:
        return timed(lambda: network(x, 1), 1).processor

    ours(), one_step()
    found = []
    for _ in range(rounds):
        before, theirs, after = ours(), one_step(), ours()
        found.append(STEPS * theirs / ((before + after) / 2))
    return found


# ---- what it shows ------------------------------------------------------------------------------


def tables(found: list[Round], published: list[float], engine: Engine, pairs: int) -> str:
    def row(name: str, costs: list[Cost], bases: list[Cost]) -> str:
        ratios = [
            median(getattr(c, f) / getattr(b, f) for c, b in zip(costs, bases, strict=True))
            for f in ("clock", "processor")
        ]
        cells = [median(getattr(c, f) for c in costs) for f in ("clock", "processor")]
        return f"| {name} | {cells[0]:.2f} | {cells[1]:.2f} | {ratios[0]:.2f} | {ratios[1]:.2f} |"

    batch = [one.batch for one in found]
    share = median(one.bare.processor / one.further.processor for one in found)
    lines = [
        f"{pairs} pairs at {SIZE[0]}x{SIZE[1]}, {engine.cores} threads, {len(found)} rounds",
        "",
        "| | clock, s a pair | processor, s a pair | clock / batch | processor / batch |",
        "|---|---:|---:|---:|---:|",
        row("`drfuse batch`", batch, batch),
        row("every pair of it after the first", [one.further for one in found], batch),
        row("a loop of `drfuse fuse`", [one.loop for one in found], batch),
        row("bare network and sampler", [one.bare for one in found], batch),
        "",
        f"Bare network and sampler over every pair after the first, processor time: {share:.0%}",
    ]
    if published:
        ours = network_multiply_adds(engine.model.arch, SIZE[1], SIZE[0], 3)
        theirs = STEPS * multiply_adds(SIZE[1], SIZE[0])
        lines += [
            "",
            "Published network over ours, processor time in one process: "
            f"{median(published):.1f} ({min(published):.1f} to {max(published):.1f}); "
            f"in multiply-adds {theirs / ours:.1f}",
        ]
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=200, help="of `drfuse batch`, in all rounds")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--fused", type=int, default=3, help="runs of `drfuse fuse` in a round")
    parser.add_argument("--published", type=int, default=3, help="runs of the published network")
    parser.add_argument("--weights", help="as for drfuse batch")
    parser.add_argument("--degrade", choices=("noise", "auto"), default="noise")
    parser.add_argument("--json", type=Path, help="keep all figures here")
    chosen = parser.parse_args(arguments)
    engine = Engine(load_weights(chosen.weights, "ivif"), FuseOptions(device="cpu"))
    flags = ["--device", "cpu", "--degrade", chosen.degrade]
    flags += ["--weights", chosen.weights] if chosen.weights else []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        names = make_pairs(folder, chosen.pairs)
        found = list(throughput(folder, names, flags, engine, chosen.rounds, chosen.fused))
        published = against_published(engine, prepared(folder, names[0]), chosen.published)
    print(tables(found, published, engine, chosen.pairs))
    if chosen.json:
        document = {"rounds": [asdict(one) for one in found], "published": published}
        chosen.json.write_text(json.dumps(document, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
