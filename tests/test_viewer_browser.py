"""``report.html`` in a real browser: Chromium, headless, driven by Playwright."""

from __future__ import annotations

import functools
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from viewer_support import COLOURS, INPUTS, made_up, painted

from drfuse_cli.evaluation.results import Evaluation, Failure
from drfuse_cli.imageio import Image, decode_image, write_image
from drfuse_cli.report import previews
from drfuse_cli.report.viewer import Picture, write_viewer

if TYPE_CHECKING:
    from playwright.sync_api import Browser, CDPSession, Page

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--no-first-run", "--disable-quic",
]  # fmt: skip
METRICS = ("Q_G", "MSE", "Q_SF", "EN", "SSIM", "VIF", "PSNR", "CC")
PAIRS = [f"pair {i:02d}" for i in range(12)]
HOSTILE = (
    "</script><script>window.hacked = 1</script>",
    '"><img src=x onerror="window.hacked = 1; alert(1)"> \udcff 🔥',
    "<svg onload='window.hacked = 1'></svg>${window.hacked = 1}",
)
Open = Callable[..., "Page"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("chromium is not installed")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def tab(browser: Browser) -> Page:
    """One page for all tests, which costs less than one each."""
    return browser.new_page()


@pytest.fixture
def visit(tab: Page) -> Iterator[Open]:
    """Opens a report; at the end, nothing may have gone wrong or left the file."""
    watched: list[tuple[Page, str, Any]] = []
    troubles: list[str] = []

    def visit(
        path: Path, page: Page = tab, width: int = 1000, scheme: str = "light", files: bool = False
    ) -> Page:
        def inside(url: str) -> bool:
            own = url.split("#")[0] == path.as_uri() or url.startswith("data:")
            return own or (files and url.startswith((path.parent / "images").as_uri()))

        def dialog(opened: Any) -> None:
            troubles.append("dialog")
            opened.dismiss()

        listeners = {
            "pageerror": lambda error: troubles.append(f"error: {error}"),
            "console": lambda message: troubles.append(f"console: {message.text}"),
            "dialog": dialog,
            "request": lambda request: inside(request.url) or troubles.append(request.url),
        }
        for event, listener in listeners.items():
            page.on(event, listener)  # type: ignore[call-overload]
            watched.append((page, event, listener))
        page.set_default_timeout(20_000)
        page.set_viewport_size({"width": width, "height": 700})
        page.emulate_media(media="screen", color_scheme=scheme)  # type: ignore[arg-type]
        page.goto(path.as_uri())
        return page

    yield visit
    for page, event, listener in watched:
        page.remove_listener(event, listener)
    assert troubles == []


def scored(metric: str, method: str, pair: int) -> float | None:
    """Q_G rises with the pair for drfusion and falls for average; pair 3 has no MSE."""
    if metric == "MSE" and pair == 3:
        return None
    if method == "undefined":
        return None
    return {"drfusion": 0.2 + 0.02 * pair, "average": 0.6 - 0.03 * pair}.get(method, 0.3)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve pairs, four methods, one of them undefined everywhere, eight metrics."""
    folder = tmp_path_factory.mktemp("report")
    evaluation = replace(
        made_up(PAIRS, ("drfusion", "average", "undefined", "maximum"), METRICS, scored),
        warnings=("a warning that is long enough to wrap on a phone " * 4,),
        failures=(Failure("pair 03", "average", "/".join(["a_long_path"] * 20)),),
    )
    path = folder / "report.html"
    write_viewer(evaluation, painted(folder, evaluation, shared=True), path)
    return path


def linked(page: Page) -> list[float]:
    """Zoom and shift, as shares of the frame, which all pictures must have in common."""
    found = page.eval_on_selector_all(
        ".frame img",
        """imgs => imgs.map(img => {
            const inner = img.getBoundingClientRect();
            const outer = img.closest(".frame").getBoundingClientRect();
            return [inner.width / outer.width, (inner.left - outer.left) / outer.width,
                (inner.top - outer.top) / outer.height];
        })""",
    )
    assert len(found) == 2 + 4 + 4
    for other in found:
        assert other == pytest.approx(found[0], abs=1e-3)
    return found[0]


def colours(page: Page, selector: str, *shares: float) -> list[str]:
    """The columns whose colours show at these shares of an element's width, a quarter down."""
    shot = decode_image(page.locator(selector).screenshot(), "screenshot").pixels
    row = shot[shot.shape[0] // 4]
    spots = [row[int(share * len(row))].astype(int) for share in shares]
    return [
        min(COLOURS, key=lambda name: sum(abs(spot - COLOURS[name]))) for spot in spots
    ]  # fmt: skip


def first_column(page: Page) -> list[str]:
    return page.locator("#table tbody th").all_inner_texts()


def listed(page: Page) -> list[str]:
    return page.locator("#list li span:first-child").all_inner_texts()


# ---- the table ------------------------------------------------------------------------------


def test_a_click_on_a_heading_sorts_both_ways(report: Path, visit: Open) -> None:
    page = visit(report)
    assert first_column(page) == ["drfusion", "average", "undefined", "maximum"]
    head = page.locator("#table th", has_text="Q_G")
    head.locator("button").click()
    assert first_column(page) == ["average", "drfusion", "maximum", "undefined"]
    assert head.get_attribute("aria-sort") == "descending"
    head.locator("button").click()
    assert first_column(page) == ["maximum", "drfusion", "average", "undefined"]
    assert head.get_attribute("aria-sort") == "ascending"

    page.locator("#table th", has_text="MSE").locator("button").click()
    assert page.locator("#table th", has_text="MSE").get_attribute("aria-sort") == "ascending"
    assert first_column(page)[0] == "maximum"
    assert page.locator("[aria-sort]").count() == 1


def test_the_keyboard_sorts_by_name(report: Path, visit: Open) -> None:
    page = visit(report)
    page.locator("#table thead button").first.focus()
    page.keyboard.press("Enter")
    assert first_column(page) == ["average", "drfusion", "maximum", "undefined"]
    page.keyboard.press("Space")
    assert first_column(page) == ["undefined", "maximum", "drfusion", "average"]


# ---- the divider ----------------------------------------------------------------------------


def test_the_divider_moves_and_clips(report: Path, visit: Open) -> None:
    page = visit(report)
    divider, stage = page.locator("#divider"), page.locator("#compare")
    stage.scroll_into_view_if_needed()
    assert divider.get_attribute("role") == "slider"
    assert divider.get_attribute("aria-valuenow") == "50"
    assert colours(page, "#compare", 0.1, 0.4, 0.6, 0.9) == ["degraded2"] * 2 + ["drfusion"] * 2

    box, grip = stage.bounding_box(), divider.bounding_box()
    assert box is not None
    assert grip is not None
    page.mouse.move(grip["x"] + grip["width"] / 2, grip["y"] + grip["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 20, steps=4)
    page.mouse.up()
    assert divider.get_attribute("aria-valuenow") == "30"
    assert colours(page, "#compare", 0.1, 0.4, 0.6, 0.9) == ["degraded2"] + ["drfusion"] * 3
    clip = page.locator("#upper").evaluate("upper => getComputedStyle(upper).clipPath")
    assert re.fullmatch(r"inset\(0(px)? calc\(100% - 30(\.\d+)?%\) 0(px)? 0(px)?\)|.*70.*", clip)

    page.mouse.click(box["x"] + 0.8 * box["width"], box["y"] + 20)
    assert divider.get_attribute("aria-valuenow") == "80"


def test_the_divider_answers_to_keys(report: Path, visit: Open) -> None:
    page = visit(report)
    divider = page.locator("#divider")
    divider.focus()
    for key, value in (
        ("ArrowRight", "52"), ("ArrowLeft", "50"), ("ArrowDown", "48"), ("Shift+ArrowRight", "58"),
        ("PageUp", "68"), ("End", "100"), ("ArrowRight", "100"), ("Home", "0"),
    ):  # fmt: skip
        page.keyboard.press(key)
        assert divider.get_attribute("aria-valuenow") == value, key
    assert colours(page, "#compare", 0.1, 0.9) == ["drfusion"] * 2
    label = divider.get_attribute("aria-label")
    assert label == "Divider between visible, degraded and drfusion"
    assert divider.get_attribute("aria-valuetext") == "0 % visible, degraded, the rest drfusion"


def test_any_two_pictures_can_be_compared(report: Path, visit: Open) -> None:
    page = visit(report)
    page.select_option("#left", label="infrared, clean")
    page.select_option("#right", label="visible, clean")
    assert colours(page, "#compare", 0.2, 0.8) == ["source1", "source2"]
    page.click("#swap")
    assert colours(page, "#compare", 0.2, 0.8) == ["source2", "source1"]
    page.get_by_label("drfusion to the left of the divider").click()
    assert colours(page, "#compare", 0.2, 0.8) == ["drfusion", "source1"]
    assert page.locator("#tag-left").inner_text() == "drfusion"


# ---- zoom -----------------------------------------------------------------------------------


def test_zoom_and_pan_are_linked(report: Path, visit: Open) -> None:
    page = visit(report)
    assert linked(page) == [1, 0, 0]
    page.click("#zoom-in")
    assert linked(page) == pytest.approx([1.5, -0.25, -0.25], abs=1e-3)

    pane = page.locator("#results .frame").first
    pane.scroll_into_view_if_needed()
    box = pane.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + 0.4 * box["height"], steps=3)
    page.mouse.up()
    assert linked(page) == pytest.approx([1.5, -0.15, -0.35], abs=0.01)

    page.mouse.wheel(0, -200)  # zoomed already: the wheel alone is enough
    page.wait_for_function("view.zoom > 1.6")
    assert linked(page)[0] > 1.6
    pane.dblclick()
    assert linked(page) == [1, 0, 0]


def test_the_wheel_zooms_only_when_asked(report: Path, visit: Open) -> None:
    page = visit(report)
    pane = page.locator("#results .frame").first
    pane.hover()
    before = page.evaluate("scrollY")
    page.mouse.wheel(0, -100)
    page.wait_for_function(f"scrollY < {before}")
    assert linked(page) == [1, 0, 0]

    pane.hover()
    page.keyboard.down("Control")
    page.mouse.wheel(0, -100)
    page.wait_for_function("view.zoom > 1")
    page.keyboard.up("Control")
    page.click("#zoom-reset")
    pane.click()
    page.mouse.wheel(0, -100)
    page.wait_for_function("view.zoom > 1")


def test_pixels_are_square_when_zoomed_in(report: Path, visit: Open) -> None:
    page = visit(report)
    img = page.locator("#compare img").first
    assert img.evaluate("img => getComputedStyle(img).imageRendering") == "auto"
    for _ in range(4):
        page.click("#zoom-in")
    assert img.evaluate("img => getComputedStyle(img).imageRendering") == "pixelated"
    assert page.locator("#zoom").inner_text() == "5.1×"


def test_keys_and_fingers_zoom(report: Path, visit: Open, browser: Browser) -> None:
    page = visit(report, browser.new_page(has_touch=True), width=400)
    stage = page.locator("#compare")
    stage.focus()
    page.keyboard.press("+")
    page.keyboard.press("ArrowRight")
    assert linked(page) == pytest.approx([1.5, -0.35, -0.25], abs=1e-3)
    page.keyboard.press("0")

    stage.scroll_into_view_if_needed()
    box = stage.bounding_box()
    assert box is not None
    cx, cy = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    session = page.context.new_cdp_session(page)

    def touch(kind: str, *gaps: float) -> None:
        points = [
            {"x": cx + side * gap, "y": cy, "id": i}
            for gap in gaps
            for i, side in enumerate((-1, 1))
        ]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    touch("touchStart", 30)
    for gap in (40, 50, 60):
        touch("touchMove", gap)
    touch("touchEnd")
    assert linked(page) == pytest.approx([2, -0.5, -0.5], abs=0.02)
    page.close()


# ---- pairs ----------------------------------------------------------------------------------


def test_the_worst_come_first_and_every_order_works(report: Path, visit: Open) -> None:
    page = visit(report)
    assert page.locator("#pair-name").inner_text() == "pair 00"
    assert listed(page) == PAIRS
    page.select_option("#method", label="average")
    assert listed(page) == PAIRS[::-1]
    page.select_option("#order", "best")
    assert listed(page) == PAIRS
    page.select_option("#metric", label="MSE ↓")
    assert listed(page) == [*PAIRS[:3:-1], *PAIRS[2::-1], "pair 03"]
    assert page.locator("#list li").last.inner_text().split("\n")[-1] == "–"
    page.select_option("#order", "name")
    assert listed(page) == PAIRS
    # the open pair stays
    assert page.locator("#pair-name").inner_text() == "pair 00"


def test_keys_go_through_the_list(report: Path, visit: Open) -> None:
    page = visit(report)
    name, chosen = page.locator("#pair-name"), page.locator("#list [aria-selected=true]")
    for key, shown in (("n", "01"), ("n", "02"), ("p", "01")):
        page.keyboard.press(key)
        assert name.inner_text() == f"pair {shown}"
    page.locator("#list").focus()
    for key, shown in (("ArrowDown", "02"), ("End", "11"), ("ArrowUp", "10"), ("Home", "00")):
        page.keyboard.press(key)
        assert name.inner_text() == f"pair {shown}"
    assert page.locator("#previous").is_disabled()
    page.click("#next")
    assert name.inner_text() == "pair 01"
    assert chosen.count() == 1
    assert chosen.get_attribute("id") == page.locator("#list").get_attribute(
        "aria-activedescendant"
    )

    page.fill("#search", "AIR 1")
    assert listed(page) == ["pair 10", "pair 11"]
    assert page.locator("#found").inner_text() == "2 of 12 pairs"
    page.locator("#search").press("n")  # types
    assert listed(page) == []
    page.fill("#search", "11")
    page.click("#next")
    assert name.inner_text() == "pair 11"


def test_a_pair_shows_its_scores_and_why_some_are_missing(report: Path, visit: Open) -> None:
    page = visit(report)
    page.locator("#list li", has_text="pair 03").click()
    cells = page.locator("#pair-table tbody tr").first.locator("td")
    assert cells.all_inner_texts()[:2] == ["0.2600", "–"]
    assert cells.nth(1).get_attribute("title") == "constant image"
    assert "drfusion, MSE: constant image" in page.locator("#pair-missing").inner_text()
    best = page.locator("#pair-table tbody tr", has_text="average").locator("td").first
    assert best.locator("b").inner_text() == "0.5100"
    assert page.locator("#results .value").all_inner_texts() == [
        "Q_G 0.2600", "Q_G 0.5100", "Q_G –", "Q_G 0.3000",
    ]  # fmt: skip


def test_a_dot_opens_its_pair(report: Path, visit: Open) -> None:
    page = visit(report)
    page.click("#more-plots")
    assert page.locator(".plot").count() == len(METRICS)
    row = page.locator(".plot[data-metric=EN] .row", has_text="average").locator("svg")
    row.scroll_into_view_if_needed()
    box = row.bounding_box()
    assert box is not None
    x, y = page.evaluate("(({x, y}) => [x / WIDTH, y / HEIGHT])(plots[3].rows[1].points[7])")
    page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"])
    assert page.locator(".plot[data-metric=EN] output").inner_text() == "pair 07: 0.3900"
    page.mouse.click(box["x"] + x * box["width"], box["y"] + y * box["height"])
    assert page.locator("#pair-name").inner_text() == "pair 07"
    assert (
        page.locator("#method").evaluate("method => method.selectedOptions[0].label") == "average"
    )
    assert page.locator("#metric").evaluate("metric => metric.selectedOptions[0].label") == "EN ↑"


# ---- what others wrote ----------------------------------------------------------------------


def test_hostile_names_stay_text(tmp_path: Path, visit: Open) -> None:
    evaluation = replace(
        made_up(HOSTILE, HOSTILE, value=lambda *_: None, reason=HOSTILE[1]),
        dataset=HOSTILE[0],
        warnings=HOSTILE,
        failures=tuple(Failure(name, name, name) for name in HOSTILE),
    )
    path = tmp_path / "<b>report</b>" / "report.html"
    write_viewer(evaluation, painted(path.parent, evaluation, shared=True), path)
    page = visit(path)
    for name in HOSTILE:
        written = name.encode("utf-8", "backslashreplace").decode()
        assert written in first_column(page)
        assert written in listed(page)
        page.locator("#list li").nth(listed(page).index(written)).click()
        assert page.locator("#pair-name").inner_text() == written
    page.wait_for_timeout(100)
    assert page.evaluate("window.hacked") is None
    assert page.locator("img[src='x'], svg[onload]").count() == 0


def test_nothing_injected_runs(report: Path, tab: Page) -> None:
    page = tab
    page.goto(report.as_uri())
    page.evaluate(
        """() => {
            const script = document.createElement("script");
            script.textContent = "window.hacked = 1";
            document.body.append(script);
            document.body.insertAdjacentHTML("beforeend",
                `<img src="data:," onerror="window.hacked = 2">`);
            const away = document.createElement("img");
            away.src = "http://127.0.0.1:9/away.png";
            document.body.append(away);
        }"""
    )
    page.wait_for_timeout(100)
    assert page.evaluate("window.hacked") is None


# ---- size -----------------------------------------------------------------------------------


def test_five_hundred_pairs(
    tmp_path: Path, visit: Open, tab: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = [f"{i:05d}" for i in range(500)]
    methods = ("drfusion", "average", "maximum", "laplacian", "wavelet")
    evaluation = made_up(pairs, methods, METRICS)
    noise = np.random.default_rng(0).integers(0, 256, (96, 96), np.uint8)
    write_image(tmp_path / "noise.png", Image(noise))
    pictures = [
        Picture(column, pair, tmp_path / "noise.png")
        for pair in pairs
        for column in (*INPUTS, *methods)
    ]
    # one file stands for all of them, so encode it once
    monkeypatch.setattr(previews, "preview", functools.cache(previews.preview))
    path = tmp_path / "report.html"
    write_viewer(evaluation, pictures, path)
    assert 30e6 < path.stat().st_size < 70e6
    assert path.read_text(encoding="utf-8").count('id="pictures-') == 500

    session = tab.context.new_cdp_session(tab)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    page = visit(path)
    assert page.locator("#list li").count() == 500
    assert page.locator("img").count() == 2 + 4 + len(methods)
    assert page.locator("#pair-name").inner_text() == "00000"
    assert seconds_spent(session) < 5
    page.click("#more-plots")
    page.locator("#list").focus()
    page.keyboard.press("End")
    assert page.locator("#pair-name").inner_text() == "00499"
    assert page.locator("#list [aria-selected=true]").is_visible()
    assert page.locator("#list").evaluate("list => list.scrollTop") > 1000
    page.fill("#search", "0025")
    assert page.locator("#list li").count() == 11
    assert seconds_spent(session) < 10
    session.detach()


def seconds_spent(session: CDPSession) -> float:
    """Processor time of the page's main thread, which other programs do not lengthen."""
    metrics = session.send("Performance.getMetrics")["metrics"]
    return next(metric["value"] for metric in metrics if metric["name"] == "TaskDuration")


def test_pictures_beside_the_page(tmp_path: Path, visit: Open) -> None:
    evaluation = made_up(PAIRS)
    pictures = painted(tmp_path, evaluation)
    path = tmp_path / "report.html"
    write_viewer(evaluation, pictures, path, budget=3000)
    assert 0 < path.read_text(encoding="utf-8").count('id="pictures-') < len(PAIRS)
    page = visit(path, files=True)
    assert "have room inside this page" in page.locator("#pairs").inner_text()
    page.locator("#list li", has_text="pair 06").click()
    page.wait_for_function(
        "[...document.querySelectorAll('.frame img')].every(img => img.naturalWidth > 0)"
    )
    assert colours(page, "#compare", 0.2, 0.8) == ["degraded2", "drfusion"]
    assert page.locator("#compare").evaluate("f => f.clientWidth / f.clientHeight") == (
        pytest.approx(48 / 36, abs=0.01)
    )


def test_a_page_that_was_moved_says_so(tmp_path: Path, tab: Page) -> None:
    evaluation = made_up(PAIRS)
    write_viewer(evaluation, painted(tmp_path, evaluation), tmp_path / "report.html", budget=3000)
    moved = (tmp_path / "report.html").rename(tmp_path.parent / f"{tmp_path.name}-moved.html")
    tab.goto(moved.as_uri())
    tab.locator("#list li", has_text="pair 06").click()
    words = "the file is not beside this page"
    tab.locator("#results .empty", has_text=words).first.wait_for()


# ---- looks ----------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [360, 1000])
def test_nothing_is_wider_than_the_screen(report: Path, visit: Open, width: int) -> None:
    page = visit(report, width=width)
    page.click("#more-plots")
    page.eval_on_selector_all("details", "all => all.forEach(one => { one.open = true; })")
    page.locator("#list li", has_text="pair 03").click()
    for medium in ("screen", "print"):
        page.emulate_media(media=medium)
        scroll, client = page.evaluate(
            "(({scrollWidth, clientWidth}) => [scrollWidth, clientWidth])(document.documentElement)"
        )
        assert scroll <= client, medium
        if width == 360:
            break


SURFACES = (
    ("body", "body"), (".hint", "body"), ("summary", "body"), (".facts dt", "body"),
    ("td small", ".plot"), (".axis", ".plot"), (".plot output", ".plot"), ("#next", "#next"),
    ("#list [aria-selected=true]", "#list [aria-selected=true]"),
    ("#list li:last-child span + span", "#list"), (".tag", ".tag"),
)  # fmt: skip


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_light_and_dark_are_legible(report: Path, visit: Open, scheme: str) -> None:
    page = visit(report, scheme=scheme)
    colours = page.evaluate(
        """pairs => pairs.map(([text, behind]) => [
            getComputedStyle(document.querySelector(text)).color,
            getComputedStyle(document.querySelector(behind)).backgroundColor])""",
        SURFACES,
    )
    for (text, behind), surface in zip(colours, SURFACES, strict=True):
        dim, bright = sorted((luminance(text), luminance(behind)))
        assert (bright + 0.05) / (dim + 0.05) >= 4.5, surface
    for dark in (scheme == "dark", scheme == "light", scheme == "dark"):
        shade = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (luminance(shade) < 0.2) == dark
        page.click("#theme")


def luminance(colour: str) -> float:
    """Relative luminance of ``rgb(...)`` as WCAG defines it."""
    channels = [int(number) / 255 for number in re.findall(r"\d+", colour)[:3]]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_a_page_without_pictures(tmp_path: Path, visit: Open) -> None:
    for evaluation in (made_up(["a", "b"]), Evaluation("ivif", None, "nothing", (), ())):
        write_viewer(evaluation, [], tmp_path / "report.html")
        page = visit(tmp_path / "report.html")
        assert page.locator("#list li").count() == len(evaluation.pairs)
