"""Degradation operators: what each source went through, its adjoint and its correction."""
