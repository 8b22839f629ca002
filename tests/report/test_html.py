"""The report in a browser: one file that needs nothing else, holds what the PDF holds, and can be read by everybody."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from pypdf import PdfReader

from ppgssl.report.composition import compose
from ppgssl.report.document import Flow, Picture, Table
from ppgssl.report.html import inline_svg, on_dark, write_html
from ppgssl.report.pdf import write_pdf
from tests.support.browser import chromium_driver
from tests.support.composed import LEAST, whole_report
from tests.support.fake_results import LONG, NON_LATIN, SPECIAL, make_results

HOSTILE = " </script><script>window.hacked = true</script><img src=x onerror='window.hacked = true'>"


class Tags(HTMLParser):
    """All tags of a page with their attributes, and all words."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def values(self, name: str) -> list[str]:
        return [str(attributes[name]) for _, attributes in self.found if name in attributes]


def tags(file: Path) -> Tags:
    return Tags(file.read_text(encoding="utf-8"))


def squeezed(text: str) -> str:
    return re.sub(r"\s|\u200b|\u00ad", "", text)


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Tags:
    return tags(write_html(whole_report(), tmp_path_factory.mktemp("page")))


def test_the_page_asks_for_nothing_outside_itself(whole):
    targets = [*whole.values("href"), *whole.values("xlink:href"), *whole.values("src")]
    outside = [target for target in targets if not target.startswith(("#", "data:"))]
    assert outside
    assert all(target.startswith("https://doi.org/10.") for target in outside)  # links to click on, of the references
    assert not {tag for tag, _ in whole.found} & {"script", "link", "iframe", "img", "object", "embed"}


def test_every_link_leads_somewhere_and_no_name_is_given_twice(whole):
    names = Counter(whole.values("id"))
    assert max(names.values()) == 1
    inside = [*whole.values("href"), *whole.values("xlink:href")]
    assert {target[1:] for target in inside if target.startswith("#")} <= set(names)
    assert {name for value in whole.values("aria-labelledby") for name in value.split()} <= set(names)
    used = {name for value in whole.values("clip-path") for name in re.findall(r"url\(#(.+?)\)", value)}
    assert used
    assert used <= set(names)


def test_pdf_and_page_hold_the_same_sections_tables_and_figures_by_the_same_numbers(tmp_path, whole):
    report = whole_report()
    path, _ = write_pdf(report, tmp_path)
    reader = PdfReader(path)
    printed = squeezed(" ".join(found.extract_text() for found in reader.pages))
    shown = squeezed("".join(whole.texts))
    headings = [item.title for item in reader.outline if not isinstance(item, list)]
    labels = [section["id"] for tag, section in whole.found if tag == "section"]
    assert [section.title for section in report.sections] == headings
    assert [section.label for section in report.sections] == labels
    blocks = [block for section in report.sections for block in section.blocks]
    numbered = [block for block in blocks if isinstance(block, Table | Picture | Flow)]
    assert len(numbered) > 10
    figures = [str(found["id"]) for tag, found in whole.found if tag == "figure"]
    assert figures == [block.label for block in numbered]
    for block in numbered:
        caption = squeezed(f"{report.names[block.label]}.{block.caption}")
        assert caption in printed
        assert caption in shown


def test_every_cell_of_every_table_is_there(whole):
    report = whole_report()
    shown = squeezed("".join(whole.texts))
    for section in report.sections:
        for block in section.blocks:
            for row in block.rows if isinstance(block, Table) else ():
                texts = [cell for cell in row.cells if isinstance(cell, str)]
                assert all(squeezed(text) in shown for text in texts)


def test_every_drawing_has_a_text_in_its_place(whole):
    drawings = [found["aria-label"] for _, found in whole.found if found.get("role") == "img"]
    blocks = [block for section in whole_report().sections for block in section.blocks]
    assert drawings == [block.alt for block in blocks if isinstance(block, Picture)]
    assert all(drawings)
    assert all(found.get("aria-hidden") == "true" for tag, found in whole.found if tag == "svg")


@pytest.mark.parametrize("suffix", [HOSTILE, f" {SPECIAL}", f" {NON_LATIN}"], ids=["markup", "signs", "scripts"])
def test_names_reach_the_reader_as_text(tmp_path, suffix):
    found = tags(write_html(compose(make_results(label_suffix=suffix, **LEAST)), tmp_path))
    assert squeezed("".join(found.texts)).count(squeezed(suffix)) > 10
    assert not {tag for tag, _ in found.found} & {"script", "img", "angles"}


def test_equal_results_give_an_equal_page(tmp_path):
    first, second = (write_html(compose(make_results(**LEAST)), tmp_path / name) for name in ("a", "b"))
    assert first.read_bytes() == second.read_bytes()


