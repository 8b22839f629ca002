from __future__ import annotations

import pytest

from ppgssl.core.reasons import DEFECTS, FindingKind, Reason
from ppgssl.core.records import Reject
from ppgssl.core.results.data import Exclusion, finding
from ppgssl.signals.artefacts import Defect
from ppgssl.store.rows import rejects_frame


def test_a_code_is_stable_lower_case_and_of_one_reason_or_finding():
    codes = [*map(str, Reason), *map(str, FindingKind)]
    assert len(set(codes)) == len(codes)
    assert all(code == code.lower() and " " not in code for code in codes)


def test_every_reason_has_a_text_that_no_other_reason_of_its_unit_has():
    texts = [(reason.unit, reason.text) for reason in Reason]
    assert len(set(texts)) == len(texts)
    assert all(text for _, text in texts)


def test_defects_of_samples_are_reasons_of_segments():
    assert [reason.value for reason in DEFECTS] == [name.name.lower() for name in Defect if name is not Defect.BRIDGED]


def test_stores_hold_codes_and_give_the_reason_back():
    frame = rejects_frame("files", [Reject(reason, "x") for reason in Reason])
    assert {Reason(code) for code in frame["reason"]} == set(Reason)
    assert dict(zip(frame["reason"], frame["unit"], strict=True)) == {reason.value: reason.unit for reason in Reason}


@pytest.mark.parametrize("kind", [Reason.COPY_OF_OTHER, FindingKind.FIT_CHANGED])
def test_results_hold_codes_and_give_the_kind_back(kind):
    made = finding("ward", kind, "text")
    assert f'"{kind.value}"' in made.model_dump_json()
    read = type(made).model_validate_json(made.model_dump_json())
    assert read.kind is kind
    assert read.severity == "caution"


def test_what_is_kept_is_no_exclusion():
    kept = {reason for reason in Reason if not reason.is_loss}
    assert {Reason.JOINED, Reason.NO_TRENDS, Reason.OTHER_UNIT, Reason.REPEATED_PATIENT} <= kept
    for reason in set(Reason) - kept:
        Exclusion.model_validate({"unit": reason.unit, "reason": reason, "n": 1})
