"""`drfuse demo`: its pictures, its figures, a page that stands alone."""

from __future__ import annotations

import base64
import json
import re
from functools import cache, partial
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from cli_support import Cli, FakeEngine, noise, use_fake_engine

from drfuse_cli import scenes
from drfuse_cli.cli import demo as demo_module
from drfuse_cli.config import Degradation
from drfuse_cli.imageio import Image, decode_image, read_image
from drfuse_cli.report.demo import Trial, contact_sheet, enlarge, page, rows

small = cache(partial(scenes.render, width=64, height=64))


@pytest.fixture(autouse=True)
def engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> type[FakeEngine]:
    """Small scenes, and weights for infrared/visible only."""
    monkeypatch.chdir(tmp_path)
    bundle(monkeypatch, "ivif")
    monkeypatch.setattr(scenes, "render", small)
    return use_fake_engine(monkeypatch)


def bundle(monkeypatch: pytest.MonkeyPatch, *tasks: str) -> None:
    entries = [SimpleNamespace(task=task, default=True) for task in tasks]
    monkeypatch.setattr("drfuse_cli.weights.list_weights", lambda: entries)


def trial(**changes: Any) -> Trial:
    clean = noise(16, 24), noise(16, 24, colour=True, seed=1)
    degraded = noise(8, 12, seed=2), noise(16, 24, colour=True, seed=3)
    return Trial(
        **{
            "scene": "s", "title": "T", "task": "ivif", "preset": "noise", "roles": ("ir", "vis"),
            "degradations": (Degradation(sr_scale=2), Degradation()), "clean": clean,
            "degraded": degraded, "restored": clean, "fused": clean[1], "seconds": 0.5, **changes,
        }
    )  # fmt: skip


def test_pictures_figures_and_page(drfuse: Cli, engine: type[FakeEngine]) -> None:
    done = drfuse("demo")
    assert "no weights are bundled for the task medical" in done.err
    assert "A city street in the sun" in done.text.replace("\n", " ")
    assert done.text.endswith("demo/report.html\n")
    report = json.loads(Path("demo/report.json").read_bytes())
    names = [(t["scene"], t["degrade"]) for t in report["trials"]]
    assert names == [(scene, preset) for scene in ("street-day", "street-night")
                     for preset in ("composite", "noise")]  # fmt: skip
    assert len(engine.calls) == 4
    assert len(report["skipped"]) == 1
    folder = Path("demo/street-day/composite")
    pictures = {path.name for path in folder.iterdir()}
    assert pictures == {"clean1.png", "clean2.png", "degraded1.png", "degraded2.png",
                        "restored1.png", "restored2.png", "fused.png", "sheet.png"}  # fmt: skip
    # The figures are those of the pictures beside them.
    before, clean = (read_image(folder / f"{kind}2.png") for kind in ("degraded", "clean"))
    difference = (before.pixels @ [0.299, 0.587, 0.114]) - (clean.pixels @ [0.299, 0.587, 0.114])
    psnr = 10 * np.log10(255**2 / np.mean(difference**2))
    assert report["trials"][0]["psnr"][1]["before"] == pytest.approx(psnr, abs=0.05)


def test_json(drfuse: Cli) -> None:
    done = drfuse("demo", "-o", "d", "--json")
    assert json.loads(done.out) == json.loads(Path("d/report.json").read_bytes())


def test_an_earlier_demo_is_replaced_but_nothing_else(drfuse: Cli) -> None:
    drfuse("demo", "-o", "d")
    drfuse("demo", "-o", "d")
    Path("mine").mkdir()
    Path("mine/report.json").write_text('{"schema": "else"}')
    done = drfuse("demo", "-o", "mine", code=2)
    assert "mine/report.json: already exists" in done.err
    drfuse("demo", "-o", "mine", "--overwrite")


def test_no_weights_at_all(drfuse: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle(monkeypatch)
    done = drfuse("demo", code=3)
    assert "no weights are bundled for any task" in done.err
    assert not Path("demo").exists()


def test_medical_joins_in(
    drfuse: Cli, engine: type[FakeEngine], monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle(monkeypatch, "ivif", "medical")
    monkeypatch.setattr(demo_module, "SHOWN", ("street-day", "mri-pet"))
    monkeypatch.setattr(demo_module, "PRESETS", ("composite",))
    done = drfuse("demo")
    assert "no weights" not in done.err
    assert [chosen.task for chosen, _ in engine.calls] == ["ivif", "medical"]
    assert [d.sr_scale for d in engine.calls[1][1]] == [1, 2]


# ---- the page -------------------------------------------------------------------------------


class Page(HTMLParser):
    """Collects tags and text; anything that would load from elsewhere is kept as well."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.attributes: dict[str, set[str]] = {}
        self.sources: list[str] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open.append(tag)
        self.attributes.setdefault(tag, set()).update(name for name, _ in attrs)
        self.sources += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data: str) -> None:
        self.words += data


def test_the_page_stands_alone() -> None:
    text = page([trial()], [])
    found = Page(text)
    assert len(found.sources) == 5
    for source in found.sources:
        head, data = source.split(",", 1)
        assert head == "data:image/jpeg;base64"
        picture = decode_image(base64.b64decode(data), "picture")
        assert (picture.width, picture.height) == (24, 16)
    assert not re.search(r"https?://|@import|url\(", text)


def test_strings_are_escaped() -> None:
    hostile = '</script><b onload="x">&'
    text = page(
        [trial(title=hostile, roles=(hostile, "vis"),
               degradations=(Degradation(psf=np.ones((1, 1)), psf_name=hostile), Degradation()))],
        [hostile],
    )  # fmt: skip
    found = Page(text)
    assert "b" not in found.open
    assert found.open.count("script") == 1
    assert found.attributes["img"] == {"alt", "src"}
    assert found.attributes["input"] == {"type", "value", "aria-label"}
    assert found.words.count(hostile) >= 4


def test_figures() -> None:
    same, *_ = rows([trial(degraded=trial().clean)])
    assert same == ("T", "noise", "ir", "equal", "equal", "")
    one = trial()
    shifted = Image(one.clean[0].pixels + 10)
    first, _ = rows([trial(degraded=(shifted, one.degraded[1]))])
    assert first[3] == f"{10 * np.log10(255**2 / 100):.2f}"


def test_enlarging() -> None:
    small = Image(np.full((4, 6, 3), 9, np.uint8))
    large = enlarge(small, noise(16, 24))
    assert large.pixels.shape == (16, 24, 3)
    assert (large.pixels == 9).all()


def test_the_contact_sheet_holds_all_six() -> None:
    one = trial()
    sheet = contact_sheet(one).pixels
    height, width = one.fused.height, one.fused.width
    corners = np.ndindex(sheet.shape[0] - height + 1, sheet.shape[1] - width + 1)
    places = [
        (y, x)
        for y, x in corners
        if (sheet[y : y + height, x : x + width] == one.fused.pixels).all()
    ]
    assert len(places) == 2  # restored 2 and fused are the same picture in this trial
    assert places[0][0] > sheet.shape[0] // 2