def test_figures_of_one_page_share_no_name_and_no_colour_is_fixed():
    file = (
        '<?xml version="1.0"?>\n<svg width="4pt" height="2pt" viewBox="0 0 4 2"><metadata>x</metadata>'
        '<g id="a1"><path id="m1" style="fill: #AABBCC"/></g><use xlink:href="#m1" clip-path="url(#m1)"/></svg>'
    )
    assert inline_svg(file, "figure-x") == (
        '<svg aria-hidden="true" focusable="false" viewBox="0 0 4 2">'
        '<g><path id="figure-x-m1" style="fill: var(--caabbcc)"/></g>'
        '<use xlink:href="#figure-x-m1" clip-path="url(#figure-x-m1)"/></svg>'
    )


def test_a_dark_screen_inverts_light_and_dark_and_keeps_the_hue():
    assert [on_dark(colour) for colour in ("#ffffff", "#000000")] == ["#171717", "#ebebeb"]
    red, green, blue = (int(on_dark("#0072b2")[i : i + 2], 16) for i in (1, 3, 5))
    assert blue > green > red
    assert blue > 200  # lighter than it was


@pytest.fixture(scope="module")
def chromium(tmp_path_factory) -> Iterator[Any]:
    with chromium_driver(tmp_path_factory.mktemp("profile")) as driver:
        yield driver


@pytest.fixture(scope="module", params=["", f" {LONG} · {NON_LATIN}"], ids=["plain", "long names of many scripts"])
def file(request, tmp_path_factory) -> Path:
    report = compose(make_results(label_suffix=request.param, **LEAST)) if request.param else whole_report()
    return write_html(report, tmp_path_factory.mktemp("browser"))


def show(driver: Any, file: Path, width: int, scheme: str = "light", media: str = "screen") -> None:
    scheme_of = {"name": "prefers-color-scheme", "value": scheme}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": [scheme_of]})
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    driver.get_log("browser")
    driver.get(file.as_uri())


@pytest.mark.parametrize("width", [360, 768, 1280])
def test_the_body_never_scrolls_sideways_and_wide_tables_do_in_their_box(chromium, file, width):
    show(chromium, file, width)
    assert chromium.execute_script("return document.documentElement.scrollWidth") <= width
    wide = chromium.execute_script(
        "return [...document.querySelectorAll('.scroll')].filter(box => box.scrollWidth > box.clientWidth).length"
    )
    assert wide > 0 or width > 360
    assert chromium.get_log("browser") == []
    assert chromium.execute_script("return performance.getEntriesByType('resource').length") == 0


def luminance(colour: str) -> float:
    parts = [int(number) / 255 for number in re.findall(r"\d+", colour)[:3]]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_stand_out_by_4_5_to_1_on_a_bright_and_on_a_dark_screen(chromium, file, scheme):
    # WCAG 2.2, success criterion 1.4.3.
    show(chromium, file, 1280, scheme)
    pairs = chromium.execute_script("""
        const paint = node => {
          for (; node; node = node.parentElement) {
            const colour = getComputedStyle(node).backgroundColor;
            if (!colour.startsWith('rgba(0, 0, 0, 0')) return colour;
          }
          return 'rgb(255, 255, 255)';
        };
        return [...document.querySelectorAll('p, li, td, th, a, h1, h2, h3, small, dt, dd, strong, pre, svg text')].map(
          node => { const style = getComputedStyle(node); return [
            node instanceof SVGElement ? style.fill : style.color, paint(node), node.tagName] })
    """)
    distinct = {tuple(pair) for pair in pairs}
    for ink, ground, tag in distinct:
        first, second = sorted((luminance(ink), luminance(ground)))
        assert (second + 0.05) / (first + 0.05) >= 4.5, (ink, ground, tag)
    is_dark = luminance(chromium.execute_script("return getComputedStyle(document.body).backgroundColor")) < 0.5
    assert is_dark == (scheme == "dark")


def test_the_keyboard_reaches_the_report_its_links_and_whatever_scrolls(chromium, file):
    show(chromium, file, 360)
    order = chromium.execute_script("""
        const found = [...document.querySelectorAll('a[href], [tabindex="0"], summary')];
        return found.map(node => { node.focus(); return document.activeElement === node || !node.checkVisibility() })
    """)
    assert all(order)
    assert chromium.execute_script("return document.querySelector('body a').getAttribute('href')") == "#main"
    unreachable = chromium.execute_script(
        "return [...document.querySelectorAll('.scroll, pre')].filter(box => box.tabIndex !== 0).length"
    )
    assert unreachable == 0


def test_it_prints_without_navigation_bright_and_nothing_cut_off(chromium, file):
    show(chromium, file, 1280, "dark", "print")
    assert not chromium.execute_script("return document.querySelector('nav').checkVisibility()")
    background = chromium.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert luminance(background) > 0.9
    boxes = chromium.execute_script(
        "return [...document.querySelectorAll('.scroll')].map(box => getComputedStyle(box).overflowX)"
    )
    assert set(boxes) == {"visible"}
