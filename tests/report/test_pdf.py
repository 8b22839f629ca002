"""The PDF holds what the results say, whatever their size, letters and gaps."""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typst
from PIL import Image
from pypdf import PdfReader

from ppgssl.core.errors import ReportError
from ppgssl.report import pdf
from ppgssl.report.composition import compose
from ppgssl.report.document import Picture, Table
from ppgssl.report.pdf import figure_pages, write_pdf
from ppgssl.report.text import rounding
from tests.support.composed import LEAST, SMALL, small_report, whole_report, write_report
from tests.support.fake_results import LONG, NON_LATIN, SPECIAL, make_results


def _text(file: Path | PdfReader) -> str:
    reader = file if isinstance(file, PdfReader) else PdfReader(file)
    return _squeezed("\n".join(page.extract_text() for page in reader.pages))


def _squeezed(text: str) -> str:
    """Without breaks: a table cell or a hyphenation may break a line anywhere."""
    return re.sub(r"\s|\u200b|\u00ad", "", text)


@pytest.fixture(scope="module")
def reader(tmp_path_factory) -> PdfReader:
    return PdfReader(write_pdf(whole_report(), tmp_path_factory.mktemp("report"))[0])


def test_the_report_shows_every_arm_with_its_interval_and_no_nan(reader):
    results = make_results()
    text = _text(reader)
    decimals = rounding.auroc_decimals(results)
    for arm in results.arms:
        assert _squeezed(arm.label) in text
        assert _squeezed(rounding.interval(arm.auroc, decimals)) in text
        if arm.difference:
            assert _squeezed(rounding.interval(arm.difference, decimals, signed=True)) in text
    assert not re.search(r"\bnan\b|None", text.replace("-nan-.", ""))


def test_the_outline_is_that_of_the_sections_which_begin_with_the_answer(reader):
    titles = [item.title for item in reader.outline if not isinstance(item, list)]
    assert titles == [section.title for section in whole_report().sections]
    assert titles[:2] == ["Summary", "Cohorts"]
    order = ["Results", "Methods", "Limitations", "References", "Provenance", "Appendix: full configuration"]
    assert [title for title in titles if title in order] == order


def test_the_summary_is_one_page(reader):
    first, second = (_squeezed(reader.pages[number].extract_text()) for number in (0, 1))
    assert "Whatthisdoesnotshow" in first
    assert "Fromfilestopatients" in second
    assert len(reader.pages) <= 36


def test_the_pdf_names_itself_and_embeds_its_fonts(reader):
    assert reader.metadata is not None
    assert reader.metadata.title == "Hypertension from two seconds of finger photoplethysmography"
    assert reader.metadata.author == "A. Nurse, B. Physician and C. Statistician"
    assert str(reader.root_object["/Lang"]).lower().startswith("en")
    page = reader.pages[0]
    assert (round(float(page.mediabox.width)), round(float(page.mediabox.height))) == (595, 842)
    for font in page["/Resources"]["/Font"].values():
        descriptor = font.get_object()["/DescendantFonts"][0].get_object()["/FontDescriptor"]
        assert any(key.startswith("/FontFile") for key in descriptor)


def test_the_pdf_is_made_for_archives_and_for_screen_readers(reader):
    # ISO 19005-2 (PDF/A-2a) and ISO 14289-1 (PDF/UA-1): what both ask for that can be seen from outside.
    metadata = reader.root_object["/Metadata"].get_data().decode()
    assert re.search(r"<pdfaid:part>2</pdfaid:part>\s*<pdfaid:conformance>A</pdfaid:conformance>", metadata)
    assert "<pdfuaid:part>1</pdfuaid:part>" in metadata
    assert reader.root_object["/MarkInfo"]["/Marked"]
    assert reader.root_object["/ViewerPreferences"]["/DisplayDocTitle"]
    assert reader.root_object["/OutputIntents"][0]["/S"] == "/GTS_PDFA1"
    assert not reader.is_encrypted


def _elements(node: Any) -> Iterator[Any]:
    """Every element of the structure tree below ``node``."""
    node = node.get_object()
    children = node.get("/K", []) if isinstance(node, dict) else node if isinstance(node, list) else []
    if isinstance(node, dict) and "/S" in node:
        yield node
    for child in children if isinstance(children, list) else [children]:
        yield from _elements(child)


def test_what_is_tagged_can_be_read_aloud(reader):
    elements = list(_elements(reader.root_object["/StructTreeRoot"]))
    kinds = Counter(element["/S"] for element in elements)
    sections = whole_report().sections
    blocks = [block for section in sections for block in section.blocks]
    assert kinds["/H1"] == len(sections)
    assert kinds["/Table"] >= sum(isinstance(block, Table) for block in blocks)
    assert kinds["/TH"] >= sum(len(block.columns) for block in blocks if isinstance(block, Table))
    read_aloud = [str(element.get("/Alt", "")) for element in elements if element["/S"] == "/Figure"]
    pictures = [block.alt for block in blocks if isinstance(block, Picture)]
    assert [text for text in read_aloud if text in pictures] == pictures
    assert all(read_aloud)


@pytest.mark.parametrize(("paper", "size"), [("a4", (595, 842)), ("us-letter", (612, 792))])
def test_every_page_is_of_the_paper_asked_for(tmp_path, paper, size):
    pages = PdfReader(write_pdf(small_report(), tmp_path, paper=paper)[0]).pages
    assert {(round(float(page.mediabox.width)), round(float(page.mediabox.height))) for page in pages} == {size}


