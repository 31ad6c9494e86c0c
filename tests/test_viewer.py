"""``report.html`` as it is written: what it says, what it embeds, and that nothing escapes."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
from dataclasses import replace
from html.parser import HTMLParser
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pytest
from viewer_support import made_up, painted

from drfuse_cli import __version__
from drfuse_cli.errors import DrfuseError
from drfuse_cli.evaluation.results import Evaluation, Failure, MethodScores, Restoration, Verdict
from drfuse_cli.imageio import Image, decode_image, write_image
from drfuse_cli.report import viewer
from drfuse_cli.report.previews import LADDER, Quality, album, preview
from drfuse_cli.report.viewer import Picture, page, write_viewer

HOSTILE = (
    "</script><script>window.hacked = 1</script>",
    '"><img src=x onerror="window.hacked = 1">',
    "<!-- <script> ]]> &lt; ${hacked} $title 'quoted' \\u0041",
    "🔥 naïve",
    "byte \udcff \udc80",
    "line\nbreak\u2028and\x00nul",
)


class Elements(HTMLParser):
    """Every element with its attributes and the text up to its first child or its end."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.inside = False
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        self.texts.append("")
        self.inside = True

    def handle_endtag(self, tag: str) -> None:
        self.inside = False

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.texts[-1] += data

    def all(self, tag: str) -> list[tuple[dict[str, str | None], str]]:
        pairs = zip(self.found, self.texts, strict=True)
        return [(attributes, text) for (name, attributes), text in pairs if name == tag]

    def json(self, name: str) -> Any:
        (text,) = [text for found, text in self.all("script") if found.get("id") == name]
        return json.loads(text)


def rows(text: str) -> list[list[str]]:
    """The cells of the table of means, inner HTML, header apart."""
    body = text.split('<table id="table">')[1].split("<tbody>")[1].split("</tbody>")[0]
    return [
        re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", line, re.DOTALL)
        for line in re.findall(r"<tr>(.*?)</tr>", body, re.DOTALL)
    ]


# ---- what it says ---------------------------------------------------------------------------


def test_the_header_says_what_was_evaluated(tmp_path: Path) -> None:
    evaluation = replace(
        made_up(["a", "b", "c"]),
        warnings=("one warning",),
        failures=(Failure("b", "average", "is truncated"), Failure("c", None, "is empty")),
        gates=(
            Verdict("Q_G>=0.9", "drfusion", "Q_G", 0.18, False, 0.72),
            Verdict("Q_G>=0.1", "drfusion", "Q_G", 0.18, True),
        ),
        restorations=(Restoration("lift", {"a": (20.0, None), "b": (30.0, None)}),),
        settings={"seed": 2026},
    )
    text = page(evaluation, [], tmp_path)
    for words in (
        "2 methods on 3 pairs",
        "<dd>scenes</dd>",
        "<dd>ivif (infrared and visible)</dd>",
        "<dd>composite</dd>",
        f"<dd>{__version__}</dd>",
        "<dd>1 of 2 passed</dd>",
        "<li>Q_G&gt;=0.9: Q_G of drfusion is 0.18, missed by 0.72</li>",
        "2 failures",
        "<li>b, average: is truncated</li><li>c: is empty</li>",
        "<li>one warning</li>",
        '<th scope="row">lift</th><td>25.00</td><td><span class="none">–</span></td>',
        "&quot;seed&quot;: 2026",
    ):
        assert words in text


@pytest.mark.parametrize(
    ("metric", "means", "marked"),
    [
        ("Q_G", (0.1, 0.3, 0.2), ("", "b", "u")),
        ("MSE", (10.0, 30.0, 20.0), ("b", "", "u")),
        ("Q_SF", (-0.05, 0.2, 0.1), ("b", "", "u")),
        ("Q_G", (0.3, 0.3, 0.2), ("b", "b", "")),
        ("Q_G", (0.1, 0.3, 0.3 - 1e-9), ("", "b", "u")),
        ("Q_G", (0.1, None, 0.2), ("u", "", "b")),
    ],
)
def test_best_is_bold_and_second_underlined(
    tmp_path: Path, metric: str, means: tuple[float | None, ...], marked: tuple[str, ...]
) -> None:
    value = dict(zip("xyz", means, strict=True))
    evaluation = made_up(["a"], ("x", "y", "z"), [metric], lambda _, method, __: value[method])
    cells = [cell for _, cell, _ in rows(page(evaluation, [], tmp_path))]
    assert tuple("b" * ("<b>" in cell) + "u" * ("<u>" in cell) for cell in cells) == marked


