"""One model on one device: pairs in, fused pairs out."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import torch

from drfuse_cli.config import Degradation, FuseOptions
from drfuse_cli.engine.blocks import cut, join
from drfuse_cli.engine.device import choose_device
from drfuse_cli.engine.drfusion import DRFusionRunner
from drfuse_cli.engine.fusion import FuseResult, Fusion
from drfuse_cli.engine.memory import Rung, is_out_of_memory, total_memory
from drfuse_cli.engine.prepared import Degradations, Prepared, prepare
from drfuse_cli.engine.recofuse import RecoFuseRunner
from drfuse_cli.engine.runner import WHOLE_LIMIT, Runner
from drfuse_cli.errors import DrfuseError, ExitCode
from drfuse_cli.imageio import Image
from drfuse_cli.networks.precision import choose_precision
from drfuse_cli.operators.grid import Grid
from drfuse_cli.weights import LoadedWeights, load_weights

_TILE = 1024
_BLOCK = 3072
_BLOCK_LIMIT = 16_000_000
"""Pixels from which on an image is worked on in blocks of so many pixels a side."""
_BATCH_PIXELS = 4_000_000
"""Pixels at once; more do not make a GPU busier."""
_BYTES_PER_PIXEL = 2048
"""Memory that a pixel takes in the network, with room to spare."""

_RUNNERS: dict[str, type[Runner]] = {"drfusion": DRFusionRunner, "recofuse": RecoFuseRunner}

Run = Callable[["Engine", Sequence[Prepared]], list[Fusion]]


class Engine:
    """One model on one device; where the options say so, after another that restores first.

    Raises DrfuseError where the device is missing, the sources do not fit together, memory
    runs out, or the network returns something that is not a number.
    """

    def __init__(self, weights: LoadedWeights, options: FuseOptions) -> None:
        self.options = options
        self.device = choose_device(options.device)
        self.precision = choose_precision(self.device, options.precision)
        torch.manual_seed(options.seed)
        model = weights.network().eval()
        layout = torch.channels_last if self.device.type == "cuda" else torch.preserve_format
        self.model = model.to(self.device, memory_format=layout)  # type: ignore[call-overload]
        self.runner = _RUNNERS[weights.method](self.model, self.device, self.precision, options)
        # On a processor batches save nothing, and its libraries may sum in another order.
        self.batches = self.device.type == "cuda"
        self.cores = torch.get_num_threads() if self.device.type == "cpu" else 1
        self.first = _restorer(options) if options.restore_first else None
        self._pool = ThreadPoolExecutor(self.cores, "fuse")
        self._rungs: dict[tuple[tuple[int, int], int], Rung] = {}

    def fuse(self, first: Image, second: Image, degradations: Degradations) -> FuseResult:
        """Restores and fuses one pair; the output has the size of the larger source."""
        started = time.perf_counter()
        if not self.runner.uses_operators and self.first is None:
            degradations = degradations[0].size_only, degradations[1].size_only
        pair = prepare(first, second, degradations)
        result = self._through([pair], lambda engine, pairs: [engine._alone(pairs[0])])[0].result()
        return replace(result, seconds=time.perf_counter() - started)

    def batch_size(self, pair: Prepared) -> int:
        """How many pairs like this one are worth running at once.

        On CUDA as many as keep it busy, on a processor one a core, as far as memory goes.
        """
        if not self.batches and self.cores == 1:
            return 1
        pixels = min(_BATCH_PIXELS, total_memory(self.device) // 2 // _BYTES_PER_PIXEL)
        most = max(1, int(pixels // pair.pixels))
        return most if self.batches else min(most, self.cores)

    def run(self, pairs: Sequence[Prepared], batch: int | None = None) -> list[Fusion]:
        """Restores and fuses pairs of one ``key``, at most ``batch`` of them at once.

        A pair's pixels do not depend on the others: on a processor each runs on a core of its
        own, and on CUDA a short batch is filled up, since kernels are chosen by shape. Where
        memory runs out, less goes through the network at once, which the warnings say: half the
        batch, then tiles, then smaller tiles. Raises DrfuseError (environment) where that does
        not help.
        """
        return self._through(pairs, lambda engine, some: engine._spread(some, batch))

    def _through(self, pairs: Sequence[Prepared], run: Run) -> list[Fusion]:
        """Through this engine, and before it through the first, where one is to restore them."""
        poor = [pair for pair in pairs if self.first is not None and not _is_clean(pair)]
        if self.first is None or not poor:
            return run(self, pairs)
        restored = iter(run(self.first, poor))
        before = [None if _is_clean(pair) else next(restored) for pair in pairs]
        taken = [
            pair if one is None else _restored(one) for pair, one in zip(pairs, before, strict=True)
        ]
        fusions = run(self, taken)
        return [
            fusion if one is None else _after(fusion, one)
            for fusion, one in zip(fusions, before, strict=True)
        ]

    def _spread(self, pairs: Sequence[Prepared], batch: int | None) -> list[Fusion]:
        """Over the cores of a processor, or together through a GPU."""
        if self.batches and not self._is_huge(pairs[0]):
            return self._together(pairs, batch or len(pairs))
        at_once = self.batch_size(pairs[0])
        if at_once == 1:
            return [self._alone(pair) for pair in pairs]

        def on_one_core(pair: Prepared) -> Fusion:
            # Not by how many there are: the number of threads may show in the last bit.
            torch.set_num_threads(self.cores // at_once)
            return self._alone(pair)

        some = [pairs[i : i + at_once] for i in range(0, len(pairs), at_once)]
        return [fusion for few in some for fusion in self._pool.map(on_one_core, few)]

    def _alone(self, pair: Prepared) -> Fusion:
        if not self._is_huge(pair):
            return self._together([pair], 1)[0]
        denoiser = getattr(self.model, "denoiser", None)
        blocks = cut(pair, _BLOCK, denoiser_reach=denoiser.reach if denoiser else 0)
        return join(pair, ((block, self._together([block.pair], 1)[0]) for block in blocks))

    def _is_huge(self, pair: Prepared) -> bool:
        blocks = self.runner.uses_operators and self.options.tile != 0
        return blocks and pair.pixels > _BLOCK_LIMIT

    def _together(self, pairs: Sequence[Prepared], size: int) -> list[Fusion]:
        canvas = pairs[0].grid.canvas
        rung = self._rungs.get((canvas, size)) or Rung(size, self._tile(pairs[0]))
        fusions: list[Fusion] = []
        while len(fusions) < len(pairs):
            some = pairs[len(fusions) : len(fusions) + rung.batch]
            try:
                fusions += self.runner(some, rung)
                continue
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
            # Only here, out of the handler, is what the failed attempt held given back.
            rung = self._lower(rung, pairs[0].grid)
            self._rungs[canvas, size] = rung
        return fusions

    def _tile(self, pair: Prepared) -> int:
        if self.options.tile is not None:
            return self.options.tile
        return _TILE if pair.pixels > WHOLE_LIMIT else 0

    def _lower(self, rung: Rung, grid: Grid) -> Rung:
        untiled = self.options.tile == 0 and rung.batch == 1
        lower = None if untiled else rung.lower(max(grid.canvas))
        if lower is None:
            tile = "--tile auto" if untiled else "a smaller --tile, for example --tile 64"
            raise DrfuseError(
                f"not enough memory on {self.device} for {grid.shape[1]}x{grid.shape[0]} pixels",
                hint=f"close other programs, or give {tile}",
                code=ExitCode.ENVIRONMENT,
            )
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        return lower


# ---- restored first -------------------------------------------------------------------------


def _restorer(options: FuseOptions) -> Engine:
    """DRFusion with its bundled weights, as the same options would run it by itself."""
    alone = FuseOptions(
        task=options.task,
        correction=options.correction,
        self_ensemble=options.self_ensemble,
        device=options.device,
        precision=options.precision,
        tile=options.tile,
        seed=options.seed,
    )
    return Engine(load_weights(None, options.task, "drfusion"), alone)


def _is_clean(pair: Prepared) -> bool:
    return all(source.degradation.is_clean for source in pair.sources)


def _restored(fusion: Fusion) -> Prepared:
    """Both restored sources as a pair that is fused as it is."""
    return prepare(*fusion.sources, (Degradation(), Degradation()))


def _after(fusion: Fusion, before: Fusion) -> Fusion:
    """What was fused, with the time and the warnings of what came before."""
    warnings = *before.warnings, *(w for w in fusion.warnings if w not in before.warnings)
    return replace(fusion, seconds=before.seconds + fusion.seconds, warnings=warnings)
