"""Training from folders of clean pairs."""

from drfuse_cli.training.loop import TrainOptions, TrainProgress, train

__all__ = ["TrainOptions", "TrainProgress", "train"]
