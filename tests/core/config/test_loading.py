from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from ppgssl.core.config.cohort import Cohort
from ppgssl.core.config.loading import cohort_root, load_cohort, load_study, save_description
from ppgssl.core.errors import ConfigError
from tests.support import small_cohorts

EXAMPLES = Path(__file__).parents[3] / "data_schemas" / "examples"

COHORT = {
    "name": "ward",
    "root": ".",
    "signals": {
        "files": "signals/{patient}.csv",
        "reader": "delimited",
        "fs_hz": 80,
        "channels": {"ppg_red": {"column": "red"}},
    },
    "clinical": {
        "file": "clinical.csv",
        "patient_column": "id",
        "variables": {
            "age": {"kind": "numeric", "range": [0, 120]},
            "sex": {"kind": "binary", "levels": {"f": "female", "m": "male"}},
            "sbp": {"kind": "numeric", "defines": ["admitted"]},
            "admitted": {"kind": "binary"},
        },
    },
}
STUDY = {
    "name": "trial",
    "out": "out",
    "cohorts": [{"cohort": "ward.yaml", "role": "labelled"}],
    "inputs": {"channels": [{"name": "red", "any_of": ["ppg_red"]}], "fs_hz": 40, "segment_s": 10, "step_s": 5},
    "outcome": "admitted",
    "covariates": ["age", "sex"],
}


def write(folder: Path, description: dict) -> Path:
    path = folder / "description.yaml"
    path.write_text(yaml.safe_dump(description))
    return path


def changed(description: dict, key: str, value: object) -> dict:
    """A copy with one dotted key set, or taken out where the value is None."""
    copy = yaml.safe_load(yaml.safe_dump(description))
    *parents, last = key.split(".")
    inner = copy
    for parent in parents:
        inner = inner[parent]
    if value is None:
        del inner[last]
    else:
        inner[last] = value
    return copy


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("nmae", "x", "unknown key `nmae` (did you mean 'name'?)"),
        ("signals.chanels", {}, "unknown key `signals.chanels` (did you mean 'channels'?)"),
        ("clinical.variables.age.rnage", [0, 1], "(did you mean 'range'?)"),
        ("signals.channels.ppg_red.colum", "r", "(did you mean 'column'?)"),
        ("signals.reader", None, "missing key `signals.reader`"),
        ("signals.files", "signals/*.csv", "must contain the field {patient}"),
        ("signals.channels", {"red light": {"column": 0}}, "must be named ppg"),
        ("signals.fs_hz", -80, "`signals.fs_hz`"),
        ("clinical.variables.age.range", [120, 0], "low < high"),
        ("clinical.variables.sex.levels", {"f": "female"}, "exactly two levels"),
        ("clinical.variables.sbp.defines", ["death"], "defines 'death', which is not a variable"),
        ("clinical.variables.sex.transform", "log10", "`clinical.variables.sex`: a binary variable has no transform"),
        (
            "clinical.variables.sbp.transform",
            "log10",
            "`clinical.variables.sbp`: with `transform`, the plausible `range`",
        ),
        ("clinical.variables.age.transform", "log10", "the logarithm of 0 at 0, an end of the `range`"),
        ("clinical.variables.age.transform", "ln", "`clinical.variables.age.transform.name`"),
        ("clinical.variables.age.transform", {"name": "log10", "ofset": 1}, "(did you mean 'offset'?)"),
        ("clinical.variables.age.transform", {"name": "log10", "slope": 0}, "age.transform.slope`: must not be 0"),
        ("clinical.variables.age.transform", {"offset": 1}, "missing key `clinical.variables.age.transform.name`"),
    ],
)
def test_a_mistake_in_a_cohort_is_named_with_its_key(tmp_path, key, value, message):
    with pytest.raises(ConfigError) as error:
        load_cohort(write(tmp_path, changed(COHORT, key, value)))
    assert message in str(error.value)
    assert "description.yaml" in str(error.value)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("arms", ["covariate"], "did you mean 'covariates'?"),
        ("covariates", ["admitted"], "cannot be a covariate of itself"),
        ("covariates", [], "`covariates` is empty"),
        ("cohorts", [{"cohort": "a.yaml", "role": "unlabelled"}], "exactly one cohort of role `labelled`"),
        ("cohorts", [{"role": "labelled"}], "needs `cohort`"),
        ("pretraining", {"exposure": "disjoint"}, "needs a cohort of role `unlabelled`"),
        (
            "pretraining",
            {"objective": {"name": "masked-autoencoder", "mask_ratio": 1.0}},
            "`pretraining.objective.mask_ratio`",
        ),
        (
            "pretraining",
            {"objective": {"name": "masked-autoencoder", "mask_rate": 0.5}},
            "unknown key `pretraining.objective.mask_rate` (did you mean 'mask_ratio'?)",
        ),
        ("pretraining", {"mask_ratio": 0.5}, "unknown key `pretraining.mask_ratio`"),
        ("pretraining", {"objective": "vicregg"}, "unknown name 'vicregg' (did you mean 'vicreg'?)"),
        ("pretraining", {"objective": {"mask_ratio": 0.5}}, "`pretraining.objective`: must be a name, or a mapping"),
        (
            "pretraining",
            {"objective": {"name": "vicreg", "augmentations": ["noise", {"name": "noise", "sdd": 1}]}},
            "`pretraining.objective.augmentations.1.sdd` (did you mean 'sd'?)",
        ),
        ("pretraining", {"encoder": {"widht": 8}}, "`pretraining.encoder.widht` (did you mean 'width'?)"),
        ("pretraining", {"encoder": "resnet51-1d"}, "did you mean 'resnet50-1d'?"),
        (
            "pretraining",
            {"encoder": {"name": "patch-transformer", "patch_samples": 1000}},
            "`pretraining.encoder.patch_samples` is 1000, more than the ",
        ),
        ("inputs.normalisation", "fixed", "needs `fixed"),
        ("validation", {"scheme": "loocv"}, "`validation.scheme`"),
        ("validation", {"scheme": "leave-one-site-out"}, "`site` names a clinical variable"),
        ("learning_curve", {"fractions": [0.5, 2]}, "`learning_curve.fractions`: each fraction must be above 0"),
        ("decisions", {"risks": [1.2]}, "risks between 0 and 1"),
        ("missing", {"method": "mcie"}, "`missing.method`"),
        ("arms", ["covariats"], "did you mean 'covariates'?"),
    ],
)
def test_a_mistake_in_a_study_is_named_with_its_key(tmp_path, key, value, message):
    with pytest.raises(ConfigError) as error:
        load_study(write(tmp_path, changed(STUDY, key, value)))
    assert message in str(error.value)


