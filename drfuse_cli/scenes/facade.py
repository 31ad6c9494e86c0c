"""House fronts: masonry, windows, shops and their signs, painted on panels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from drfuse_cli.scenes.palette import linear
from drfuse_cli.scenes.panel import Panel
from drfuse_cli.scenes.texture import Array, brick, fractal_noise, value_noise

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class House:
    """How a front is built; ``shop`` is the name over the ground floor, if any."""

    wall: str
    colour: str
    trim: str
    storeys: int
    bay: float = 2.6
    storey: float = 3.1
    shop: str | None = None
    shop_colour: str = "#224433"
    letters: str = "#f4ead0"

    @property
    def height(self) -> float:
        """Metres up to the top of the parapet."""
        return 3.9 + self.storey * (self.storeys - 1) + 0.8


WARM_LIGHT = linear("#ffc36b")
COOL_LIGHT = linear("#cfe2ff")


def front(house: House, width: float, scale: float, rng: np.random.Generator, lit: float) -> Panel:
    """The street front of ``house``; ``lit`` is the share of windows with light behind them."""
    panel = Panel(width, house.height, scale)
    _masonry(panel, house, rng)
    bays = max(int((width - 0.6) / house.bay), 1)
    pitch = width / bays
    for storey in range(1, house.storeys):
        base = 3.9 + house.storey * (storey - 1)
        _course(panel, house, base - 0.12, 0.16)
        for bay in range(bays):
            x = bay * pitch + (pitch - 1.25) / 2
            _window(panel, (x, base + 0.75, 1.25, 1.75), house, rng, lit)
    _cornice(panel, house)
    if house.shop is None:
        _ground_floor(panel, house, bays, pitch, rng, lit)
    else:
        _shop(panel, house, rng, lit)
    return panel


def _masonry(panel: Panel, house: House, rng: np.random.Generator) -> None:
    shape = panel.shape
    stain = fractal_noise(rng, shape, panel.scale * 2.5, 5)
    grain = value_noise(rng, shape, max(panel.scale * 0.03, 1.0))
    tone = 1 + 0.09 * stain + 0.04 * grain
    heat = 0.33 + 0.025 * stain
    colour = linear(house.colour)
    if house.wall == "brick":
        bricks, mortar = brick(rng, shape, panel.scale)
        tone = tone + 0.16 * bricks
        albedo = colour * tone[..., None]
        albedo += mortar[..., None] * 0.7 * (linear("#b5aa9a") - albedo)
        heat = heat - 0.02 * mortar + 0.008 * bricks
    else:
        albedo = colour * tone[..., None]
    height = np.linspace(panel.height, 0, shape[0], dtype=np.float32)[:, None]
    damp = np.exp(-height / 0.7)
    albedo *= (1 - 0.3 * damp)[..., None]
    np.maximum(albedo, 0.01, out=panel.albedo)
    panel.heat[:] = heat + 0.04 * np.exp(-height / 2.0)


def _course(panel: Panel, house: House, y: float, thickness: float) -> None:
    panel.rect((0, y, panel.width, thickness), linear(house.trim), 0.35)
    panel.shade((0, y - 0.12, panel.width, 0.12), 0.55)


def _cornice(panel: Panel, house: House) -> None:
    top = panel.height
    panel.rect((0, top - 0.45, panel.width, 0.45), linear(house.trim), 0.36)
    panel.shade((0, top - 0.45, panel.width, 0.12), 0.7)
    panel.shade((0, top - 0.8, panel.width, 0.35), 0.45)
    count = max(int(panel.width / 0.6), 1)
    for i in range(count):
        x = (i + 0.35) * panel.width / count
        panel.rect((x, top - 0.62, 0.18, 0.2), linear(house.trim) * 0.8, 0.35)


def _window(panel: Panel, box: Box, house: House, rng: np.random.Generator, lit: float) -> None:
    x, y, w, h = box
    trim = linear(house.trim)
    panel.rect((x - 0.13, y - 0.06, w + 0.26, h + 0.2), trim * 0.92, 0.36)
    panel.rect((x - 0.22, y - 0.16, w + 0.44, 0.12), trim, 0.37)
    panel.shade((x - 0.22, y - 0.3, w + 0.44, 0.14), 0.5)
    leak = 0.05 + 0.06 * rng.random()
    panel.heat[panel.slices(x - 0.1, y + h + 0.05, w + 0.2, 0.35)] += leak
    _glass(panel, box, rng, bool(rng.random() < lit))
    frame = linear("#e9e4d8") if rng.random() < 0.85 else linear("#5b4636")
    for bar in ((x + w / 2 - 0.04, y, 0.08, h), (x, y + h * 0.62, w, 0.06)):
        panel.rect(bar, frame, 0.34, 0.0)
    for edge in ((x, y, 0.06, h), (x + w - 0.06, y, 0.06, h), (x, y, w, 0.06)):
        panel.rect(edge, frame * 0.9, 0.34, 0.0)
    panel.shade((x, y + h - 0.16, w, 0.16), 0.45)
    panel.shade((x, y, 0.1, h), 0.6)


def _glass(panel: Panel, box: Box, rng: np.random.Generator, lit: bool) -> None:
    """A pane: sky in its upper part, the room's dark below, a curtain, perhaps a light."""
    at = panel.slices(*box)
    rows, cols = panel.albedo[at].shape[:2]
    up = np.linspace(1, 0, rows, dtype=np.float32)[:, None]
    across = np.linspace(0, 1, cols, dtype=np.float32)[None, :]
    slant = np.clip(0.5 + 3 * (up - 0.6 + 0.35 * (across - rng.random())), 0, 1)
    sky = linear("#9fc3e6") * rng.uniform(0.25, 0.9)
    room = linear("#1b2026")
    albedo = room + slant[..., None] * (sky - room)
    curtain = rng.random()
    if curtain < 0.6:
        hang_at = rng.uniform(0.2, 0.34)
        fold = 0.8 + 0.2 * np.sin(across * 55 + curtain * 20)
        drawn = ((across < hang_at) | (across > 1 - hang_at)).astype(np.float32)
        cloth = linear("#cfc4b2")[None, None] * fold[..., None]
        albedo += (0.55 * drawn)[..., None] * (cloth - albedo)
    else:
        drawn = np.zeros_like(across)
    panel.albedo[at] = albedo
    panel.heat[at] = 0.2 + 0.05 * (1 - up) + 0.05 * drawn
    if lit:
        colour = WARM_LIGHT if rng.random() < 0.75 else COOL_LIGHT
        fall = (0.45 + 0.55 * up) * (1 - 0.45 * drawn)
        panel.emit[at] = colour * (rng.uniform(0.35, 0.95) * fall)[..., None]
        panel.heat[at] += 0.16


