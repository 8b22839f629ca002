"""The PDF holds what the results say, whatever their size, letters and gaps."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from pypdf import PdfReader

from ppgssl.errors import ReportError
from ppgssl.report import pdf, rounding
from ppgssl.report.pdf import write_report
from ppgssl.results import Results
from tests.fake_results import LONG, NON_LATIN, SPECIAL, make_results

LEAST: dict[str, Any] = {
    "arms": ["covariates"],
    "n_patients": 20,
    "n_events": 5,
    "n_cohorts": 1,
    "with_pretraining": False,
    "with_examples": False,
    "with_acquisition": False,
    "with_sensitivity": False,
}


def _text(results: Results, folder: Path) -> str:
    reader = PdfReader(write_report(results, folder))
    pages = "\n".join(page.extract_text() for page in reader.pages)
    return _squeezed(pages)


def _squeezed(text: str) -> str:
    """Without breaks: a table cell or a hyphenation may break a line anywhere."""
    return re.sub(r"\s|\u200b|\u00ad", "", text)


@pytest.fixture(scope="module")
def reader(tmp_path_factory) -> PdfReader:
    return PdfReader(write_report(make_results(), tmp_path_factory.mktemp("report")))


def test_the_report_shows_every_arm_with_its_interval_and_no_nan(reader):
    results = make_results()
    text = _squeezed("\n".join(page.extract_text() for page in reader.pages))
    decimals = rounding.auroc_decimals(results)
    for arm in results.arms:
        assert _squeezed(arm.label) in text
        assert _squeezed(rounding.interval(arm.auroc, decimals)) in text
        if arm.difference:
            assert _squeezed(rounding.interval(arm.difference, decimals, signed=True)) in text
    assert not re.search(r"\bnan\b|None", text.replace("-nan-.", ""))


def test_the_order_of_sections_is_that_of_a_paper(reader):
    titles = [item.title for item in reader.outline if not isinstance(item, list)]
    assert titles == [
        "Summary",
        "Cohorts",
        "What the data check met",
        "Patients",
        "Signal quality",
        "Self-supervised pretraining",
        "Results",
        "Methods",
        "Limitations",
        "References",
        "Provenance",
        "Appendix: full configuration",
    ]


def test_the_summary_is_one_page(reader):
    first, second = (_squeezed(reader.pages[number].extract_text()) for number in (0, 1))
    assert "Whatthisdoesnotshow" in first
    assert "Fromfilestopatients" in second
    assert 8 <= len(reader.pages) <= 14


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


def test_equal_results_give_an_equal_file(tmp_path):
    some = LEAST | {"arms": ["covariates", "ssl-all", "untrained"], "with_acquisition": True}
    first = write_report(make_results(**some), tmp_path / "a").read_bytes()
    assert write_report(make_results(**some), tmp_path / "b").read_bytes() == first


@pytest.mark.parametrize("suffix", [SPECIAL, NON_LATIN], ids=["special characters", "many scripts"])
def test_labels_print_literally(tmp_path, suffix):
    text = _text(make_results(label_suffix=f" {suffix}"), tmp_path)
    words = suffix.split(" · ")[0] if suffix == NON_LATIN else suffix
    assert text.count(_squeezed(words)) > 10


def test_letters_without_a_font_are_confessed(tmp_path):
    assert "lacksomeofthelettersused(U+533B,U+9662,...)" in _text(make_results(label_suffix=" 医院", **LEAST), tmp_path)
    assert "lacksomeoftheletters" not in _text(make_results(**LEAST), tmp_path)


@pytest.mark.parametrize(
    "options",
    [
        LEAST,
        {"arms": ["heart-rate", "ssl-all", "untrained"], "with_intervals": False},
        {"n_patients": 20_000, "n_events": 4_000, "n_extra_arms": 19, "n_cohorts": 7, "label_suffix": f" {LONG}"},
        LEAST | {"arms": ["network-random"], "exposure": "transductive"},
    ],
    ids=["least", "no covariates, no intervals", "much of all", "one network"],
)
def test_results_of_any_size_can_be_typeset(tmp_path, options):
    text = _text(make_results(**options), tmp_path)
    assert "Appendix:fullconfiguration" in text
    assert "None" not in text


def test_results_without_lists_can_be_typeset(tmp_path):
    results = make_results(arms=["covariates"]).model_copy(
        update={"findings": [], "table_one": [], "quality": [], "examples": [], "acquisition": [], "pretraining": []}
    )
    results.provenance.inputs.clear()
    results.provenance.stage_seconds.clear()
    results.provenance.stage_peak_memory_mb.clear()
    assert "Nodefectwasfound" in _text(results, tmp_path)


def test_a_failure_of_typesetting_names_its_cause(tmp_path, monkeypatch):
    def fail(*_args: object, **_options: object) -> bytes:
        raise RuntimeError("unknown variable: colour")

    monkeypatch.setattr(pdf.typst, "compile", fail)
    with pytest.raises(ReportError, match="could not be typeset: unknown variable: colour"):
        write_report(make_results(**LEAST), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_time_that_is_none_is_refused_with_the_way_out(tmp_path):
    results = make_results(**LEAST)
    results.provenance.created_utc = "yesterday"
    with pytest.raises(ReportError, match=r"'yesterday'.*ppgssl evaluate"):
        write_report(results, tmp_path)


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ReportError, match=r"cannot write .*file"):
        write_report(make_results(**LEAST), tmp_path / "file")