def test_nothing_is_best_where_there_is_one_method(tmp_path: Path) -> None:
    ((_, cell, _),) = rows(page(made_up(["a"], ("x",), ["Q_G"]), [], tmp_path))
    assert "<b>" not in cell


def test_what_is_undefined_is_a_dash_with_its_reason(tmp_path: Path) -> None:
    def value(metric: str, method: str, pair: int) -> float | None:
        return None if metric == "MSE" or (method, pair) == ("average", 1) else 0.5

    evaluation = made_up(["a", "b"], value=value)
    text = page(evaluation, [], tmp_path)
    (_, whole, none, _), (_, partial, _, _) = rows(text)
    assert whole == "<b>0.5000</b><small>±0.0000</small>"
    assert none == '<span class="none">–</span>'
    assert partial == "<b>0.5000</b>*<small>±0.0000</small>"
    assert '<td title="2 pairs without a value: constant image"><span' in text
    assert "<li>drfusion, MSE: constant image (2 pairs)</li>" in text
    assert "<li>average, Q_G: constant image (1 pair)</li>" in text
    data = Elements(text).json("data")
    assert data["scores"] == [[[0.5, 0.5], [0.5, None]], [[None, None], [None, None]]]
    assert data["reasons"]["0/1/1"] == "constant image"
    assert "0/0/0" not in data["reasons"]


def test_headings_carry_direction_and_source(tmp_path: Path) -> None:
    evaluation = made_up(["a"], metrics=["Q_G", "MSE", "Q_SF"])
    text = page(evaluation, [], tmp_path)
    heads = [found for found, _ in Elements(text).all("th") if "data-better" in found]
    directions = [head["data-better"] for head in heads]
    assert directions == ["name", "higher", "lower", "zero", "lower"]
    titles = [found.get("title") or "" for found, _ in Elements(text).all("button")]
    for metric in evaluation.metrics:
        assert any(metric.title in title and metric.source in title for title in titles)
    assert len(Elements(text).json("data")["metrics"]) == 3


def test_figures_keep_four_digits(tmp_path: Path) -> None:
    value = {"Q_G": 0.123456, "EN": 7.123456, "PSNR": 23.123456, "MSE": 1234.56789}
    evaluation = made_up(["a"], ("x",), list(value), lambda metric, _, __: value[metric])
    cells = [re.sub("<small>.*", "", cell) for cell in rows(page(evaluation, [], tmp_path))[0]]
    assert cells[1:5] == ["0.1235", "7.123", "23.12", "1234.6"]


def test_a_page_without_methods_metrics_or_pictures(tmp_path: Path) -> None:
    empty = Evaluation("ivif", None, "nothing", (), ())
    assert "0 methods on 0 pairs" in page(empty, [], tmp_path)
    unscored = replace(made_up(["a"]), methods=(MethodScores("x", ()),))
    assert "1 method on 1 pair<" in page(unscored, [], tmp_path)


def test_the_same_evaluation_gives_the_same_page(tmp_path: Path) -> None:
    evaluation = made_up(["a", "b"])
    pictures = painted(tmp_path, evaluation)
    assert page(evaluation, pictures, tmp_path) == page(evaluation, pictures, tmp_path)


# ---- nothing escapes ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("hostile")
    pairs = [f"{name} {i}" for i, name in enumerate(HOSTILE)]
    evaluation = replace(
        made_up(pairs, HOSTILE, value=lambda *_: None, reason=HOSTILE[0]),
        task=HOSTILE[1],
        degrade=HOSTILE[0],
        dataset=HOSTILE[4],
        warnings=HOSTILE,
        failures=tuple(Failure(name, name, name) for name in HOSTILE),
        settings={name: name for name in HOSTILE},
    )
    path = folder / "report.html"
    write_viewer(evaluation, painted(folder, evaluation, shared=True), path)
    return path.read_text(encoding="utf-8")


def test_hostile_names_stay_text(hostile: str) -> None:
    harmless = Elements(page(made_up(["a"]), [], Path()))
    elements = Elements(hostile)
    kinds = {"html", "head", "body", "script", "img", "iframe", "object", "link", "form", "base"}
    for kind in kinds - {"script"}:
        assert len(elements.all(kind)) == len(harmless.all(kind)), kind
    scripts = [found for found, _ in elements.all("script")]
    assert [found for found in scripts if "type" not in found] == [{}]
    assert len(scripts) == 2 + len(HOSTILE)
    assert not [name for _, found in elements.found for name in found if name.startswith("on")]
    data = elements.json("data")
    assert data["methods"][0] == HOSTILE[0]
    assert data["methods"][4] == "byte \\udcff \\udc80"


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_legible(hostile: str, name: str) -> None:
    written = name.encode("utf-8", "backslashreplace").decode()
    shown = [text for _, text in Elements(hostile).all("li")]
    # the parser replaces NUL, as a browser does
    assert any(
        written.replace("\x00", "\ufffd") in text.replace("\x00", "\ufffd") for text in shown
    )