def _ground_floor(
    panel: Panel, house: House, bays: int, pitch: float, rng: np.random.Generator, lit: float
) -> None:
    door = int(rng.integers(bays))
    panel.albedo[panel.slices(0, 0, panel.width, 3.6)] *= 0.82
    for bay in range(bays):
        x = bay * pitch + (pitch - 1.25) / 2
        if bay != door:
            _window(panel, (x, 1.2, 1.25, 1.9), house, rng, lit)
            continue
        panel.rect((x - 0.15, 0, 1.5, 2.75), linear(house.trim) * 0.85, 0.36)
        panel.rect(
            (x, 0, 1.2, 2.3), linear(str(rng.choice(["#4d2a1e", "#1f3a4d", "#27402b"]))), 0.4
        )
        for dx, dy in ((0.15, 0.2), (0.68, 0.2), (0.15, 1.2), (0.68, 1.2)):
            panel.shade((x + dx, dy, 0.38, 0.8), 0.7)
        _glass(panel, (x, 2.35, 1.2, 0.34), rng, lit > 0)
        panel.heat[panel.slices(x - 0.1, 2.7, 1.4, 0.5)] += 0.1


def _shop(panel: Panel, house: House, rng: np.random.Generator, lit: float) -> None:
    base = linear(house.shop_colour)
    panel.rect((0.25, 0, panel.width - 0.5, 3.55), base * 0.8, 0.34)
    left, room = 0.45, panel.width - 0.9
    door = 1.15
    for x, w in (
        (left, (room - door) / 2 - 0.15),
        (left + (room + door) / 2 + 0.15, (room - door) / 2 - 0.15),
    ):
        _display(panel, (x, 0.55, w, 2.05), rng, lit)
        panel.rect((x, 0.12, w, 0.36), base * 1.25, 0.33)
    x = left + (room - door) / 2
    _glass(panel, (x, 0.1, door, 2.5), rng, lit > 0)
    panel.emit[panel.slices(x, 0.1, door, 2.5)] *= 0.45
    panel.rect((x + door - 0.2, 1.0, 0.05, 0.4), linear("#d8c27a"), 0.4)
    for edge in (x, x + door - 0.08):
        panel.rect((edge, 0.1, 0.08, 2.5), base * 1.3, 0.35)
    _fascia(panel, house, lit)