def test_all_mistakes_are_listed_at_once(tmp_path):
    wrong = changed(changed(COHORT, "titel", "x"), "signals.fs_hz", 0)
    with pytest.raises(ConfigError) as error:
        load_cohort(write(tmp_path, wrong))
    assert len(error.value.problems) == 2


@pytest.mark.parametrize(
    ("text", "message"), [("a: [1", "not valid YAML"), ("- 1\n- 2\n", "must be a mapping"), ("", "must be a mapping")]
)
def test_a_file_that_is_no_mapping_is_refused(tmp_path, text, message):
    path = tmp_path / "broken.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        load_cohort(path)


def test_an_absent_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"there is no file .*nowhere\.yaml"):
        load_study(tmp_path / "nowhere.yaml")


def test_a_description_reads_back_as_it_was_saved(tmp_path):
    cohort = Cohort.model_validate(COHORT)
    save_description(cohort, tmp_path / "saved.yaml")
    assert load_cohort(tmp_path / "saved.yaml") == cohort


def log_of_age(**more) -> dict:
    age = {"column": "age", "kind": "numeric", "unit": "years", "range": [1, 120], "transform": "log10"}
    return changed(COHORT, "clinical.variables.log_age", {**age, **more})


@pytest.mark.parametrize(
    ("more", "label"),
    [
        ({}, "log10(log_age in years)"),
        ({"label": "Age"}, "log10(Age in years)"),
        ({"label": "log10(Age)"}, "log10(Age)"),
        (
            {"label": "Age", "transform": {"name": "log10", "offset": 2, "factor": -0.01}},
            "log10(2 - 0.01 Age in years)",
        ),
    ],
)
def test_a_transformed_variable_has_its_formula_as_label_and_the_unit_in_it_once(tmp_path, more, label):
    cohort = Cohort.model_validate(log_of_age(**more))
    variable = cohort.clinical.variables["log_age"]
    assert (variable.label, variable.unit, variable.written_unit) == (label, "", "years")
    save_description(cohort, tmp_path / "saved.yaml")
    assert load_cohort(tmp_path / "saved.yaml") == cohort


def test_the_plausible_range_of_a_transformed_variable_is_that_of_the_table_until_it_is_used():
    variables = Cohort.model_validate(log_of_age(range=[1, 100])).clinical.variables
    assert variables["log_age"].range == (1, 100)
    assert variables["log_age"].used_range == (0, 2)
    assert variables["age"].used_range == (0, 120)
    assert variables["sbp"].used_range is None


def test_two_units_of_one_transformed_variable_are_refused(tmp_path):
    path = write(tmp_path, log_of_age(transform={"name": "log10", "unit": "months"}))
    with pytest.raises(ConfigError, match=r"`unit` is years, and `transform.unit` months: leave one out"):
        load_cohort(path)


