"""The report as one HTML file that needs nothing else: no script, no request, figures as SVG inside the page."""

from __future__ import annotations

import colorsys
import re
from importlib.resources import files
from pathlib import Path

import jinja2
from markupsafe import Markup, escape

from ppgssl.report.composition import Composition
from ppgssl.report.document import BREAK
from ppgssl.report.figures.style import SCREEN_FONTS, set_fonts
from ppgssl.report.pdf import save

PAGE_FILE = "report.html"
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}\b")
_STYLE = re.compile(r'style="[^"]*"')
# Lightness of black and white on a dark screen, as white and black on a bright one.
_DARK_INK, _DARK_PAPER = 0.92, 0.09


def write_html(report: Composition, folder: Path) -> Path:
    """Write ``folder/report.html``: sections, numbers and links are those of the PDF; equal results, equal file.

    Whatever a name in the results holds, it reaches the reader as text.
    """
    figures = {label: Markup(inline_svg(svg, label)) for label, svg in report.figures.items()}
    styles = "".join(style for svg in report.figures.values() for style in _STYLE.findall(svg))
    colours = {colour.lower() for colour in _COLOUR.findall(styles)}
    environment = page_environment()
    environment.lstrip_blocks = True
    environment.filters["soft"] = _soft
    html = environment.get_template("report.html").render(
        title=report.title,
        results=report.results,
        date=report.date,
        version=report.results.provenance.versions.get("ppgssl", ""),
        sections=report.content,
        numbered=[block for section in report.content for block in section["blocks"] if "name" in block],
        figures=figures,
        colours={colour: on_dark(colour) for colour in sorted(colours)},
    )
    return save(folder / PAGE_FILE, html)


def page_environment() -> jinja2.Environment:
    """For pages of ``reports/``: a name that holds markup reaches the reader as text."""
    loader = jinja2.FunctionLoader(lambda name: files("ppgssl.reports").joinpath(name).read_text(encoding="utf-8"))
    return jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)


def _soft(text: str) -> Markup:
    """Text whose places to break are tags, which do not get into what a reader copies."""
    return Markup(str(escape(text)).replace(BREAK, "<wbr>"))


def inline_svg(svg: str, label: str) -> str:
    """A figure for the middle of a page: as wide as it may be, and in the colours of the screen.

    ``svg`` is a file as matplotlib writes it; ``label`` goes before every identifier, so that figures share none.
    """
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<style type=\"text/css\">.*?</style>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'^<svg([^>]*?) width="[^"]*" height="[^"]*"', r'<svg\1 aria-hidden="true" focusable="false"', svg)
    used = set(re.findall(r'(?:url\(#|href="#)([^")]+)', svg))
    svg = re.sub(r' id="([^"]+)"', lambda match: f' id="{label}-{match[1]}"' if match[1] in used else "", svg)
    svg = re.sub(r'(url\(#|href="#)', rf"\g<1>{label}-", svg)
    svg = _STYLE.sub(lambda style: _COLOUR.sub(lambda colour: f"var(--c{colour[0][1:].lower()})", style[0]), svg)
    return set_fonts(svg, SCREEN_FONTS)


def on_dark(colour: str) -> str:
    """The colour that stands for ``#rrggbb`` on a dark screen: of the same hue, as light as the other was dark."""
    red, green, blue = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    hue, lightness, saturation = colorsys.rgb_to_hls(red, green, blue)
    inverted = _DARK_INK + (_DARK_PAPER - _DARK_INK) * lightness
    return "#" + "".join(f"{round(255 * part):02x}" for part in colorsys.hls_to_rgb(hue, inverted, saturation))