def test_the_page_is_complete_in_itself(tmp_path: Path) -> None:
    evaluation = made_up(["a", "b"])
    text = page(evaluation, painted(tmp_path, evaluation), tmp_path)
    assert not re.search(r"https?:|//[\w-]+\.\w|@import|url\(|\bfetch\b|XMLHttp|import\(", text)
    for tag, found in Elements(text).found:
        assert not found.get("src"), tag
        assert (found.get("href") or "#").startswith(("#", "data:,")), tag
    assert "style" not in {name for _, found in Elements(text).found for name in found}


def test_the_policy_allows_only_what_is_inside(tmp_path: Path) -> None:
    evaluation = made_up(["a", "b"])
    elements = Elements(page(evaluation, painted(tmp_path, evaluation), tmp_path))
    (policy,) = [
        found["content"] for found, _ in elements.all("meta")
        if found.get("http-equiv") == "Content-Security-Policy"
    ]  # fmt: skip
    assert policy is not None
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["img-src"] == "data:"
    (script,) = [text for found, text in elements.all("script") if "type" not in found]
    ((_, style),) = elements.all("style")
    for rule, text in (("script-src", script), ("style-src", style)):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert rules[rule] == f"'sha256-{digest}'"


def test_every_asset_is_part_of_the_package() -> None:
    folder = resources.files("drfuse_cli.report") / "assets"
    names = {item.name for item in folder.iterdir()}
    assert names == {"viewer.html", "viewer.css", *viewer.SCRIPTS}
    for name in viewer.SCRIPTS:
        assert "</script" not in (folder / name).read_text(encoding="utf-8")


# ---- pictures -------------------------------------------------------------------------------


def embedded(text: str) -> dict[int, list[str | None]]:
    found = re.findall(r'id="pictures-(\d+)">(.*?)</script>', text)
    return {int(index): json.loads(content) for index, content in found}


def noise(path: Path, seed: int, size: int = 64) -> Path:
    pixels = np.random.default_rng(seed).integers(0, 256, (size, size), np.uint8)
    write_image(path, Image(pixels))
    return path


def test_every_picture_is_embedded_where_there_is_room(tmp_path: Path) -> None:
    evaluation = made_up(["a", "b"])
    text = page(evaluation, painted(tmp_path, evaluation, size=(64, 48)), tmp_path)
    blocks = embedded(text)
    assert set(blocks) == {0, 1}
    data = Elements(text).json("data")
    labels = [column["label"] for column in data["columns"]]
    assert labels == [
        "infrared, clean", "visible, clean", "infrared, degraded", "visible, degraded",
        "drfusion", "average",
    ]  # fmt: skip
    assert data["frames"] == [[64, 48], [64, 48]]
    images = [decode_image(base64.b64decode(item or ""), "preview") for item in blocks[1]]
    assert [(image.width, image.height) for image in images] == [
        (16, 12) if label == "infrared, degraded" else (64, 48) for label in labels
    ]
    np.testing.assert_allclose(images[4].pixels.mean((0, 1)), (30, 160, 30), atol=4)


def test_sources_are_called_clean_only_beside_degraded_ones(tmp_path: Path) -> None:
    evaluation = made_up(["a"])
    pictures = [item for item in painted(tmp_path, evaluation) if "degraded" not in item.method]
    columns = Elements(page(evaluation, pictures, tmp_path)).json("data")["columns"]
    assert [column["label"] for column in columns] == ["infrared", "visible", "drfusion", "average"]


