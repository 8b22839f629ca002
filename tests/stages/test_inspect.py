from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from ppgssl.cli.inspect import inspect
from typer.testing import CliRunner

from ppgssl.core.config.loading import load_cohort
from ppgssl.core.errors import StoreError
from ppgssl.core.reasons import Reason
from ppgssl.core.records import FloatArray, Recording, Reject, Signal
from ppgssl.report.browser_page import PageContent
from ppgssl.stages import inspect as inspection
from ppgssl.stages.ingest.ingest import ingest
from ppgssl.stages.inspect import inspect_store
from ppgssl.stages.inspect_encoding import UNKNOWN, excerpts
from ppgssl.store.processing import Chunk, process
from ppgssl.store.rows import rejects_frame
from ppgssl.store.segmenting import ensure_grid, segment_rows
from ppgssl.store.tables import CohortStore
from tests.support import oximeter
from tests.support.small_cohorts import FS_HZ, N_SEGMENTS, SECONDS, describe, make_ward, signal


def recording(
    name: str,
    *,
    seconds: float = SECONDS,
    seed: int = 0,
    noise: float = 0.0,
    gap_s: tuple[float, float] | None = None,
    flat_s: tuple[float, float] | None = None,
) -> Recording:
    """Red and infrared; noise on both, in multiples of the pulse; a gap in red, a flat interval in infrared."""
    red, infrared = signal(seed, seconds)
    rng = np.random.default_rng(seed)
    red, infrared = (channel + noise * rng.standard_normal(len(channel)) for channel in (red, infrared))
    if gap_s:
        red[round(gap_s[0] * FS_HZ) : round(gap_s[1] * FS_HZ)] = np.nan
    if flat_s:
        infrared[round(flat_s[0] * FS_HZ) : round(flat_s[1] * FS_HZ)] = 60.0
    signals = {"ppg_red": Signal(red, FS_HZ), "ppg_ir": Signal(infrared, FS_HZ)}
    return Recording(name, name.split("_")[0], signals, f"{name}.csv")


def make_store(folder: Path, recordings: Sequence[Recording], rejects: Sequence[Reject] = (), **changes: Any) -> Path:
    """A store of these recordings; ``changes`` as in :func:`tests.small_cohorts.describe`."""
    folder.mkdir(parents=True, exist_ok=True)
    cohort = load_cohort(describe(folder, clinical=None, **changes))
    store = CohortStore.create(folder / "store", cohort)
    stored = process([Chunk(one, "0" * 64) for one in recordings], cohort)
    store.append(stored, segment_rows(stored, cohort) if stored else pd.DataFrame(), rejects_frame("files", rejects))
    return folder / "store"


def contents(monkeypatch, folder: Path, **options: Any) -> PageContent:
    """What would be written onto the page."""
    written: list[PageContent] = []
    monkeypatch.setattr(inspection, "write_page", lambda content, _path: written.append(content))
    inspect_store(folder, **options)
    return written[0]


def decode(encoded: dict[str, Any]) -> FloatArray:
    codes = np.frombuffer(base64.b64decode(encoded["codes"]), dtype="<i2").astype(np.float64)
    return np.where(codes == UNKNOWN, np.nan, encoded["low"] + encoded["step"] * (codes + 32767))


MESSY = [
    recording("p1_1", seed=1),
    recording("p1_2", seed=2, gap_s=(5.0, 7.0)),
    recording("p2_1", seed=3, noise=3.0),
    recording("p3_1", seed=4, gap_s=(0.0, 3.0), flat_s=(0.0, 3.0)),
]


@pytest.fixture(scope="module")
def messy(tmp_path_factory) -> Path:
    rejects = [Reject(Reason.FILE_UNREADABLE, "p9_1.csv"), Reject(Reason.FILE_UNREADABLE, "p8_1.csv")]
    return make_store(tmp_path_factory.mktemp("messy"), MESSY, rejects)


