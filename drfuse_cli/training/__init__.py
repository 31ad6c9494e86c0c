"""Training from folders of clean pairs."""

from drfuse_cli.training.loop import train
from drfuse_cli.training.options import TrainOptions, TrainProgress

__all__ = ["TrainOptions", "TrainProgress", "train"]
