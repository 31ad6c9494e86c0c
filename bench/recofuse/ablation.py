"""The parts of ReCoFuse left out one at a time, trained alike.

    python bench/recofuse/ablation.py --train DIR --val DIR --init BRANCHES.safetensors --out DIR

``--init`` holds the auto-encoder and the branches after their own stages. From there every
variant trains the last stage alike in seed, data order and steps, and is scored by
``bench/recofuse/run.py``. In ``full`` both branches see the fused state beside their own at every
step, in ``whole`` they go on from it instead of their own, as published; ``late`` fuses once at
the end, ``untimed`` is not told the time, ``separate`` moves branches and fusion module apart,
``joint`` moves all by one loss; ``late`` shows in its restored sources what is left without
coupling. Losses are the published ones: no restored images beside their latents.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch

from drfuse_cli.models import RecoFuse
from drfuse_cli.networks.recofuse.architecture import RecoFuseArchitecture
from drfuse_cli.weights import load_weights, save_weights

RUN = Path(__file__).with_name("run.py")


@dataclass(frozen=True)
class Variant:
    """How the last stage is trained, and what the model lacks."""

    name: str
    regularisation: str = "alternating"
    coupled: bool = True
    timed: bool = True
    feedback: Literal["whole", "beside"] = "beside"

    def of(self, arch: RecoFuseArchitecture) -> RecoFuseArchitecture:
        fusion = replace(arch.fusion, timed=self.timed)
        return replace(arch, coupled=self.coupled, fusion=fusion, feedback=self.feedback)


VARIANTS = (
    Variant("full"),
    Variant("late", coupled=False),
    Variant("whole", feedback="whole"),
    Variant("untimed", timed=False),
    Variant("separate", regularisation="separate"),
    Variant("joint", regularisation="joint"),
)


def begin(init: str, variant: Variant, path: Path) -> None:
    """The common start as a file of the variant's architecture."""
    torch.manual_seed(0)
    model = load_weights(init, "ivif", "recofuse").network()
    assert isinstance(model, RecoFuse)
    changed = RecoFuse(variant.of(model.arch))
    changed.load_state_dict(model.state_dict(), strict=False)
    tensors = changed.state_dict()
    save_weights(path, tensors, changed.arch.as_dict(), "ivif", "recofuse", dtype="fp32")


def trained(options: argparse.Namespace) -> Iterator[tuple[str, Path]]:
    """The weights of every variant; a file that is there already is kept."""
    for variant in VARIANTS:
        file, start = (options.out / f"{variant.name}{end}.safetensors" for end in ("", "-init"))
        if not file.is_file():
            begin(options.init, variant, start)
            command = [
                *(sys.executable, "-m", "drfuse_cli", "train", *map(str, options.train)),
                *("--method", "recofuse", "--stage", "coupled", "--init", str(start)),
                *("--steps", str(options.steps), "--crop", str(options.crop)),
                *("--batch-size", str(options.batch_size), "--lr", str(options.lr), "--seed", "0"),
                *("--regularisation", variant.regularisation, "--image-loss", "0"),
                *("-o", str(file)),
            ]
            subprocess.run(command, check=True)
        yield variant.name, file


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--train", type=Path, nargs="+", required=True)
    parser.add_argument("--val", type=Path, required=True)
    parser.add_argument("--init", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=250)
    parser.add_argument("--crop", type=int, default=128)
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--lr", type=float, default=5e-4)
    parser.add_argument("--limit", type=int)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    named = dict(trained(options))
    first = {"recofuse": named.pop("full")}
    weights = [w for name, file in (first | named).items() for w in ("--weights", f"{name}={file}")]
    command = [sys.executable, str(RUN), "--data", str(options.val), "--only-weights", *weights]
    limit = ["--limit", str(options.limit)] if options.limit else []
    subprocess.run([*command, *limit, "--out", str(options.out / "scores")], check=True)


if __name__ == "__main__":
    main()
