"""Dense against pooled attention in the fusion module: memory, time, and what it changes.

    python bench/recofuse/attention.py [--weights recofuse-small] [--size 640x480]

Runs the module of the weights on latents of an image of that size, with the attention it was
trained with and with others in its place. Times are ratios to dense attention in one run, memory
is that of the attention map in 32 bits, ``change`` the root mean square difference of the fused
latent from the trained module's, over its standard deviation.
"""

from __future__ import annotations

import argparse
import time

import torch

from drfuse_cli.models import RecoFuse
from drfuse_cli.networks.recofuse.fusion_module import TimeAwareFusion
from drfuse_cli.weights import load_weights

CELLS = (0, 4, 8, 16, 32)
_REPEATS = 5


def with_cells(module: TimeAwareFusion, cells: int) -> None:
    for attention in (module.to_infrared, module.to_visible):
        attention.cells = cells


@torch.no_grad()
def seconds(module: TimeAwareFusion, states: tuple[torch.Tensor, ...], t: torch.Tensor) -> float:
    best = float("inf")
    for _ in range(_REPEATS):
        started = time.process_time()
        module(*states, t)
        best = min(best, time.process_time() - started)
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--weights")
    parser.add_argument("--size", default="640x480")
    options = parser.parse_args()
    width, height = map(int, options.size.split("x"))
    model = load_weights(options.weights, "ivif", "recofuse").network()
    assert isinstance(model, RecoFuse)
    stride, channels = model.arch.autoencoder.stride, model.arch.autoencoder.latent
    rows, columns = height // stride, width // stride
    noise = torch.Generator().manual_seed(0)
    smooth = torch.nn.functional.interpolate(
        torch.randn(2, channels, rows // 4, columns // 4, generator=noise),
        (rows, columns),
        mode="bicubic",
    )
    states, t = (smooth[:1], smooth[1:]), torch.tensor([50])
    trained = model.arch.fusion.pooled if model.arch.fusion.attention == "pooled" else 0
    with torch.no_grad():
        with_cells(model.fusion, trained)
        reference = model.fusion(*states, t)
        with_cells(model.fusion, 0)
        unit = seconds(model.fusion, states, t)
        print(f"latent {columns}x{rows}, trained with {trained or 'dense'}")
        print("| cells a side | MB a map | time / dense | change |\n|---|---|---|---|")
        for cells in CELLS:
            with_cells(model.fusion, cells)
            looked_at = min(cells, rows) * min(cells, columns) if cells else rows * columns
            megabytes = 4 * rows * columns * looked_at / 1e6
            taken = seconds(model.fusion, states, t) / unit
            change = (model.fusion(*states, t) - reference).std() / reference.std()
            print(f"| {cells or 'dense'} | {megabytes:.1f} | {taken:.2f} | {float(change):.4f} |")


if __name__ == "__main__":
    main()