def test_the_summary_counts_what_the_store_holds(messy, tmp_path):
    found = inspect_store(messy, tmp_path / "page.html")
    summary = found.summary
    assert (summary["recordings"], summary["patients"], summary["visits"]) == (4, 3, None)
    assert summary["hours"] == pytest.approx(4 * SECONDS / 3600)
    assert summary["source_fs_hz"] == [{"fs_hz": FS_HZ, "recordings": 4}]
    assert [(row["unit"], row["reason"], row["n"]) for row in summary["rejects"]] == [("file", "file-unreadable", 2)]
    assert summary["segments"][0]["segments"] == 4 * N_SEGMENTS
    assert (found.n_drawn, found.page) == (4, tmp_path / "page.html")
    assert found.page.is_file()
    json.dumps(summary, allow_nan=False)


def test_every_segment_of_a_channel_is_accepted_or_has_one_reason(messy, tmp_path):
    summary = inspect_store(messy, tmp_path / "page.html").summary
    by_channel = {row["channel"]: row for row in summary["channels"]}
    for row in by_channel.values():
        assert row["recordings"] == 4
        assert row["accepted"] + sum(row["reasons"].values()) == row["segments"] == 4 * N_SEGMENTS
        assert sum(row["sqi"]["histogram"]) == row["sqi"]["n"]
    # Of the segments [0, 4], [2, 6], [4, 8], [6, 10], [8, 12] three meet the gap from 5 to 7 s, two that of 0 to 3 s.
    assert by_channel["ppg_red"]["reasons"]["gap"] == 3 + 2
    assert by_channel["ppg_ir"]["reasons"]["flat"] == 2
    assert by_channel["ppg_ir"]["reasons"]["low-sqi"] >= 4  # noise three times as high as the pulse


def test_vitals_are_those_of_accepted_segments(messy, tmp_path):
    summary = inspect_store(messy, tmp_path / "page.html").summary
    store = CohortStore(messy)
    segments = store.segments(4.0, 2.0)
    accepted = segments[segments["accepted"]]
    assert 0 < len(accepted) < len(segments)
    assert summary["accepted"] == summary["segments"][0]["accepted"] == len(accepted)
    assert list(summary["vitals"]) == list(segments.columns[segments.columns.get_loc("accepted") + 1 :])
    rates = accepted["heart_rate_bpm"].dropna()
    found = summary["vitals"]["heart_rate_bpm"]
    assert found["n"] == len(rates)
    assert [found[key] for key in ("p5", "median", "p95")] == pytest.approx(np.percentile(rates, [5, 50, 95]))
    assert found["missing"] == pytest.approx(accepted["heart_rate_bpm"].isna().mean())
    arrival = summary["vitals"]["pulse_arrival_time_ms"]  # there is no ECG
    assert (arrival["n"], arrival["median"], arrival["missing"]) == (0, None, 1.0)


def test_other_lengths_that_were_cut_are_listed_after_the_cohorts_own(tmp_path):
    folder = make_store(tmp_path, MESSY[:2])
    store = CohortStore(folder)
    ensure_grid(store, store.cohort.segments.model_copy(update={"segment_s": 3.0, "step_s": 3.0}))
    rows = inspect_store(folder).summary["segments"]
    assert [(row["segment_s"], row["step_s"], row["segments"]) for row in rows] == [(4, 2, 10), (3, 3, 8)]


def test_the_page_lies_in_the_store_by_default_and_disturbs_nothing(tmp_path):
    cohort = make_ward(tmp_path, 2)
    ingest(cohort, tmp_path / "store", n_jobs=1)
    before = CohortStore(tmp_path / "store").fingerprint()
    assert inspect_store(tmp_path / "store").page == tmp_path / "store" / "inspect.html"
    ingest(cohort, tmp_path / "store", n_jobs=1)
    assert CohortStore(tmp_path / "store").fingerprint() == before


