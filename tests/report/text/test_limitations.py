"""Limitations are those of the results at hand."""

from __future__ import annotations

from ppgssl.report.document import plain
from ppgssl.report.text.limitations import limitations
from tests.support.fake_results import PARTS, make_results


def test_what_was_not_assessed_is_said_and_what_was_is_not():
    bare, whole = make_results(without=PARTS), make_results()
    assert any(
        "Not assessed: calibration, classification at thresholds and net benefit." in plain(text)
        for text in limitations(bare)
    )
    assert not any("Not assessed" in plain(text) for text in limitations(whole))


def test_single_imputation_and_mice_are_told_apart():
    assert any("single imputation" in plain(text) for text in limitations(make_results()))
    mice = limitations(make_results(missing="mice"))
    assert not any("single imputation" in plain(text) for text in mice)
    assert any("were imputed as if" in plain(text) for text in mice)