def _fascia(panel: Panel, house: House, lit: float) -> None:
    board: Box = (0.3, 2.75, panel.width - 0.6, 0.78)
    base = linear(house.shop_colour)
    panel.rect(board, base, 0.34, base * (0.5 if lit else 0.0))
    panel.rect((0.3, 3.5, panel.width - 0.6, 0.07), linear(house.letters) * 0.8, 0.34)
    panel.shade((0.25, 2.6, panel.width - 0.5, 0.15), 0.4)
    letters = linear(house.letters)
    glow = letters * 1.1 if lit else None
    inner: Box = (0.6, 2.88, panel.width - 1.2, 0.52)
    panel.text(house.shop or "", inner, letters, glow)


def _display(panel: Panel, box: Box, rng: np.random.Generator, lit: float) -> None:
    """A shop window: a dim room, goods on a sill and a shelf, the sky mirrored above."""
    x, y, w, h = box
    light = WARM_LIGHT * (0.42 if lit else 0.03)
    rows, _ = panel.albedo[panel.slices(*box)].shape[:2]
    up = np.linspace(1, 0, rows, dtype=np.float32)[:, None, None]
    panel.rect(box, linear("#20242a"), 0.25 + (0.1 if lit else 0.0), light * (0.35 + 0.65 * up))
    for shelf, chance in ((y + 0.05, 0.9), (y + h * 0.42, 0.6)):
        panel.rect((x, shelf - 0.05, w, 0.05), linear("#5b4c3c"), None, light * 0.25)
        _goods(panel, (x, shelf, w, h * 0.33), chance, rng, light)
    for lamp in np.arange(x + 0.5, x + w, 1.1):
        panel.rect(
            (lamp, y + h - 0.32, 0.16, 0.12),
            linear("#caa56a"),
            None,
            WARM_LIGHT * (2.2 if lit else 0.4),
        )
    panel.albedo[panel.slices(*box)] += 0.22 * up**2 * linear("#a9c6e6")
    _reflection(panel, box)
    for edge in ((x - 0.05, y, 0.07, h), (x + w - 0.02, y, 0.07, h), (x, y + h - 0.03, w, 0.07)):
        panel.rect(edge, linear("#3a3630"), 0.33, 0.0)


def _goods(panel: Panel, box: Box, chance: float, rng: np.random.Generator, light: Array) -> None:
    """Things for sale, side by side along the lower edge of ``box``."""
    shades = (
        "#c8452f",
        "#e0b13c",
        "#3d7ea6",
        "#d9d2c4",
        "#5c8a4a",
        "#8a4f7d",
        "#b98a5a",
        "#8c8478",
    )
    x, y, w, h = box
    at = x + 0.12
    while at < x + w - 0.35:
        wide, tall = rng.uniform(0.10, 0.34), rng.uniform(0.35, 1.0) * h
        if rng.random() < chance:
            colour = linear(str(rng.choice(shades)))
            for part in range(3):
                tint = colour * (1.0, 0.8, 0.55)[part]
                strip: Box = (at + part * wide / 3, y, wide / 3, tall)
                panel.rect(strip, tint * 0.3, None, tint * light * 1.1)
        at += wide + rng.uniform(0.04, 0.3)


def _reflection(panel: Panel, box: Box) -> None:
    at = panel.slices(*box)
    rows, cols = panel.albedo[at].shape[:2]
    y, x = np.mgrid[:rows, :cols].astype(np.float32) / max(panel.scale, 1)
    streak = np.clip(1 - np.abs((x - 0.6 * y - 0.8) / 0.35), 0, 1)
    panel.albedo[at] += 0.10 * streak[..., None] * linear("#bcd6f0")


def awning(width: float, first: str, second: str) -> list[tuple[float, float, Array]]:
    """Stripes of an awning: (start, end, colour) along its width."""
    count = max(int(width / 0.4), 2)
    colours = (linear(first), linear(second))
    edges = np.linspace(0, width, count + 1)
    return [(float(edges[i]), float(edges[i + 1]), colours[i % 2]) for i in range(count)]