def test_a_recordings_quality_is_the_mean_of_its_best_channel_where_a_defect_counts_as_zero(messy, monkeypatch):
    table = contents(monkeypatch, messy).table
    segments = CohortStore(messy).segments(4.0, 2.0)
    for number, name in enumerate(table["recording"]):
        own = segments[segments["recording_id"] == name]
        sound = pd.concat([own[f"sqi_{c}"].where(own[f"defect_{c}"] == "", 0) for c in ("ppg_red", "ppg_ir")], axis=1)
        assert table["scopes"][""]["quality"][number] == pytest.approx(sound.max(axis=1).mean(), abs=1e-3)
        assert table["scopes"]["ppg_ir"]["quality"][number] == pytest.approx(sound["sqi_ppg_ir"].mean(), abs=1e-3)
        assert table["scopes"][""]["accepted"][number] == own["accepted"].sum()
        median = own.loc[own["accepted"], "heart_rate_bpm"].median()
        assert table["vitals"]["heart_rate_bpm"][number] == (None if np.isnan(median) else pytest.approx(median, 1e-4))
    # p3: no channel of the first two segments is of use, so the reasons of both are reported.
    assert table["scopes"][""]["reasons"][table["recording"].index("p3_1")] == {"gap": 2, "flat": 2}


def test_drawn_samples_are_the_stored_ones_with_their_gaps(messy, monkeypatch):
    drawn = contents(monkeypatch, messy).drawn
    stored = {one.recording_id: one for one in CohortStore(messy).iterate(["ppg_red", "ppg_ir"])}
    for row, waveforms in zip(drawn["rows"], drawn["waveforms"], strict=True):
        name = MESSY[row].recording_id
        assert waveforms["excerpts"] == [[0.0, SECONDS]]
        for channel, (excerpt,) in waveforms["channels"].items():
            expected = stored[name].channels[channel].samples.astype(np.float64)
            np.testing.assert_allclose(decode(excerpt), expected, rtol=0, atol=0.51 * excerpt["step"])
    red = drawn["waveforms"][drawn["rows"].index(1)]["channels"]["ppg_red"][0]
    (mark,) = (mark for mark in red["marks"] if mark[1] - mark[0] > 1)
    assert mark[:2] == pytest.approx([5.0, 7.0], abs=0.1)


def test_thinning_keeps_four_samples_in_the_shortest_period(tmp_path, monkeypatch):
    described = {"signal__fs_hz": 400, "signal__band_hz": {"ecg": [0.5, 24.0]}}
    channels = {"ppg_red": {"column": "red"}, "ppg_ir": {"column": "ir"}, "ecg_ii": {"column": "ecg"}}
    folder = make_store(tmp_path, [], signals__channels=channels, **described)
    rates = {row["name"]: row["fs_hz"] for row in contents(monkeypatch, folder).settings["channels"]}
    assert rates == {"ppg_red": 50, "ppg_ir": 50, "ecg_ii": 100}


def test_drawn_recordings_are_spread_evenly_over_the_ranks_of_quality(tmp_path, monkeypatch):
    noisy = [recording(f"p{number}_1", seed=number, noise=number / 3) for number in range(7)]
    folder = make_store(tmp_path, noisy)
    content = contents(monkeypatch, folder, n_recordings=3)
    ranked = np.argsort(content.table["scopes"][""]["quality"], kind="stable")
    assert content.drawn["rows"] == ranked[[0, 3, 6]].tolist()
    assert contents(monkeypatch, folder, n_recordings=0).drawn["rows"] == []


def test_fewer_are_drawn_where_the_page_would_grow_too_large(tmp_path, monkeypatch):
    # 150 s are drawn as two excerpts of 60 s.
    folder = make_store(tmp_path, [recording(f"p{n}_1", seed=n, seconds=150.0, noise=n / 4) for n in range(6)])
    n_all = len(json.dumps(contents(monkeypatch, folder).drawn))
    room = n_all // 2
    monkeypatch.setattr(inspection, "_PAGE_BYTES", room)
    content = contents(monkeypatch, folder)
    n_bytes = len(json.dumps({"table": content.table, "drawn": content.drawn}))
    assert len(content.drawn["rows"]) == 2
    assert 0.5 * room < n_bytes < room
    assert content.settings["n_asked"] == 200


