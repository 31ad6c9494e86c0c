"""The three networks of ReCoFuse: auto-encoder, diffusion branch, time-aware fusion module."""
