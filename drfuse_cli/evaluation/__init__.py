"""Methods judged on many pairs: cases, baselines, folders of fused images, one run over all."""
