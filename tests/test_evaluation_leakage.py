"""Leakage: a seen patient is never tested in silence."""

from __future__ import annotations

import pytest

from ppgssl.errors import LeakageError
from ppgssl.evaluation.leakage import check_no_leakage


def test_disjoint_patients_pass():
    check_no_leakage(["a", "b"], ["c"], "the encoder")
    check_no_leakage([], [], "the encoder")


def test_up_to_five_shared_patients_are_named():
    seen = [f"p{i}" for i in range(9)]
    with pytest.raises(LeakageError, match=r"encoder 'ssl-all' has seen 7 .*\(p0, p1, p2, p3, p4, \.\.\.\)"):
        check_no_leakage(seen[:7], iter(seen), "encoder 'ssl-all'")
    with pytest.raises(LeakageError, match=r"has seen 1 .*\(p3\)"):
        check_no_leakage(["p3", "x"], seen, "it")
