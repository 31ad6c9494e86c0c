"""drfuse: fuse two degraded views of one scene into one clean image."""

__version__ = "0.1.0"
