"""Put the denoiser of one weight file into another, which is not trained for it.

    python tools/put_denoiser.py multifocus-small OUT.safetensors --task multifocus --of ivif-small

Names or files. All else stays to the bit; that it gains must be measured (`bench/quality`).
"""

from __future__ import annotations

import argparse
from pathlib import Path

from drfuse_cli.weights import LoadedWeights, describe, load_weights, save_weights

PART = "denoiser"
TOLD = (PART, "denoiser_blocks", "noise_left")


def with_denoiser(weights: LoadedWeights, other: LoadedWeights, output: Path) -> None:
    """``weights`` with the denoiser of ``other``, and what that says of the noise it leaves."""
    if not other.architecture.get(PART):
        raise SystemExit(f"{other.name} has no denoiser")
    kept = {n: t for n, t in weights.tensors.items() if not n.startswith(f"{PART}.")}
    taken = {n: t for n, t in other.tensors.items() if n.startswith(f"{PART}.")}
    arch = other.network().arch.as_dict()  # old files leave out what is as usual
    told = {name: arch[name] for name in TOLD}
    training = describe(str(weights.path)).get("training", {})
    save_weights(
        output,
        kept | taken,
        {**weights.architecture, **told},
        weights.task,
        extra={"training": training},
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("weights")
    parser.add_argument("output", type=Path)
    parser.add_argument("--task", required=True, help="of the weights that it is put into")
    parser.add_argument("--of", required=True, help="weights that have a denoiser")
    parser.add_argument("--of-task", default="ivif")
    options = parser.parse_args()
    weights = load_weights(options.weights, options.task)
    with_denoiser(weights, load_weights(options.of, options.of_task), options.output)


if __name__ == "__main__":
    main()
