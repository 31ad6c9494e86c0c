"""Many pairs: planned, fused in a pipeline, written down one by one, resumed where they stopped."""
