"""One call makes the whole set, from results alone."""

from __future__ import annotations

from ppgssl.report.delivery import deliver_report
from tests.support.composed import LEAST, whole_report
from tests.support.fake_results import make_results


def test_pdf_page_and_files_are_made_together(tmp_path):
    delivery = deliver_report(make_results(**LEAST), tmp_path / "new", paper="us-letter")
    assert (delivery.pdf, delivery.html) == (tmp_path / "new" / "report.pdf", tmp_path / "new" / "report.html")
    assert delivery.exports == tmp_path / "new" / "report"
    assert delivery.warnings == ()
    names = {path.name for path in delivery.exports.iterdir()}
    assert names == {"README.txt", "tables.xlsx", "tables", "figures", "data"}


def test_a_reader_is_warned_where_the_pdf_is_not_for_archives(tmp_path):
    delivery = deliver_report(make_results(label_suffix=" \U000f1234", **LEAST), tmp_path)
    assert len(delivery.warnings) == 1
    assert "report.pdf is no PDF/A" in delivery.warnings[0]


def test_a_composition_numbers_every_figure_and_draws_all_but_the_flow():
    report = whole_report()
    figures = [label for label, name in report.names.items() if name.startswith("Figure")]
    assert set(report.figures) == set(figures) - {"figure-flow"}
    assert [int(report.names[label].split()[1]) for label in figures] == list(range(1, len(figures) + 1))
    assert (report.title, report.date) == (report.results.title, "14 March 2026")