def test_the_budget_holds_and_keeps_the_worst_and_the_best(tmp_path: Path) -> None:
    pairs = [f"p{i:02d}" for i in range(12)]
    worth = [0.5, 0.1, 0.9, 0.4, 0.6, 0.2, 0.8, 0.45, 0.55, 0.47, 0.53, 0.52]
    evaluation = made_up(pairs, ("drfusion",), ["Q_G"], lambda _, __, pair: worth[pair])
    pictures = [
        Picture("drfusion", pair, noise(tmp_path / "images" / "a b#?%é" / f"{pair}.png", i))
        for i, pair in enumerate(pairs)
    ]
    one = len(preview(pictures[0].path, LADDER[-1]).data)
    text = page(evaluation, pictures, tmp_path, budget=int(4.5 * one))
    blocks = embedded(text)
    assert set(blocks) == {1, 2, 5, 6}
    assert sum(len(item or "") for block in blocks.values() for item in block) <= 4.5 * one
    assert "Only 4 of 12 pairs, the worst and the best, have room inside this page" in text
    files = [file for (file,) in Elements(text).json("data")["files"]]
    assert files[0] == "images/a%20b%23%3F%25%C3%A9/p00.png"
    assert all((tmp_path / unquote(file)).is_file() for file in files)
    assert "img-src data: 'self' file:;" in text


def test_a_name_that_is_not_utf8_becomes_an_address(tmp_path: Path) -> None:
    evaluation = made_up(["a"], ("x",))
    pictures = [Picture("x", "a", tmp_path / "images" / "\udcff.png")]
    text = page(evaluation, pictures, tmp_path)
    assert Elements(text).json("data")["files"] == [["images/%FF.png"]]


def test_more_pictures_mean_smaller_ones(tmp_path: Path) -> None:
    paths = [noise(tmp_path / f"{i}.png", i, 400) for i in range(2)]
    group, order = [[path] for path in paths], [0, 1]
    rich = album(group, order, 10**8)
    assert rich.quality == LADDER[0]
    tight = album(group, order, sum(len(preview(path, LADDER[3]).data) for path in paths) * 6 // 5)
    assert tight.quality in LADDER[1:4]
    assert set(tight.groups) == {0, 1}
    small = preview(paths[0], Quality(100, 50))
    assert (small.width, small.height) == (400, 400)
    assert decode_image(base64.b64decode(small.data), "preview").width == 100


def test_sixteen_bits_are_shown_as_eight(tmp_path: Path) -> None:
    path = tmp_path / "deep.png"
    write_image(path, Image(np.full((40, 40), 200 * 257, np.uint16)))
    shown = decode_image(base64.b64decode(preview(path, LADDER[0]).data), "preview")
    assert shown.bits == 8
    assert abs(float(shown.pixels.mean()) - 200) < 2


def test_a_line_of_pixels_has_a_preview(tmp_path: Path) -> None:
    path = tmp_path / "line.png"
    write_image(path, Image(np.zeros((1, 5000), np.uint8)))
    shown = decode_image(base64.b64decode(preview(path, LADDER[0]).data), "preview")
    assert (shown.width, shown.height) == (2048, 1)


def test_missing_and_damaged_pictures_leave_the_rest(tmp_path: Path) -> None:
    evaluation = made_up(["a", "b"], ("x", "y"))
    (tmp_path / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\nnonsense")
    pictures = [
        Picture("x", "a", noise(tmp_path / "a.png", 0)),
        Picture("y", "a", tmp_path / "bad.png"),
        Picture("x", "b", tmp_path / "gone.png"),
        Picture("restored1", "c", noise(tmp_path / "c.png", 1)),
    ]
    text = page(evaluation, pictures, tmp_path)
    blocks = embedded(text)
    assert [item is not None for item in blocks[0]] == [True, False, False]
    assert blocks[1] == [None, None, None]
    data = Elements(text).json("data")
    assert data["pairs"] == ["a", "b", "c"]
    assert data["scores"][0][0][2] is None
    assert data["columns"][2] == {"label": "restored1", "method": None}
    assert data["files"][1] == ["gone.png", None, None]


def test_the_order_of_importance() -> None:
    def value(metric: str, method: str, pair: int) -> float | None:
        return (30.0, 10.0, None, 20.0, 40.0)[pair]

    pairs = list("abcde")
    evaluation = made_up(pairs, metrics=["MSE"], value=value)
    # the highest error first, then the lowest, the undefined last
    assert viewer._importance(evaluation, pairs) == [4, 1, 0, 3, 2]


def test_a_page_that_cannot_be_written_says_where(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DrfuseError, match="file stands where a folder"):
        write_viewer(made_up(["a"]), [], tmp_path / "file" / "report.html")


def test_scores_are_finite_json(tmp_path: Path) -> None:
    evaluation = made_up(["a"], ("x",), ["Q_G"], lambda *_: math.pi)
    assert Elements(page(evaluation, [], tmp_path)).json("data")["scores"] == [[[3.14159]]]