def test_without_quality_recordings_are_ranked_by_their_proportion_of_accepted_segments(tmp_path, monkeypatch):
    trends = {"file": "signals/{patient}_{recording}.tsv", "columns": {"sqi": "SQI"}}
    cohort = load_cohort(
        describe(tmp_path, clinical=None, quality=False, segments__accept="device", signals__trends=trends)
    )
    store = CohortStore.create(tmp_path / "store", cohort)
    pieces = [
        Chunk(recording(f"p{number}_1", seed=number), "0" * 64, {"sqi": np.repeat([90.0, 10.0], [good, 12 - good])})
        for number, good in enumerate([8, 0, 12])
    ]
    stored = process(pieces, cohort)
    store.append(stored, segment_rows(stored, cohort), rejects_frame("files", []))
    content = contents(monkeypatch, tmp_path / "store")
    assert content.summary["channels"][0]["sqi"]["n"] == 0
    assert content.table["scopes"][""]["quality"] == [None] * 3
    assert content.drawn["rows"] == [1, 0, 2]
    assert content.table["scopes"]["ppg_ir"]["reasons"][1] == {"low-device-sqi": N_SEGMENTS}


def test_a_store_without_accepted_segments_has_no_vitals_but_a_page(tmp_path):
    folder = make_store(tmp_path, [recording("p1_1", gap_s=(0.0, SECONDS), flat_s=(0.0, SECONDS))])
    found = inspect_store(folder)
    assert (found.summary["accepted"], found.n_drawn) == (0, 1)
    assert found.summary["vitals"]["heart_rate_bpm"] == {
        "n": 0, "missing": None, "p5": None, "median": None, "p95": None
    }  # fmt: skip
    assert [row["recordings"] for row in found.summary["channels"]] == [0, 0]


def test_an_empty_store_and_a_recording_shorter_than_a_segment_have_a_page(tmp_path):
    empty = inspect_store(make_store(tmp_path / "empty", []))
    short = inspect_store(make_store(tmp_path / "short", [recording("p1_1", seconds=3.0)]))
    assert (empty.summary["recordings"], empty.n_drawn) == (0, 0)
    assert (short.summary["segments"][0]["segments"], short.n_drawn) == (0, 1)
    assert empty.page.is_file()
    assert short.page.is_file()


def test_no_clinical_value_is_on_the_page(tmp_path):
    make_ward(tmp_path, 3, clinical__variables__stage__levels={"a": "stage-alpha", "b": "stage-beta"})
    (tmp_path / "clinical.csv").write_text("id,age,stage,died\np1,47.123,a,0\np2,58.321,b,1\np3,187.654,b,1\n")
    ingest(tmp_path / "cohort.yaml", tmp_path / "store", n_jobs=1)
    found = inspect_store(tmp_path / "store")
    assert found.summary["patients_in_table"] == 3
    html = found.page.read_text()
    for value in ("47.123", "58.321", "187.654", "stage-alpha", "stage-beta"):
        assert value not in html
        assert value not in json.dumps(found.summary)


def test_a_folder_without_a_store_is_refused(tmp_path):
    with pytest.raises(StoreError, match="is not a store"):
        inspect_store(tmp_path)


def test_progress_reaches_the_number_of_recordings(messy, tmp_path):
    seen: list[tuple[int, int]] = []
    inspect_store(messy, tmp_path / "page.html", progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]


# --- excerpts --------------------------------------------------------------------------------------------------


def test_a_recording_of_two_excerpts_or_less_is_shown_whole():
    starts = np.arange(0.0, 111.0, 5.0)
    assert excerpts(starts, np.ones(23), duration_s=120.0, segment_s=10.0, excerpt_s=60.0) == [(0.0, 120.0)]


