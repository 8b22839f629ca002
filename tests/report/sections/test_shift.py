"""What a report says of an external validation: never what a comparison of arms would say."""

from __future__ import annotations

import pytest

from ppgssl.core.results.base import Interval
from ppgssl.core.results.robustness import ShiftMeasure
from ppgssl.core.results.study import Results
from ppgssl.report.sections.contents import make_sections
from ppgssl.report.sections.shift import shift_section, shift_table
from ppgssl.report.text.methods import configuration
from ppgssl.report.text.summary import summary
from tests.support.fake_results import make_results


def measure(name: str, **changes: object) -> ShiftMeasure:
    plain = {
        "name": name,
        "label": name.title(),
        "group": "covariate",
        "n": 80,
        "n_missing": 20,
        "n_reference": 200,
        "proportion_missing_reference": 0.1,
        "mean": 5.0,
        "sd": 1.0,
        "mean_reference": 4.0,
        "sd_reference": 1.0,
        "difference": 1.0,
        "difference_by_chance": 0.26,
        "index": 0.8,
        "index_by_chance": 0.3,
        "is_warning": True,
    }
    return ShiftMeasure.model_validate(plain | changes)


def external(*, auroc: tuple[float, float] = (0.6, 0.8), slope: float = 0.5, shift: list[ShiftMeasure]) -> Results:
    found = make_results()
    arm = next(one for one in found.arms if one.calibration is not None)
    interval = Interval(estimate=sum(auroc) / 2, ci_low=auroc[0], ci_high=auroc[1])
    calibration = arm.calibration.model_copy(
        update={
            "slope": Interval(estimate=slope, ci_low=slope - 0.1, ci_high=slope + 0.1),
            "intercept": Interval(estimate=-0.6, ci_low=-0.9, ci_high=-0.3),
        }
    )
    arms = [
        arm.model_copy(
            update={"label": f"{label}: one", "features": "ssl-all", "auroc": interval, "calibration": calibration}
        )
        for label in ("Frozen model", "Recalibrated in the large")
    ]
    validation = found.validation.model_copy(update={"scheme": "external", "n_patients": 300, "n_events": 90})
    return found.model_copy(update={"arms": arms, "shift": shift, "validation": validation})


def part(results: Results, title: str) -> list[str]:
    return [words(text) for text in summary(results, ["ppg_ir"])[title]]


def headline(results: Results) -> str:
    return " ".join(part(results, "headline"))


def words(text: object) -> str:
    parts = text if isinstance(text, tuple) else (text,)
    return "".join(part if isinstance(part, str) else getattr(part, "text", "") for part in parts)


def test_the_headline_reports_discrimination_calibration_and_likeness():
    text = headline(external(shift=[measure("age")]))
    assert "distinguishes patients better than guessing here (AUROC 0.70, 0.60 to 0.80)" in text
    assert "its risks are too high, and they are too extreme: recalibrate it before any use here" in text
    assert "1 quantity of 1 differs" in text
    assert "arm" not in text


@pytest.mark.parametrize(
    ("auroc", "words"), [((0.4, 0.6), "was not shown to distinguish"), ((0.2, 0.4), "the wrong way round")]
)
def test_a_model_that_does_not_work_is_not_praised(auroc, words):
    assert words in headline(external(auroc=auroc, shift=[]))


def test_too_few_events_claim_nothing():
    found = external(shift=[])
    few = found.validation.model_copy(update={"n_patients": 50, "n_events": 7, "n_test_patients": 50})
    assert "too few to claim anything" in headline(found.model_copy(update={"validation": few}))


def test_every_arm_and_the_difference_of_patients_have_a_finding():
    texts = part(external(shift=[measure("age")]), "findings")
    assert len(texts) == 4
    assert texts[0].startswith("Discrimination.")
    assert texts[2].startswith("Recalibrated in the large.")
    assert "AUROC is the chance" in part(external(shift=[]), "question")[0]


def test_the_table_shows_all_but_the_features_of_which_it_shows_the_most_different():
    features = [
        measure(f"ssl_{number:03d}", group="feature", difference=number / 10, is_warning=False) for number in range(20)
    ]
    table = shift_table(external(shift=[measure("age", unit="years"), *features]))
    labels = [words(row.cells[0]) for row in table.rows]
    assert labels == ["Age (years)", "Ssl_019", "Ssl_018", "Ssl_017", "Ssl_016", "Ssl_015"]
    assert words(table.rows[0].cells[3]) == "20% / 10%"


def test_results_without_a_shift_have_no_such_section():
    assert shift_section(make_results()).blocks == ()


def test_methods_and_checklists_do_not_speak_of_folds_or_of_tested_patients_in_training():
    texts = str(make_sections(external(shift=[measure("age")]), configuration(make_results())))
    assert "was used as it was" in texts
    assert "pretrained when the model was made" in texts
    for wrong in ("separately in every fold", "once for all folds", "Patients were split by", "use the same patients"):
        assert wrong not in texts


def test_nothing_measured_is_no_number():
    nothing = measure("age", mean=None, sd=None, difference=None, index=None, mean_reference=None)
    row = shift_table(external(shift=[nothing])).rows[0]
    assert [words(cell) for cell in row.cells[1:3]] == ["", ""]
