"""The methods, each as one set of weights: what is learned and how it is sampled."""

from drfuse_cli.models.build import build_network
from drfuse_cli.models.drfusion import DRFusion
from drfuse_cli.models.recofuse import RecoFuse

__all__ = ["DRFusion", "RecoFuse", "build_network"]
