"""Weights and engine, as every command that fuses needs them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drfuse_cli.config import FuseOptions

if TYPE_CHECKING:
    from drfuse_cli.engine import Engine
    from drfuse_cli.weights import LoadedWeights


def load_engine(chosen: FuseOptions) -> tuple[LoadedWeights, Engine]:
    """The weights that the options name, and an engine that runs them.

    Weights come first: what is wrong with them is known before torch is loaded.
    """
    from drfuse_cli.weights import load_weights

    weights = load_weights(chosen.weights, chosen.task, chosen.method)
    from drfuse_cli.engine import Engine

    return weights, Engine(weights, chosen)
