"""A degradation in a line for people."""

from __future__ import annotations

from drfuse_cli.config import Degradation

_ORIGINS = {
    "flag": "given",
    "profile": "from the profile",
    "preset": "preset",
    "estimate": "estimated from the file",
    "sizes": "from the sizes",
    "default": "assumed",
    "capped": "more was stated; the most that the file shows",
}

_SEEN = {
    "enlarged": "enlarged {:g} times (left so)",
    "stripes": "stripes of std {:.1f} (left in)",
    "jpeg": "JPEG of quality {:g} (left in)",
}


def describe(degradation: Degradation) -> str:
    """One line for people: every part of a degradation, and where its value came from."""

    def part(text: str, name: str) -> str:
        origin = _ORIGINS.get(degradation.origin.get(name, ""))
        return f"{text} ({origin})" if origin else text

    if degradation.psf is not None:
        blur = part(f"blur by {degradation.psf_name or 'a point-spread function'}", "psf")
    elif degradation.blur_sigma > 0:
        blur = part(f"blur sigma {degradation.blur_sigma:g}", "blur_sigma")
    else:
        blur = part("no blur", "blur_sigma")
    noise, scale = degradation.noise_std, degradation.sr_scale
    parts = [
        part(f"noise std {noise:g}" if noise else "no noise", "noise_std"),
        blur,
        part(f"{scale} times smaller" if scale > 1 else "full size", "sr_scale"),
    ]
    if degradation.zero_border:
        parts.append(part("borders darkened by the blur", "zero_border"))
    parts += [_SEEN[name].format(value) for name, value in degradation.seen.items()]
    return ", ".join(parts)
