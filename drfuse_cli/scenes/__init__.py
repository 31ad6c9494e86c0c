"""Rendered scenes: registered pairs with known truth, for the demo, tests and documentation.

Every picture is drawn by the functions of this package from a seed; no file is read. The
infrared pictures are shaded from temperatures, not recoloured from the visible ones.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from drfuse_cli.errors import DrfuseError
from drfuse_cli.imageio import Image
from drfuse_cli.scenes.canvas import Canvas, Label
from drfuse_cli.scenes.develop import Weather, labels, thermal, visible

if TYPE_CHECKING:
    from drfuse_cli.scenes.texture import Array

SMALLEST, LARGEST = 64, 4096


@dataclass(frozen=True)
class Rendered:
    """Two registered pictures and where what stands: named masks (H x W bool)."""

    source1: Image
    source2: Image
    masks: dict[str, Array]


@dataclass(frozen=True)
class Scene:
    """A scene by name: its task, what it shows, its usual size (width, height)."""

    name: str
    task: Literal["ivif", "medical"]
    title: str
    size: tuple[int, int]
    draw: Callable[[int, int, int], Rendered]


def render(
    name: str, width: int | None = None, height: int | None = None, seed: int = 0
) -> tuple[Image, Image]:
    """Clean registered (source 1, source 2) of the scene ``name``.

    8-bit: source 1 is grey (infrared, MRI, or CT), source 2 RGB (visible, PET, SPECT) or, for
    ``mri-ct``, grey (MRI). Equal arguments give equal pictures. Raises DrfuseError for an
    unknown name or a side outside 64..4096.
    """
    drawn = render_with_masks(name, width, height, seed)
    return drawn.source1, drawn.source2


def render_with_masks(
    name: str, width: int | None = None, height: int | None = None, seed: int = 0
) -> Rendered:
    """As ``render``, with the truth.

    The masks are ``person``, ``vehicle``, ``text``; for medical scenes ``brain``, ``skull``,
    ``lesion``.
    """
    scene = SCENES.get(name)
    if scene is None:
        raise DrfuseError(f"no scene is called {name!r}", hint="Scenes: " + ", ".join(SCENES))
    width = scene.size[0] if width is None else width
    height = scene.size[1] if height is None else height
    if not (SMALLEST <= width <= LARGEST and SMALLEST <= height <= LARGEST):
        raise DrfuseError(
            f"a scene of {width}x{height} cannot be drawn",
            hint=f"Choose sides between {SMALLEST} and {LARGEST} pixels.",
        )
    return scene.draw(width, height, seed)


def _photograph(canvas: Canvas, weather: Weather, size: tuple[int, int]) -> Rendered:
    truth = labels(canvas, size)
    names = {"person": Label.PERSON, "vehicle": Label.VEHICLE, "text": Label.TEXT}
    return Rendered(
        Image(thermal(canvas, weather, size)),
        Image(visible(canvas, weather, size)),
        {name: truth == label for name, label in names.items()},
    )


def _oversample(width: int, height: int) -> int:
    """Samples per pixel and side: fine for small pictures, sparing memory in large ones."""
    area = width * height
    return 3 if area <= 160 * 120 else 2 if area <= 2100 * 1600 else 1


def _street(night: bool) -> Callable[[int, int, int], Rendered]:
    def draw(width: int, height: int, seed: int) -> Rendered:
        from drfuse_cli.scenes.street import street

        fine = _oversample(width, height)
        return _photograph(*street(width * fine, height * fine, seed, night), (width, height))

    return draw


def _crossing(width: int, height: int, seed: int) -> Rendered:
    from drfuse_cli.scenes.crossing import crossing

    fine = _oversample(width, height)
    return _photograph(*crossing(width * fine, height * fine, seed), (width, height))


def _drone(width: int, height: int, seed: int) -> Rendered:
    from drfuse_cli.scenes.aerial import drone

    fine = _oversample(width, height)
    return _photograph(*drone(width * fine, height * fine, seed), (width, height))


def _medical(kind: str) -> Callable[[int, int, int], Rendered]:
    def draw(width: int, height: int, seed: int) -> Rendered:
        from drfuse_cli.scenes.medical import pair

        first, second, masks = pair(kind, width, height, seed)
        return Rendered(Image(first), Image(second), masks)

    return draw


SCENES: dict[str, Scene] = {
    scene.name: scene
    for scene in (
        Scene("street-day", "ivif", "A city street in the sun", (640, 480), _street(False)),
        Scene("street-night", "ivif", "The same street at night", (640, 480), _street(True)),
        Scene("crossing", "ivif", "A school crossing in mist and steam", (640, 480), _crossing),
        Scene("drone", "ivif", "A neighbourhood from a drone", (640, 480), _drone),
        Scene(
            "mri-pet", "medical", "T1 MRI with PET, an active focus", (256, 256), _medical("pet")
        ),
        Scene(
            "mri-spect", "medical", "T2 MRI with SPECT, an infarct", (256, 256), _medical("spect")
        ),
        Scene("mri-ct", "medical", "CT with T1 MRI, a small tumour", (256, 256), _medical("ct")),
    )
}
