"""A method put together: network, schedule and correction, as one set of weights."""

from __future__ import annotations

from functools import partial
from typing import Any

from torch import Tensor, nn

from drfuse_cli.config import Correction
from drfuse_cli.errors import DrfuseError, ExitCode
from drfuse_cli.networks.fusion_net import Architecture, FusionNet
from drfuse_cli.networks.precision import MixedNetwork, Precision
from drfuse_cli.networks.tiled import TiledNetwork
from drfuse_cli.samplers.correction import JointCorrection, PaperCorrection, no_correction
from drfuse_cli.samplers.drfusion import Callback, Correct, StepNetwork, sample
from drfuse_cli.samplers.observation import Inputs
from drfuse_cli.samplers.schedule import Schedule


class DRFusion(nn.Module):
    """DRFusion (CVPR 2026) with everything that is learned."""

    def __init__(self, arch: Architecture) -> None:
        super().__init__()
        self.arch = arch
        self.network = FusionNet(arch)
        self.schedule = Schedule(arch.steps)
        self.correction = JointCorrection()

    def _correct(self, mode: Correction, alpha_bar: Tensor) -> Correct:
        if mode == "none":
            return no_correction
        if mode == "paper":
            return PaperCorrection(alpha_bar)
        return partial(self.correction, mode=mode)

    def forward(
        self,
        inputs: Inputs,
        steps: int = 3,
        correction: Correction = "joint",
        precision: Precision = "fp32",
        callback: Callback | None = None,
        tile: int = 0,
    ) -> Tensor:
        """The final state ``B x 5 x H x W``; see :func:`drfuse_cli.samplers.drfusion.sample`.

        ``tile`` > 0 bounds the pixels the network sees at once; the correction stays global.
        """
        alpha_bar = self.schedule.alpha_bar(steps)
        whole = MixedNetwork(self.network, precision)
        network: StepNetwork = TiledNetwork(whole, tile) if tile else whole
        return sample(inputs, network, alpha_bar, self._correct(correction, alpha_bar), callback)


def build_network(architecture: dict[str, Any]) -> DRFusion:
    """The module an architecture describes, with fresh weights.

    Raises DrfuseError (weights) where the description is not one this version can build.
    """
    known = Architecture().as_dict()
    kind, unknown = architecture.get("kind"), set(architecture) - set(known)
    if kind != "drfusion" or unknown:
        what = f"kind {kind!r}" if kind != "drfusion" else f"fields {sorted(unknown)}"
        raise DrfuseError(
            f"the weights describe an architecture this drfuse does not know ({what})",
            hint="update drfuse, or choose other weights with --weights",
            code=ExitCode.WEIGHTS,
        )
    fields = {**known, **architecture}
    if not all(isinstance(fields[name], (list, tuple)) for name in ("widths", "depths")):
        raise _impossible()
    fields |= {name: tuple(fields[name]) for name in ("widths", "depths")}
    numbers = [*fields["widths"], *fields["depths"]]
    numbers += [fields[name] for name in ("step_blocks", "embedding", "steps")]
    if len(numbers) != 9 or len(fields["depths"]) != 3 or not all(map(_is_size, numbers)):
        raise _impossible()
    return DRFusion(Architecture(**fields))


def _is_size(number: object) -> bool:
    return type(number) is int and 0 < number <= 2048


def _impossible() -> DrfuseError:
    return DrfuseError(
        "the weights describe an architecture with impossible sizes", code=ExitCode.WEIGHTS
    )