def test_links_lead_to_their_figure_table_or_reference(reader):
    targets = set(reader.named_destinations)
    pages = {page.indirect_reference.idnum for page in reader.pages}
    n_links = 0
    for page in reader.pages:
        for annotation in page.get("/Annots", []):
            action = annotation.get_object().get("/A", annotation.get_object())
            if "/URI" in action:
                assert str(action["/URI"]).startswith("https://doi.org/10.")
                continue
            goal = action.get("/D", action.get("/Dest"))
            assert goal in targets or goal.get_object()[0].idnum in pages
            n_links += 1
    assert n_links > 5


def test_typesetting_warns_of_nothing(tmp_path):
    # Such as of a font that is not found, whose letters would be boxes.
    for suffix in ("", f" {NON_LATIN.replace(' · 医院', '')}"):
        root = tmp_path / str(len(suffix))
        root.mkdir()
        report = compose(make_results(label_suffix=suffix, **LEAST))
        pdf.write_inputs(report, root, "a4")
        _, warnings = typst.compile_with_warnings(
            str(root / "report.typ"), font_paths=[str(root / "fonts")], ignore_system_fonts=True, format="pdf"
        )
        assert warnings == []


def test_equal_results_give_an_equal_file(tmp_path):
    some = LEAST | {"with_acquisition": True}
    first = write_report(make_results(**some), tmp_path / "a").read_bytes()
    assert write_report(make_results(**some), tmp_path / "b").read_bytes() == first


@pytest.mark.parametrize("suffix", [SPECIAL, NON_LATIN], ids=["special characters", "many scripts"])
def test_labels_print_literally(tmp_path, suffix):
    text = _text(write_report(make_results(label_suffix=f" {suffix}", **SMALL), tmp_path))
    words = suffix.split(" · ")[0] if suffix == NON_LATIN else suffix
    assert text.count(_squeezed(words)) > 10


def test_letters_without_a_font_are_reported(tmp_path):
    results = make_results(label_suffix=" 医院", **LEAST)
    assert "lacksomeofthelettersused(U+533B,U+9662,...)" in _text(write_report(results, tmp_path))
    assert "lacksomeoftheletters" not in _text(write_report(make_results(**LEAST), tmp_path))


@pytest.mark.parametrize(
    "options",
    [
        LEAST,
        {"arms": ["heart-rate", "ssl-all", "untrained"], "with_intervals": False},
        pytest.param(
            {"n_patients": 20_000, "n_events": 4_000, "n_extra_arms": 19, "n_cohorts": 7, "label_suffix": f" {LONG}"},
            marks=pytest.mark.slow,
        ),
        LEAST | {"arms": ["network-random"], "exposure": "transductive"},
    ],
    ids=["least", "no covariates, no intervals", "much of all", "one network"],
)
def test_results_of_any_size_can_be_typeset(tmp_path, options):
    text = _text(write_report(make_results(**options), tmp_path))
    assert "Appendix:fullconfiguration" in text
    assert "None" not in text


@pytest.mark.parametrize("suffix", ["", " Больница Νοσοκομείο Bệnh viện مستشفى בית חולים", f" {SPECIAL}", f" {LONG}"])
def test_letters_of_many_scripts_and_long_names_keep_the_standards(tmp_path, suffix):
    _, complaint = write_pdf(compose(make_results(label_suffix=suffix, **LEAST)), tmp_path)
    assert complaint == ""


def test_a_letter_that_no_font_holds_costs_the_standards_but_not_the_report(tmp_path):
    # Private use: no font of any machine has it.
    path, complaint = write_pdf(compose(make_results(label_suffix=" \U000f1234", **LEAST)), tmp_path)
    assert "PDF/A" in complaint
    assert "pdfaid" not in PdfReader(path).root_object["/Metadata"].get_data().decode()
    assert len(PdfReader(path).pages) > 3


def test_results_without_lists_can_be_typeset(tmp_path):
    lists = ("findings", "table_one", "quality", "examples", "acquisition", "pretraining")
    results = make_results(**LEAST).model_copy(update={name: [] for name in lists})
    for some in ("inputs", "stage_seconds", "stage_peak_memory_mb"):
        getattr(results.provenance, some).clear()
    assert "Nodefectwasfound" in _text(write_report(results, tmp_path))


def test_a_failure_of_typesetting_names_its_cause(tmp_path, monkeypatch):
    def fail(*_args: object, **_options: object) -> bytes:
        raise RuntimeError("unknown variable: colour")

    monkeypatch.setattr(pdf.typst, "compile", fail)
    with pytest.raises(ReportError, match="could not be typeset: unknown variable: colour"):
        write_report(make_results(**LEAST), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_every_figure_is_a_page_of_its_own_at_300_dots_an_inch():
    report = small_report()
    pages = figure_pages(report)
    assert len(pages) == sum(name.startswith("Figure") for name in report.names.values())
    for page in pages:
        with Image.open(io.BytesIO(page.png)) as image:
            assert image.info["dpi"] == pytest.approx((300, 300), abs=0.01)
            assert image.width == pytest.approx(170 / 25.4 * 300, abs=2)
        assert page.svg.startswith("<svg")


def test_a_time_that_is_none_is_refused_with_the_way_out(tmp_path):
    results = make_results(**LEAST)
    results.provenance.created_utc = "yesterday"
    with pytest.raises(ReportError, match=r"'yesterday'.*ppgssl evaluate"):
        write_report(results, tmp_path)


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ReportError, match=r"cannot write .*file"):
        write_report(make_results(**LEAST), tmp_path / "file")
