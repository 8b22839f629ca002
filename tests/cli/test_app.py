"""The command line as a user meets it: exit code, stdout and stderr."""

from __future__ import annotations

import json
import os
import re
import signal as signals
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from pypdf import PdfReader

from ppgssl.core.results.study import save_results
from ppgssl.stages.ingest.ingest import ingest
from ppgssl.store.tables import CohortStore
from tests.support.composed import LEAST
from tests.support.fake_results import make_results
from tests.support.same_stores import assert_same_store
from tests.support.small_cohorts import (
    clinical_row,
    describe,
    describe_bad_ward,
    describe_study,
    expected_of_bad_ward,
    make_ward,
    signal,
    write_clinical,
    write_signal,
)

CLI = [sys.executable, "-c", "from ppgssl.cli.app import main; main()"]
COMMANDS = (
    *("init", "check", "ingest", "inspect", "pretrain", "probe", "evaluate"),
    *("report", "run", "export", "simulate", "fit", "predict", "pseudonyms"),
)


def test_help_of_a_process_lists_the_commands():
    done = subprocess.run([*CLI, "--help"], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0
    for command in COMMANDS:
        assert f"  {command}  " in done.stdout


def test_help_is_quick_because_it_imports_nothing_heavy():
    # What takes long to import stays inside the commands that need it.
    program = """
import sys
from typer.testing import CliRunner
from ppgssl.cli.commands import app
for name in ("", "ingest", "run", "fit", "predict", "evaluate"):
    assert CliRunner().invoke(app, [name, "--help"] if name else ["--help"]).exit_code == 0
heavy = {"torch", "pandas", "numpy", "scipy", "sklearn", "pyarrow", "deltalake", "matplotlib"}
sys.exit(", ".join(sorted(heavy & set(sys.modules))) or 0)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["injest"], "no such command 'injest'"),
        (["ingest"], "missing argument 'cohort'"),
        (["ingest", "cohort.yaml"], "missing option '--out'"),
        (["ingest", "cohort.yaml", "--out", "store", "--jobs", "many"], "invalid value for '--jobs'"),
    ],
)
def test_wrong_usage_is_exit_code_2(ppgssl, arguments, message):
    done = ppgssl(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr.lower()


def test_a_missing_description_is_exit_code_2_without_a_traceback(ppgssl, tmp_path):
    done = ppgssl("check", tmp_path / "cohort.yaml")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"error: there is no file {tmp_path / 'cohort.yaml'}\n"


def test_a_folder_that_cannot_be_written_is_named_without_a_traceback(ppgssl, tmp_path):
    (tmp_path / "file").touch()
    make_ward(tmp_path, 1)
    done = ppgssl("ingest", describe(tmp_path), "--out", tmp_path / "file" / "store")
    assert done.returncode == 1
    assert f"error: Not a directory: {tmp_path / 'file' / 'store'}" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_misspelt_key_is_refused_with_a_suggestion(ppgssl, tmp_path):
    make_ward(tmp_path, 1)
    done = ppgssl("ingest", describe(tmp_path, segmments={}), "--out", tmp_path / "store")
    assert (done.returncode, done.stdout) == (2, "")
    assert "unknown key `segmments` (did you mean 'segments'?)" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "store").exists()


@pytest.fixture(scope="module")
def bad_ward(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("bad")
    describe_bad_ward(folder)
    return folder


def assert_all_is_reported(text: str) -> None:
    text = re.sub(r"^.*: \d+/\d+, .*$", "", text, flags=re.MULTILINE)  # progress, whose rate could be any number
    for subject, reason in expected_of_bad_ward().items():
        assert subject in text
        assert reason.text in text
    for unwanted in ("Traceback", "187", "77,a"):  # no stack, no clinical value
        assert unwanted not in text


def test_ingest_of_a_bad_cohort_reports_what_is_wrong_and_takes_the_rest(ppgssl, bad_ward, tmp_path):
    done = ppgssl("ingest", bad_ward / "cohort.yaml", "--out", tmp_path / "store", "--jobs", 1)
    assert done.returncode == 0
    assert_all_is_reported(done.stderr)
    store = CohortStore(tmp_path / "store")
    assert set(store.rejects()["subject"]) == set(expected_of_bad_ward())
    assert len(store.recordings()) == 9
    assert "next: " in done.stdout


def test_check_of_a_bad_cohort_reports_the_same_and_fails(ppgssl, bad_ward):
    done = ppgssl("check", bad_ward / "cohort.yaml", "--jobs", 1)
    assert done.returncode == 2
    assert_all_is_reported(done.stderr)


def test_json_is_one_object_on_stdout(ppgssl, bad_ward, tmp_path):
    checked = ppgssl("check", bad_ward / "cohort.yaml", "--jobs", 1, "--json")
    ingested = ppgssl("ingest", bad_ward / "cohort.yaml", "--out", tmp_path / "store", "--jobs", 1, "--json")
    assert (checked.returncode, ingested.returncode) == (2, 0)
    complaints, summary = json.loads(checked.stdout), json.loads(ingested.stdout)
    assert complaints["complaints"] == summary["rejects"]
    assert summary["rejects"]["file-unreadable"] == 3
    assert (summary["files"], summary["recordings"]) == (12, 9)


def test_check_of_a_clean_cohort_succeeds(ppgssl, tmp_path):
    done = ppgssl("check", make_ward(tmp_path, 2), "--jobs", 1)
    assert done.returncode == 0
    assert "complaints                0" in done.stdout


TWO_OF_A_COLUMN = """\
name: ward
signals:
  files: signals/{patient}_{recording}.csv
  reader: delimited
  fs_hz: 50
  channels: {ppg: {column: ir}}
clinical:
  file: table.csv
  patient_column: id
  variables:
    spo2: {column: Oxygen saturation, kind: numeric, label: SpO2, unit: "%", range: [50, 100]}
    spo2_transformed:
      column: Oxygen saturation
      kind: numeric
      label: SpO2
      unit: "%"
      range: [50, 100]
      transform: {name: log10, offset: 103.711, factor: -1, slope: 4.314, intercept: -37.315}
segments: {segment_s: 4}
"""


def test_a_column_may_be_two_variables_and_another_transform_changes_the_table_alone(ppgssl, tmp_path):
    for number in range(1, 4):
        write_signal(tmp_path, f"p{number}_1", signal(number))
    (tmp_path / "table.csv").write_text("id,Oxygen saturation\np1,98\np2,88\np3,102\n")
    (tmp_path / "cohort.yaml").write_text(TWO_OF_A_COLUMN)
    ingest_it = ("ingest", tmp_path / "cohort.yaml", "--out", tmp_path / "store", "--jobs", 1)
    done = ppgssl(*ingest_it)
    assert done.returncode == 0
    assert "1 cell: outside the plausible range" in done.stderr
    first = CohortStore(tmp_path / "store")
    spo2 = np.array([98, 88, np.nan])
    table, content = first.patients(), first.fingerprint()
    np.testing.assert_array_equal(table["spo2"], spo2)
    np.testing.assert_allclose(table["spo2_transformed"], 4.314 * np.log10(103.711 - spo2) - 37.315)

    (tmp_path / "cohort.yaml").write_text(TWO_OF_A_COLUMN.replace("4.314", "68.864").replace("-37.315", "-52.110"))
    done = ppgssl(*ingest_it, "--json")
    assert json.loads(done.stdout)["files_read_now"] == 0
    again = CohortStore(tmp_path / "store")
    np.testing.assert_allclose(again.patients()["spo2_transformed"], 68.864 * np.log10(103.711 - spo2) - 52.110)
    assert again.fingerprint() != content  # so that studies of the store are made again

    (tmp_path / "cohort.yaml").write_text(TWO_OF_A_COLUMN.replace("[50, 100]", "[50, 110]"))
    refused = ppgssl(*ingest_it)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "`clinical.variables.spo2_transformed`: `transform` takes the logarithm of -6.289 at 110" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_the_data_folder_may_be_given_on_the_command_line(ppgssl, tmp_path):
    cohort_file = describe(tmp_path, root="${PPGSSL_DATA}/here")
    make_ward(tmp_path / "data" / "here", 1)
    refused = ppgssl("check", cohort_file)
    assert refused.returncode == 2
    assert "--data DIR" in refused.stderr
    assert ppgssl("check", cohort_file, "--data", tmp_path / "data").returncode == 0


def test_a_study_without_its_store_names_the_command_that_makes_it(ppgssl, tmp_path):
    make_ward(tmp_path, 1)
    study = describe_study(tmp_path, cohorts=[{"cohort": "cohort.yaml", "store": "store", "role": "labelled"}])
    done = ppgssl("pretrain", study)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"ppgssl ingest {tmp_path / 'cohort.yaml'} --out {tmp_path / 'store'}" in done.stderr
    assert "Traceback" not in done.stderr


# --- report ------------------------------------------------------------------------------------------------------


@pytest.fixture
def moved_results(tmp_path) -> Path:
    """``results.json`` alone, far from the study and the data that it came from."""
    folder = tmp_path / "mail attachment"
    folder.mkdir()
    save_results(make_results(**LEAST), folder / "results.json")
    return folder / "results.json"


def test_a_report_is_made_from_results_that_were_moved(ppgssl, moved_results, tmp_path):
    done = ppgssl("report", moved_results, "--out", tmp_path / "new" / "place", "--paper", "us-letter", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    summary = json.loads(done.stdout)
    assert (summary["study"], summary["arms"]) == ("demo-study", 1)
    for key, name in {"report": "report.pdf", "page": "report.html", "tables_and_figures": "report"}.items():
        assert Path(summary[key]) == tmp_path / "new" / "place" / name
        assert Path(summary[key]).exists()
    assert round(float(PdfReader(summary["report"]).pages[0].mediabox.width)) == 612
    assert list(moved_results.parent.iterdir()) == [moved_results]


def test_the_folder_of_results_will_do_and_gets_the_report(ppgssl, moved_results):
    done = ppgssl("report", moved_results.parent)
    assert done.returncode == 0
    assert f"page                {moved_results.parent / 'report.html'}" in done.stdout
    assert (moved_results.parent / "report" / "README.txt").is_file()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda text: text[: len(text) // 2], "is not a result: no JSON, or only a part (EOF"),
        (lambda _text: "", "is not a result: no JSON, or only a part"),
        (lambda _text: '{"runs": []}', "is not a result, but other JSON"),
        (lambda _text: "[1, 2]", "is not a result, but other JSON"),
        (
            lambda text: text.replace('"arms":', '"rows":', 1).replace('"flow":', '"arms":', 1),
            "is not a result of this version (flow: Field required), but of ppgssl 0.1.0",
        ),
        (
            lambda text: text.replace('"schema_version": 1', '"schema_version": 7'),
            "is not a result of this version (schema_version: Input should be 1), but of ppgssl 0.1.0",
        ),
    ],
    ids=["cut off", "empty", "other JSON", "a list", "other keys", "a later schema"],
)
def test_what_is_no_result_is_refused_with_the_way_out(ppgssl, moved_results, damage, message):
    moved_results.write_text(damage(moved_results.read_text()))
    done = ppgssl("report", moved_results)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"error: {moved_results} {message}" in done.stderr
    assert "`ppgssl evaluate STUDY.yaml`" in done.stderr
    assert list(moved_results.parent.iterdir()) == [moved_results]


def test_results_that_are_not_there_are_named(ppgssl, tmp_path):
    done = ppgssl("report", tmp_path)
    assert done.returncode == 1
    assert f"there is no {tmp_path / 'results.json'}: run `ppgssl evaluate STUDY.yaml` first" in done.stderr


# --- interruptions -----------------------------------------------------------------------------------------------

# Enough that a signal sent after the first fifth arrives long before the last.
N_FILES, SECONDS = 80, 40.0


@pytest.fixture(scope="module")
def large_ward(tmp_path_factory) -> Path:
    """Files of which one is empty and one holds two recordings, and the store of an uninterrupted ingest."""
    folder = tmp_path_factory.mktemp("large")
    for number in range(1, N_FILES + 1):
        write_signal(folder, f"p{number}_1", signal(number, SECONDS * (2 if number == 7 else 1)))
    (folder / "signals" / "p9_1.csv").write_text("")
    write_clinical(folder, [clinical_row(number) for number in range(1, N_FILES + 1)])
    ingest(describe(folder), folder / "store", n_jobs=1)
    return folder


def stop_in_the_middle(arguments: list[str], stop: signals.Signals) -> tuple[int, str]:
    """Start a process and its workers, and send them a signal as soon as a fifth of the files is done."""
    process = subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stderr is not None
    output = []
    for line in process.stderr:
        output.append(line)
        progress = re.search(r": (\d+)/(\d+), ", line)
        if progress and 5 * int(progress[1]) >= int(progress[2]):
            break
    os.killpg(process.pid, stop)
    rest = process.stderr.read()
    process.stderr.close()
    return process.wait(timeout=60), "".join(output) + rest


def test_ctrl_c_keeps_what_was_read_and_the_next_run_goes_on(ppgssl, large_ward, tmp_path):
    arguments = ["ingest", str(large_ward / "cohort.yaml"), "--out", str(tmp_path / "store"), "--jobs", "2"]
    code, output = stop_in_the_middle([*CLI, *arguments], signals.SIGINT)
    assert code == 1
    assert "run the same command again to go on" in output
    assert "Traceback" not in output
    assert "Warning" not in output
    n_kept = len(CohortStore(tmp_path / "store").recordings())
    assert 0 < n_kept < N_FILES
    resumed = ppgssl(*arguments, "--json")
    assert resumed.returncode == 0
    assert json.loads(resumed.stdout)["files_read_now"] < N_FILES
    assert_same_store(tmp_path / "store", large_ward / "store")


def test_kill_loses_no_recording_and_repeats_none(large_ward, tmp_path):
    # Commits of a few files, so that there are some before and some after the kill.
    program = "from ppgssl.stages.ingest import ingest; ingest._COMMIT_BYTES = 100_000; " + CLI[-1]
    arguments = ["ingest", str(large_ward / "cohort.yaml"), "--out", str(tmp_path / "store"), "--jobs", "2"]
    code, _output = stop_in_the_middle([sys.executable, "-c", program, *arguments], signals.SIGKILL)
    assert code == -signals.SIGKILL
    assert 0 < len(CohortStore(tmp_path / "store").recordings()) < N_FILES
    ingest(large_ward / "cohort.yaml", tmp_path / "store", n_jobs=1)
    recordings = CohortStore(tmp_path / "store").recordings(["recording_id"])
    assert recordings["recording_id"].is_unique
    assert len(recordings) == N_FILES  # one file is empty, and one holds two
    assert_same_store(tmp_path / "store", large_ward / "store")