def test_of_a_long_recording_the_worst_and_the_best_minute_are_shown():
    starts = np.arange(0.0, 591.0, 5.0)
    quality = np.full(len(starts), 0.8)
    quality[(starts >= 200) & (starts < 260)] = 0.1
    quality[(starts >= 400) & (starts < 460)] = 1.0
    worst, best = excerpts(starts, quality, duration_s=600.0, segment_s=10.0, excerpt_s=60.0)
    assert (worst, best) == ((200.0, 260.0), (400.0, 460.0))


@given(
    quality=arrays(np.float64, st.integers(2, 200), elements=st.floats(0, 1)),
    step_s=st.sampled_from([1.0, 2.5, 5.0, 10.0, 20.0]),
    rest_s=st.floats(0, 9),
)
def test_excerpts_lie_in_the_recording_and_apart(quality, step_s, rest_s):
    starts = step_s * np.arange(len(quality))
    duration_s = float(starts[-1] + 10.0 + rest_s)
    found = excerpts(starts, quality, duration_s=duration_s, segment_s=10.0, excerpt_s=30.0)
    for begin, end in found:
        assert -1e-9 <= begin < end <= duration_s + 1e-9
        assert end - begin <= 60.0
    if len(found) == 2:
        (a, b), (c, d) = found
        assert b <= c + 1e-9 or d <= a + 1e-9
        means = [quality[(starts >= lo - 1e-6) & (starts <= hi - 10 + 1e-6)] for lo, hi in found]
        if all(map(len, means)):
            assert means[0].mean() <= means[1].mean() + 1e-9


# --- command ---------------------------------------------------------------------------------------------------


def run(*arguments: object) -> str:
    app = typer.Typer()
    app.command()(inspect)
    done = CliRunner().invoke(app, list(map(str, arguments)))
    assert done.exit_code == 0, done.output
    return done.stdout


def test_the_command_prints_every_part_of_the_summary(messy, tmp_path):
    output = run(messy, "--out", tmp_path / "page.html", "--recordings", 2)
    for words in ("patients               3", "segments, 4 s every 2 s: 20", "ppg_red", "gap 5", "heart_rate_bpm"):
        assert words in output
    assert "file cannot be read" in output
    assert output.endswith(f"wrote {tmp_path / 'page.html'}: 2 of 4 recordings drawn\n")


def test_the_command_prints_one_json_object(messy, tmp_path):
    output = json.loads(run(messy, "--out", tmp_path / "page.html", "--json"))
    assert (output["recordings"], output["drawn"], output["page"]) == (4, 4, str(tmp_path / "page.html"))


def test_the_command_prints_an_empty_store(tmp_path):
    assert "recordings             0" in run(make_store(tmp_path, []))


def test_parts_of_a_long_recording_say_where_they_begin(tmp_path, monkeypatch):
    cohort = load_cohort(describe(tmp_path, clinical=None))
    store = CohortStore.create(tmp_path / "store", cohort)
    parts = [replace(recording("p1_1", seed=number), recording_id=f"p1_1@{number}") for number in range(2)]
    stored = process([Chunk(part, "0" * 64, start_s=12.0 * n, n_of_source=2) for n, part in enumerate(parts)], cohort)
    store.append(stored, segment_rows(stored, cohort), rejects_frame("files", []))
    assert contents(monkeypatch, tmp_path / "store").table["start_s"] == [0.0, 12.0]


def test_visits_are_counted_where_file_names_have_them(tmp_path):
    for reading, visit in ((1, "adm"), (2, "adm"), (1, "dis")):
        oximeter.write_text(tmp_path, "31", reading, visit, seed=reading, seconds=12)
    ingest(oximeter.describe(tmp_path, "oximeter_text"), tmp_path / "store", n_jobs=1)
    assert inspect_store(tmp_path / "store", tmp_path / "page.html").summary["visits"] == 2
