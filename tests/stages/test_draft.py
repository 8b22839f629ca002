"""`ppgssl init`: a draft that loads, that says what to look at, and that reveals nobody."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pandas as pd
import pyreadstat
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ppgssl.core.config.cohort import Cohort
from ppgssl.core.config.loading import cohort_root, load_cohort
from ppgssl.core.errors import ConfigError
from ppgssl.core.reasons import Reason
from ppgssl.readers import get_reader
from ppgssl.readers.clinical.table import read_clinical
from ppgssl.stages.draft import draft_cohort

HEADER = (
    "Variable / Field Name,Form Name,Section Header,Field Type,Field Label,"
    '"Choices, Calculations, OR Slider Labels",Field Note,Text Validation Type OR Show Slider Number,'
    "Text Validation Min,Text Validation Max,Identifier?\n"
)
DICTIONARY = HEADER + (
    "record_id,triage,,text,Study ID,,,,,,\n"
    "first_name,triage,,text,First name,,,,,,y\n"
    "village,triage,,text,Village,,,,,,\n"
    "admitted,triage,,text,Date of admission,,,date_dmy,2019-01-01,2021-12-31,\n"
    'sex,triage,,radio,Sex,"1, Male | 2, Female",,,,,\n'
    'score,triage,,dropdown,Coma score,"A, Alert | V, Voice | P, Pain | U, Unresponsive",,,,,\n'
    "weight,triage,,text,Weight (kg),,,number_1dp,1,60,\n"
    "temp,triage,,text,Temperature,,°C,number_1dp,30,43,\n"
    "irritable,triage,,yesno,Irritable?,,,,,,\n"
    'signs,triage,,checkbox,Danger signs,"1, Cough | -9, Not known",,,,,\n'
    "bmi,triage,,calc,BMI,[weight]/2,,,,,\n"
    "remarks,triage,,notes,Remarks,,,,,,\n"
    "died,outcome,,yesno,Died in hospital?,,,,,,\n"
)
COLUMNS = [
    *("record_id", "redcap_event_name", "redcap_repeat_instrument", "first_name", "village", "admitted", "sex"),
    *("score", "weight", "temp", "irritable", "signs___1", "signs____9", "remarks", "triage_complete", "died"),
    "outcome_complete",
]


def export(path: Path, *, with_events: bool = True, decimal: str = ".", delimiter: str = ",") -> Path:
    """A raw export: 30 children, each with a row for admission and one for discharge."""
    rows = []
    for number in range(30):
        child = {
            "record_id": f"C{number:02d}",
            "first_name": f"Akinyi{number}",
            "village": f"Kisumu{number % 3}",
            "admitted": f"2020-02-{number % 28 + 1:02d}",
            "sex": str(number % 2 + 1),
            "score": "AVPU"[number % 4],
            "weight": "-99" if number == 5 else f"{10 + number / 4:.2f}".replace(".", decimal),
            "temp": "UNK" if number == 6 else f"{36 + number / 20:.2f}".replace(".", decimal),
            "irritable": str(number % 2),
            "signs___1": str(number % 2),
            "signs____9": str(number // 15),
            "remarks": f"mother said {number}",
            "triage_complete": "2",
        }
        outcome = {"died": str(int(number % 5 == 0)), "outcome_complete": "2"}
        if with_events:
            rows.append(child | {"redcap_event_name": "admission_arm_1"})
            rows.append({"record_id": child["record_id"], "redcap_event_name": "discharge_arm_1"} | outcome)
        else:
            rows.append(child | outcome)
    columns = [name for name in COLUMNS if with_events or not name.startswith("redcap")]
    with path.open("w", newline="", encoding="utf-8-sig") as file:
        writer = csv.DictWriter(file, columns, restval="", delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)
    return path


@pytest.fixture
def project(tmp_path) -> Path:
    (tmp_path / "dictionary.csv").write_text(DICTIONARY, encoding="utf-8")
    export(tmp_path / "data.csv")
    return tmp_path


def drafted(folder: Path, source: str, table: str | None = None, **more) -> tuple[Cohort, str]:
    """The draft as it loads, and as it is written."""
    draft_cohort(folder / source, folder / "cohort.yaml", table=folder / table if table else None, **more)
    return load_cohort(folder / "cohort.yaml"), (folder / "cohort.yaml").read_text(encoding="utf-8")


def test_a_dictionary_becomes_kinds_levels_ranges_and_dates(project):
    cohort, text = drafted(project, "dictionary.csv")
    assert cohort.clinical is not None
    assert cohort.clinical.patient_column == "record_id"
    found = cohort.clinical.model_dump(mode="json", exclude_defaults=True)["variables"]
    assert found == {
        "admitted": {"kind": "date", "label": "Date of admission", "dates": ["2019-01-01", "2021-12-31"]},
        "sex": {"kind": "binary", "levels": {"1": "Male", "2": "Female"}},
        "score": {
            "kind": "categorical",
            "label": "Coma score",
            "levels": {"A": "Alert", "V": "Voice", "P": "Pain", "U": "Unresponsive"},
        },
        "weight": {"kind": "numeric", "unit": "kg", "range": [1.0, 60.0]},
        "temp": {"kind": "numeric", "label": "Temperature", "unit": "°C", "range": [30.0, 43.0]},
        "irritable": {"kind": "binary", "levels": {"0": "No", "1": "Yes"}},
        "signs_1": {
            "column": "signs___1",
            "kind": "binary",
            "label": "Danger signs: Cough",
            "levels": {"0": "no", "1": "yes"},
        },
        "signs_9": {
            "column": "signs____9",
            "kind": "binary",
            "label": "Danger signs: Not known",
            "levels": {"0": "no", "1": "yes"},
        },
        "bmi": {"kind": "numeric"},
        "died": {"kind": "binary", "label": "Died in hospital", "levels": {"0": "No", "1": "Yes"}},
    }
    assert "#   first_name: an identifier by the dictionary\n" in text
    assert "#   village: its name suggests that it may identify a person\n" in text
    assert "#   remarks: free text\n" in text


def test_the_table_adds_which_columns_there_are_and_how_missing_is_written(project):
    cohort, text = drafted(project, "dictionary.csv", "data.csv")
    assert cohort.clinical is not None
    assert "bmi" not in cohort.clinical.variables
    assert "#   bmi: not in the table\n" in text
    assert {"-99", "UNK"} <= set(cohort.clinical.missing)
    assert "60 rows belong to 30 patients" in text
    assert '#   redcap_event_name: ["admission_arm_1"]  # or: discharge_arm_1\n' in text
    assert "# ? filled in only where redcap_event_name is discharge_arm_1\n    died:" in text


def test_the_draft_reads_its_table_without_a_problem_once_where_is_chosen(project):
    drafted(project, "dictionary.csv", "data.csv")
    path = project / "cohort.yaml"
    text = path.read_text().replace("  # where:\n", "  where:\n").replace("  #   redcap", "    redcap")
    path.write_text(text)
    cohort = load_cohort(path)
    clinical = read_clinical(cohort.clinical, cohort_root(cohort, path))
    assert clinical.problems == []
    assert (len(clinical.patients), clinical.n_left_out) == (30, 30)
    assert clinical.patients["weight"].isna().sum() == 1
    assert clinical.patients.loc["C03", "admitted"] == "2020-02-04"


@pytest.mark.parametrize("suffix", ["csv", "xlsx", "parquet", "dta", "sav", "semicolon.csv"])
def test_a_draft_from_the_table_alone_reads_that_table(tmp_path, suffix):
    export(tmp_path / "t.csv", with_events=False)
    frame = pd.read_csv(tmp_path / "t.csv").replace({"UNK": None})
    frame["temp"] = frame["temp"].astype(float)
    write = {
        "xlsx": lambda path: frame.to_excel(path, index=False),
        "parquet": frame.to_parquet,
        "dta": lambda path: pyreadstat.write_dta(frame, path),
        "sav": lambda path: pyreadstat.write_sav(frame, path),
        "semicolon.csv": lambda path: export(path, with_events=False, decimal=",", delimiter=";"),
    }
    if suffix != "csv":
        write[suffix](tmp_path / f"t.{suffix}")
    cohort, _ = drafted(tmp_path, f"t.{suffix}")
    assert cohort.clinical is not None
    kinds = {name: variable.kind for name, variable in cohort.clinical.variables.items()}
    assert kinds == {
        "admitted": "date",
        "sex": "binary",
        "score": "categorical",
        "weight": "numeric",
        "temp": "numeric",
        "irritable": "binary",
        "signs_1": "binary",
        "signs_9": "binary",
        "died": "binary",
    }
    clinical = read_clinical(cohort.clinical, tmp_path)
    assert clinical.problems == []
    assert len(clinical.patients) == 30


@pytest.mark.parametrize("sources", [["data.csv"], ["dictionary.csv", "data.csv"]])
def test_nothing_that_may_identify_a_person_is_shown(project, sources):
    _, text = drafted(project, *sources)
    for secret in ("Akinyi", "Kisumu", "mother said", "C03", "36.15", "2020-02-04"):
        assert secret in (project / "data.csv").read_text()
        assert secret not in text


def test_an_export_of_labels_is_described_by_its_labels(tmp_path):
    (tmp_path / "dictionary.csv").write_text(DICTIONARY, encoding="utf-8")
    rows = [
        "Study ID,Event Name,Sex,Irritable?,Danger signs (choice=Cough),Weight (kg)",
        *(f"C{n},Admission,{'Male' if n % 2 else 'Female'},{'Yes' if n % 3 else 'No'},Checked,{n}" for n in range(9)),
    ]
    (tmp_path / "labels.csv").write_text("\n".join(rows) + "\n")
    cohort, _ = drafted(tmp_path, "dictionary.csv", "labels.csv")
    assert cohort.clinical is not None
    assert cohort.clinical.patient_column == "Study ID"
    assert cohort.clinical.variables["sex"].levels == {"Male": "Male", "Female": "Female"}
    assert cohort.clinical.variables["irritable"].column == "Irritable?"
    clinical = read_clinical(cohort.clinical, tmp_path)
    assert clinical.problems[0].reason is Reason.IMPLAUSIBLE  # The weight of C0 is 0.
    assert clinical.patients.loc["C1"].to_dict() == {
        "sex": 0.0,
        "weight_kg": 1.0,
        "irritable": 1.0,
        "danger_signs_choice_cough": 1.0,
    }


def test_the_signals_are_an_example_that_a_reader_takes(project):
    cohort, _ = drafted(project, "dictionary.csv")
    reader = get_reader(cohort.signals.reader)
    reader.parse_options(cohort.signals.options)
    assert set(cohort.signals.channels) == {"ppg_red", "ppg_ir"}
    assert cohort.signals.trends is not None


def test_the_root_is_the_folder_of_the_table(project):
    (project / "data").mkdir()
    (project / "studies").mkdir()
    (project / "data.csv").rename(project / "data" / "data.csv")
    for out in ("cohort.yaml", "studies/cohort.yaml"):
        draft_cohort(project / "data" / "data.csv", project / out)
        cohort = load_cohort(project / out)
        assert cohort_root(cohort, project / out) == (project / "data").resolve()


@pytest.mark.parametrize(
    ("header", "patient"),
    [
        ("sex,patient_id,age", "patient_id"),
        ("sex,Subject ID,age", "Subject ID"),
        ("record_id,id,age", "record_id"),
        ("sex,case,age", "case"),
    ],
)
def test_the_column_of_the_patients_is_found_by_name_or_because_it_never_repeats(tmp_path, header, patient):
    rows = [f"{'FM'[number % 2]},p{number},{number % 7}.5" for number in range(12)]
    (tmp_path / "t.csv").write_text("\n".join([header, *rows]) + "\n")
    cohort, _ = drafted(tmp_path, "t.csv")
    assert cohort.clinical is not None
    assert cohort.clinical.patient_column == patient


def test_the_column_of_the_patients_may_be_named(tmp_path):
    (tmp_path / "t.csv").write_text("id,case,age\n1,a,2\n2,a,3\n")
    cohort, text = drafted(tmp_path, "t.csv", patient_column="case")
    assert cohort.clinical is not None
    assert cohort.clinical.patient_column == "case"
    assert "2 rows belong to 1 patient:" in text
    with pytest.raises(ConfigError, match=r"--patient: no column is named 'Case' \(did you mean 'case'\?\)"):
        draft_cohort(tmp_path / "t.csv", tmp_path / "other.yaml", patient_column="Case")


def test_a_table_without_the_record_id_of_its_dictionary_needs_another_id(project):
    (project / "t.csv").write_text("sex,weight\n1,2.5\n2,2.5\n1,3\n")
    with pytest.raises(ConfigError, match="name it with --patient COLUMN"):
        drafted(project, "dictionary.csv", "t.csv")
    (project / "t.csv").write_text("case,sex,weight\na,1,2.5\nb,2,2.5\nc,1,3\n")
    assert drafted(project, "dictionary.csv", "t.csv")[0].clinical.patient_column == "case"


def test_dates_of_visits_are_not_shown_as_visits(tmp_path):
    rows = [f"p{number // 2},2020-03-{number % 3 + 1:02d},{number % 2},{number}.5" for number in range(30)]
    (tmp_path / "t.csv").write_text("\n".join(["id,visit,visitnum,x", *rows]) + "\n")
    cohort, text = drafted(tmp_path, "t.csv")
    assert cohort.clinical is not None
    assert set(cohort.clinical.variables) == {"visit", "x"}
    assert '#   visitnum: ["0"]  # or: 1\n' in text
    assert "2020-03" not in text


def test_the_sheet_of_a_workbook_may_be_named(tmp_path):
    with pd.ExcelWriter(tmp_path / "t.xlsx") as book:
        pd.DataFrame({"about": ["x"]}).to_excel(book, sheet_name="About", index=False)
        pd.DataFrame({"id": ["a", "b"], "age": [1.5, 2.5]}).to_excel(book, sheet_name="Ward 7", index=False)
    cohort, _ = drafted(tmp_path, "t.xlsx", sheet="Ward 7")
    assert cohort.clinical is not None
    assert list(read_clinical(cohort.clinical, tmp_path).patients["age"]) == [1.5, 2.5]


def test_an_existing_file_is_never_overwritten(project):
    (project / "cohort.yaml").write_text("mine")
    with pytest.raises(ConfigError, match="exists already, and is not overwritten"):
        drafted(project, "data.csv")
    assert (project / "cohort.yaml").read_text() == "mine"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("id,age\n1,é\n".encode("latin-1"), "line 2 is not UTF-8"),
        (b"1,61,F\n2,62,M\n", "row 1 holds numbers where the names"),
        (b"sex,age\nF,2\nF,2\n", "name it with --patient COLUMN"),
        (b"id,name\n1,Ann\n2,Ben\n", "no column of .* could be described: its name suggests"),
        (b"id\n1\n2\n", "it has no column but the patient's id"),
    ],
)
def test_a_table_that_cannot_be_drafted_reports_why_and_leaves_no_file(tmp_path, content, words):
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(ConfigError, match=words) as caught:
        draft_cohort(tmp_path / "t.csv", tmp_path / "new" / "cohort.yaml")
    assert "61" not in str(caught.value)
    assert not (tmp_path / "new").exists()


def test_two_tables_and_two_dictionaries_are_refused(project):
    with pytest.raises(ConfigError, match=r"is not a REDCap data dictionary .* so --table means nothing"):
        drafted(project, "data.csv", "data.csv")
    with pytest.raises(ConfigError, match="this is a data dictionary too"):
        drafted(project, "dictionary.csv", "dictionary.csv")


names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
cells = names | st.sampled_from(
    ["0", "1", "F", "M", "yes", "no", "on", "NA", "-99", "2020-01-02", "1,5", "2.5", "null"]
)


@given(st.lists(names, min_size=1, max_size=4), st.lists(st.lists(cells, min_size=4, max_size=4), max_size=12))
def test_whatever_a_table_holds_its_draft_loads_and_reads_it_or_it_is_refused(tmp_path, header, rows):
    out = tmp_path / "cohort.yaml"
    out.unlink(missing_ok=True)
    with (tmp_path / "t.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["id", *header])
        writer.writerows([number, *row[: len(header)]] for number, row in enumerate(rows))
    try:
        draft_cohort(tmp_path / "t.csv", out)
    except ConfigError:
        assert not out.exists()
        return
    cohort = load_cohort(out)
    assert cohort.clinical is not None
    clinical = read_clinical(cohort.clinical, tmp_path)
    assert all(item.reason is Reason.NOT_A_NUMBER for item in clinical.problems if item.unit == "cell")


# --- the command -----------------------------------------------------------------------------------------------


def test_the_command_reports_what_it_wrote_and_what_is_next(ppgssl, project):
    out = project / "cohort.yaml"
    done = ppgssl("init", project / "dictionary.csv", "--table", project / "data.csv", "--out", out)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"next: ppgssl check {out}\n" in done.stdout
    again = ppgssl("init", project / "data.csv", "--out", out)
    assert (again.returncode, again.stdout) == (2, "")
    assert again.stderr.startswith(f"error: {out} exists already")


def test_the_summary_may_be_json(ppgssl, project):
    done = ppgssl("init", project / "data.csv", "--out", project / "cohort.yaml", "--json")
    summary = json.loads(done.stdout)
    assert summary["patient_column"] == "record_id"
    assert "weight" in summary["variables"]
    assert set(summary["left_out"]) == {"first_name", "village", "remarks"}
    assert yaml.safe_load((project / "cohort.yaml").read_text())["name"] == "data"