def test_variables_of_a_column_that_defines_an_outcome_all_define_it(tmp_path):
    other = {"column": "sbp", "kind": "numeric", "range": [40, 300], "transform": "log10"}
    path = write(tmp_path, changed(COHORT, "clinical.variables.log_sbp", other))
    with pytest.raises(ConfigError, match=r"'log_sbp' is of column 'sbp', .*defines 'admitted': so it defines it too"):
        load_cohort(path)
    path = write(tmp_path, changed(COHORT, "clinical.variables.log_sbp", {**other, "defines": ["admitted"]}))
    assert load_cohort(path).clinical.variables["log_sbp"].defines == ["admitted"]


def test_an_outcome_need_not_define_itself_where_its_column_has_another_variable():
    stays = {"column": "admitted", "kind": "categorical", "levels": {"0": "none", "1": "some"}, "defines": ["admitted"]}
    assert Cohort.model_validate(changed(COHORT, "clinical.variables.stays", stays))


def test_the_event_of_a_binary_variable_is_its_second_level():
    variables = Cohort.model_validate(COHORT).clinical.variables
    assert variables["sex"].level_names == ["female", "male"]
    assert variables["admitted"].level_names == ["0", "1"]


def test_root_takes_its_folder_from_the_environment(tmp_path, monkeypatch):
    cohort = Cohort.model_validate(changed(COHORT, "root", "${PPGSSL_DATA}/raw"))
    (tmp_path / "raw").mkdir()
    monkeypatch.setenv("PPGSSL_DATA", str(tmp_path))
    assert cohort_root(cohort, tmp_path / "cohort.yaml") == (tmp_path / "raw").resolve()
    monkeypatch.delenv("PPGSSL_DATA")
    with pytest.raises(ConfigError, match="PPGSSL_DATA is not set"):
        cohort_root(cohort, tmp_path / "cohort.yaml")


def test_an_absent_root_is_named(tmp_path):
    cohort = Cohort.model_validate(changed(COHORT, "root", "raw"))
    with pytest.raises(ConfigError, match="there is no folder"):
        cohort_root(cohort, tmp_path / "cohort.yaml")


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("cohorts/*.yaml")), ids=lambda path: path.stem)
def test_the_example_cohorts_are_valid(path):
    assert load_cohort(path).name == path.stem


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("studies/*.yaml")), ids=lambda path: path.stem)
def test_the_example_studies_are_valid_and_their_cohorts_exist(path):
    study = load_study(path)
    for entry in study.cohorts:
        assert (path.parent / entry.cohort).is_file()


@pytest.mark.parametrize(
    ("vitals", "message"),
    [
        ({"spo2_calibration": "fit"}, "needs a saturation to fit to"),
        ({"spo2_calibration": "fit", "spo2_reference": "sao2"}, "'sao2', which is no variable of the clinical table"),
        ({"spo2_calibration": "fit", "spo2_reference": "sex"}, "must be a numeric variable, and 'sex' is none"),
        ({"spo2_reference": "age"}, "belongs to `vitals.spo2_calibration: fit`"),
        ({"spo2_calibration": []}, "at least 1 item"),
    ],
)
def test_a_calibration_of_spo2_without_its_reference_is_refused(tmp_path, vitals, message):
    with pytest.raises(ConfigError, match=message):
        load_cohort(write(tmp_path, COHORT | {"vitals": vitals}))


def test_a_calibration_of_spo2_may_be_fitted_to_the_trend_or_to_a_variable(tmp_path):
    by_variable = COHORT | {"vitals": {"spo2_calibration": "fit", "spo2_reference": "sbp"}}
    trends = {"file": "{patient}.csv", "columns": {"spo2_percent": "Saturation"}}
    by_trend = changed(COHORT, "signals.trends", trends) | {"vitals": {"spo2_calibration": "fit"}}
    for description in (by_variable, by_trend):
        assert load_cohort(write(tmp_path, description)).vitals.spo2_polynomial == []
    assert load_cohort(write(tmp_path, COHORT)).vitals.spo2_polynomial == [110.0, -25.0]


@pytest.mark.parametrize(
    ("quality", "message"), [("maybe", "expected `false`, or a mapping"), ({"method": "best"}, "'rules'")]
)
def test_quality_is_switched_off_or_described(tmp_path, quality, message):
    with pytest.raises(ConfigError, match=message):
        load_cohort(small_cohorts.describe(tmp_path, quality=quality))
    assert load_cohort(small_cohorts.describe(tmp_path, quality={"method": "rules"})).quality.method == "rules"
