from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from ppgssl.core.errors import ReportError
from ppgssl.core.results.base import Interval
from ppgssl.core.results.study import Results, load_results, save_results
from tests.support.fake_results import make_results as make


def test_results_come_back_as_they_were_saved(tmp_path):
    results = make()
    save_results(results, tmp_path / "results.json")
    assert load_results(tmp_path / "results.json") == results


def test_what_is_not_defined_is_null_in_strict_json(tmp_path):
    results = make()
    results.arms[0].auroc = Interval(estimate=float("nan"), ci_low=float("-inf"), ci_high=None)
    save_results(results, tmp_path / "results.json")

    def refuse(name: str) -> float:
        raise AssertionError(f"{name} is not JSON")

    text = (tmp_path / "results.json").read_text(encoding="utf-8")
    assert json.loads(text, parse_constant=refuse)["arms"][0]["auroc"] == {
        "estimate": None,
        "ci_low": None,
        "ci_high": None,
    }
    assert load_results(tmp_path / "results.json").arms[0].auroc.estimate is None


def test_missing_results_name_the_command_that_makes_them(tmp_path):
    with pytest.raises(ReportError, match="ppgssl evaluate"):
        load_results(tmp_path / "results.json")


@pytest.mark.parametrize(
    ("key", "value", "place"),
    [("schema_version", 2, "schema_version"), ("surprise", 1, "surprise"), ("arms", 3, "arms")],
)
def test_results_of_another_version_are_refused_by_the_first_thing_that_differs(tmp_path, key, value, place):
    content = json.loads(make().model_dump_json())
    content[key] = value
    (tmp_path / "results.json").write_text(json.dumps(content))
    with pytest.raises(ReportError, match=rf"not a result of this version \({place}: .*ppgssl evaluate"):
        load_results(tmp_path / "results.json")


def test_a_file_that_was_cut_off_is_refused(tmp_path):
    save_results(make(), tmp_path / "results.json")
    content = (tmp_path / "results.json").read_bytes()
    (tmp_path / "results.json").write_bytes(content[: len(content) // 2])
    with pytest.raises(ReportError, match="not a result"):
        load_results(tmp_path / "results.json")


def test_no_key_can_be_left_out():
    content = json.loads(make().model_dump_json())
    del content["arms"]
    with pytest.raises(ValidationError):
        Results.model_validate(content)
