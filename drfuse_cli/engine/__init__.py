"""Runs a model on image pairs: devices, precision, tiles, pixels in, pixels out."""

from drfuse_cli.engine.device import choose_device
from drfuse_cli.engine.engine import Engine
from drfuse_cli.engine.fusion import FuseResult, Fusion, Residual
from drfuse_cli.engine.prepared import Degradations, Prepared, prepare
from drfuse_cli.networks.precision import Precision, choose_precision

__all__ = [
    "Degradations",
    "Engine",
    "FuseResult",
    "Fusion",
    "Precision",
    "Prepared",
    "Residual",
    "choose_device",
    "choose_precision",
    "prepare",
]
