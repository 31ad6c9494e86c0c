"""From two files to what is fused: read, stretched, fitted, aligned, and their degradations."""

from drfuse_cli.sources.assumptions import Assumptions
from drfuse_cli.sources.read import (
    Sources,
    aligned,
    at_levels,
    read_pair,
    read_sources,
    take_pair,
)

__all__ = [
    "Assumptions",
    "Sources",
    "aligned",
    "at_levels",
    "read_pair",
    "read_sources",
    "take_pair",
]
