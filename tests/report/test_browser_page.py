"""The page in a real browser, as an analyst opens it: from a file, without a network."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ppgssl.core.config.loading import load_cohort
from ppgssl.core.reasons import Reason
from ppgssl.core.records import Reject
from ppgssl.report.browser_page import PageContent, vital_words, write_page
from ppgssl.stages.inspect import inspect_store
from ppgssl.store.processing import Chunk, process
from ppgssl.store.rows import rejects_frame
from ppgssl.store.segmenting import segment_rows
from ppgssl.store.tables import CohortStore
from tests.stages.test_inspect import contents, make_store, recording
from tests.support.browser import chromium_driver
from tests.support.small_cohorts import SECONDS, describe

HOSTILE = "</script><script>window.hacked = true</script><img src=x onerror='window.hacked = true'>"
# Worst first: p2 is noise, p4 lacks its first seconds, p3 lacks some of one channel, p1 and p5 are clean.
RECORDINGS = [
    recording("p1_1", seed=1),
    recording("p2_1", seed=3, noise=3.0),
    recording("p3_1", seed=4, gap_s=(5.0, 7.0)),
    recording("p4_1", seed=5, gap_s=(0.0, 3.0), flat_s=(0.0, 3.0)),
    recording("p5_1", seed=6),
]


# --- without a browser -----------------------------------------------------------------------------------------


def test_known_vitals_have_words_and_units_and_unknown_ones_keep_their_names():
    assert vital_words("spo2_percent") == {"label": "SpO₂", "unit": "%", "decimals": 1}
    assert vital_words("device_heart_rate_bpm")["label"] == "Heart rate (device)"
    assert vital_words("stiffness_index")["label"] == "stiffness index"


def test_equal_content_gives_an_equal_file_in_a_folder_that_is_made(tmp_path, monkeypatch):
    content = contents(monkeypatch, make_store(tmp_path, RECORDINGS[:2]))
    first, second = (write_page(content, tmp_path / name / "page.html") for name in ("a", "b"))
    assert first.read_bytes() == second.read_bytes()


def test_a_value_that_json_does_not_know_is_refused(tmp_path, monkeypatch):
    content = contents(monkeypatch, make_store(tmp_path, RECORDINGS[:1]))
    with pytest.raises(ValueError, match="JSON compliant"):
        write_page(replace(content, table=dict(content.table) | {"duration_s": [float("nan")]}), tmp_path / "page.html")


def test_the_page_refers_to_nothing_outside_itself(tmp_path):
    html = inspect_store(make_store(tmp_path, RECORDINGS[:2])).page.read_text()
    assert not re.findall(r"""(?:src|href)\s*=\s*["']?[^"'#\s]""", html)
    assert "http" not in re.sub(r'http-equiv="Content-Security-Policy"', "", html)
    assert "innerHTML" not in html


# --- in Chromium -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def chromium(tmp_path_factory) -> Iterator[Any]:
    with chromium_driver(tmp_path_factory.mktemp("profile")) as driver:
        yield driver


class Page:
    """An opened page, in the words of its reader."""

    def __init__(self, driver: Any, file: Path) -> None:
        self.driver = driver
        driver.get_log("browser")
        driver.get(file.as_uri())

    def run(self, script: str, *arguments: object) -> Any:
        return self.driver.execute_script(script, *arguments)

    def column(self, number: int) -> list[str]:
        rows = "#rows tbody tr[data-row]"
        script = f"return [...document.querySelectorAll('{rows}')].map(row => row.children[arguments[0]].textContent)"
        return self.run(script, number)

    @property
    def recordings(self) -> list[str]:
        return self.column(0)

    def text(self, selector: str) -> str:
        return self.run("return document.querySelector(arguments[0]).textContent", selector)

    def click(self, selector: str) -> None:
        self.run("document.querySelector(arguments[0]).click()", selector)

    def select(self, name: str) -> None:
        script = (
            "[...document.querySelectorAll('#rows tbody tr')].find(r => r.children[0].textContent === arguments[0])"
        )
        self.run(script + ".click()", name)

    def enter(self, selector: str, value: str, event: str = "input") -> None:
        self.run(
            "const node = document.querySelector(arguments[0]); node.value = arguments[1];"
            "node.dispatchEvent(new Event(arguments[2]))",
            selector,
            value,
            event,
        )

    def press(self, key: str, on: str = "#list") -> None:
        self.run(
            "document.querySelector(arguments[0]).dispatchEvent("
            "new KeyboardEvent('keydown', {key: arguments[1], bubbles: true, cancelable: true}))",
            on,
            key,
        )

    def proportions(self) -> dict[str, float]:
        """Of the later half of the waveforms: the proportion of pixels that are blue, orange, dark.

        The selected segment, with its dark frame, lies in the earlier half.
        """
        return self.run("""
            const wave = document.getElementById('wave'), copy = document.createElement('canvas');
            [copy.width, copy.height] = [wave.width, wave.height];
            const pen = copy.getContext('2d');
            pen.drawImage(wave, 0, 0);
            const half = Math.round(copy.width / 2);
            const { data } = pen.getImageData(half, 0, half, copy.height), n = data.length / 4;
            const found = { blue: 0, orange: 0, dark: 0 };
            for (let i = 0; i < data.length; i += 4) {
              const [red, green, blue] = [data[i], data[i + 1], data[i + 2]];
              if (red < 40 && blue > 150) found.blue += 1 / n;
              if (red > 190 && green < 130 && blue < 60) found.orange += 1 / n;
              if (red < 60 && green < 60 && blue < 70) found.dark += 1 / n;
            }
            return found""")

    def picture(self) -> str:
        return self.run("return document.getElementById('wave').toDataURL()")

    def pointer(self, kind: str, x: float, y: float) -> None:
        """A pointer event on the waveforms, at pixels from their upper left corner."""
        self.run(
            "const wave = document.getElementById('wave'), box = wave.getBoundingClientRect();"
            "wave.setPointerCapture = () => {};"
            "wave.dispatchEvent(new PointerEvent(arguments[0], {bubbles: true, pointerId: 1,"
            "clientX: box.left + arguments[1], clientY: box.top + arguments[2]}))",
            kind,
            x,
            y,
        )

    def assert_clean(self) -> None:
        assert self.driver.get_log("browser") == []
        assert self.run("return performance.getEntriesByType('resource').length") == 0


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("ward")
    rejects = [Reject(Reason.COPY_OF_PATIENT, "p5_1"), Reject(Reason.FILE_UNREADABLE, "x", HOSTILE)]
    return inspect_store(make_store(folder, RECORDINGS, rejects)).page


@pytest.fixture
def page(chromium, file) -> Iterator[Page]:
    opened = Page(chromium, file)
    yield opened
    opened.assert_clean()


def test_the_worst_recording_comes_first_and_is_open(page):
    assert page.recordings[:2] == ["p2_1", "p4_1"]
    quality = [float(text) for text in page.column(3)]
    assert quality == sorted(quality)
    assert len(quality) == 5
    assert page.text("#name") == "p2_1"
    assert page.text("#status") == "5 recordings"


def test_a_click_on_a_header_sorts_and_a_second_one_turns_the_order_round(page):
    page.click("button[data-key=recording]")
    assert page.recordings == ["p1_1", "p2_1", "p3_1", "p4_1", "p5_1"]
    assert page.run("return document.querySelector('#rows th[aria-sort=ascending]').textContent") == "Recording ▴"
    page.click("button[data-key=recording]")
    assert page.recordings == ["p5_1", "p4_1", "p3_1", "p2_1", "p1_1"]
    page.click("button[data-key=heart_rate_bpm]")
    rates = [float(text.split()[0]) for text in page.column(6) if text != "–"]
    assert len(rates) >= 4
    assert rates == sorted(rates)


def test_the_filter_finds_ids_reasons_and_notes(page):
    for typed, expected in [("p3", ["p3_1"]), ("identical", ["p5_1"]), ("FLAT gap", ["p4_1"]), ("nobody", [])]:
        page.enter("#find", typed)
        assert page.recordings == expected
    assert page.text("#status") == "0 of 5 recordings"
    assert page.text("#rows tbody") == "No recording passes the filter."


def test_only_recordings_with_rejected_segments_and_one_channel_may_be_listed(page):
    page.click("#only-rejected")
    assert page.recordings == ["p2_1", "p4_1"]  # a gap in red alone rejects no segment
    page.enter("#channel", "ppg_red", "change")
    assert set(page.recordings) == {"p2_1", "p3_1", "p4_1"}
    assert page.column(4)[page.recordings.index("p3_1")] == "2 / 5"
    assert page.column(5)[page.recordings.index("p3_1")] == "gap 3"


def test_a_selected_recording_is_drawn(page):
    noise, picture = page.proportions(), page.picture()
    page.select("p1_1")
    clean = page.proportions()
    assert page.picture() != picture
    assert clean["blue"] > 0.05 > 0.001 > clean["orange"]  # bars of accepted segments alone
    assert noise["orange"] > 0.01 > noise["blue"]  # and of rejected ones
    assert min(clean["dark"], noise["dark"]) > 0.01  # the traces
    assert page.text("#charts figcaption").startswith("Heart rate")


def test_a_rejected_segment_gives_the_reason(page):
    page.select("p4_1")
    assert page.text("#segment-title") == "Segment 1 of 5, 0 s to 4 s: rejected"
    assert "ppg_irflat" in page.text("#segment")
    assert "ppg_redgap" in page.text("#segment")
    page.press("ArrowRight")
    page.press("ArrowRight")
    assert page.text("#segment-title") == "Segment 3 of 5, 4 s to 8 s: accepted"
    assert re.search(r"ppg_iraccepted, SQI [01]\.\d\d", page.text("#segment"))
    assert page.run("return document.querySelectorAll('#segment-rows tr[aria-current]').length") == 1
    page.select("p2_1")
    assert re.search(r"ppg_irlow SQI 0\.[0-4]\d", page.text("#segment"))


def test_what_lies_under_the_pointer_is_named_and_a_click_enlarges_the_segment(page):
    page.select("p4_1")
    assert page.text("#range") == f"0 s to {SECONDS:g} s of {SECONDS:g} s"
    page.pointer("pointermove", 100, 60)
    tip = page.text("#tip")
    assert tip.startswith("ppg_red, ")
    assert "segment 1: rejected, gap" in tip
    assert "samples: gap" in tip
    whole = page.picture()
    page.pointer("pointerdown", 100, 60)
    page.pointer("pointerup", 100, 60)
    assert page.text("#range") == f"0 s to 4.5 s of {SECONDS:g} s"
    assert page.picture() != whole
    page.pointer("pointerdown", 500, 60)
    page.pointer("pointermove", 200, 60)
    page.pointer("pointerup", 200, 60)
    assert not page.text("#range").startswith("0 s")  # dragged
    page.press("Escape")
    assert page.text("#range") == f"0 s to {SECONDS:g} s of {SECONDS:g} s"
    page.press("+")
    assert page.text("#range") != f"0 s to {SECONDS:g} s of {SECONDS:g} s"


def test_keys_go_through_recordings_and_rejected_segments(page):
    page.press("ArrowDown")
    assert page.text("#name") == "p4_1"
    page.press("End")
    assert page.text("#name") == page.recordings[-1]
    page.press("Home")
    page.press("ArrowUp")
    assert page.text("#name") == "p2_1"
    page.press("ArrowDown")
    page.press("n")
    assert page.text("#segment-title") == "Segment 2 of 5, 2 s to 6 s: rejected"
    page.press("/")
    assert page.run("return document.activeElement.id") == "find"
    page.press("ArrowDown", on="#find")  # typing moves nothing
    assert page.text("#name") == "p4_1"


def test_tables_have_headers_and_every_control_has_a_name(page):
    nameless = page.run("""
        const named = node => node.getAttribute('aria-label') || node.labels?.length || node.textContent.trim();
        return [...document.querySelectorAll('button, input, select, canvas')].filter(node => !named(node)).length""")
    assert nameless == 0
    scopeless = page.run("return [...document.querySelectorAll('th:not([scope])')].length")
    assert scopeless == 0
    assert page.run("return document.getElementById('rows').getAttribute('aria-rowcount')") == "6"
    assert page.run("return document.documentElement.lang") == "en"


def test_the_page_describes_what_is_drawn(page, chromium, tmp_path):
    assert page.text("#drawn-note") == "All of them are drawn."
    store = make_store(tmp_path, RECORDINGS)
    inspect_store(store, tmp_path / "page.html", n_recordings=2)
    few = Page(chromium, tmp_path / "page.html")
    assert few.text("#drawn-note").startswith("2 recordings of 5 are drawn, chosen evenly over the ranks of quality")
    assert len(few.recordings) == 5
    few.select("p4_1")
    assert "The samples of this recording are not on this page" in few.text("#message")
    assert few.run("return document.getElementById('drawn').hidden")
    assert "gap 2" in few.text("#recording-channels")
    few.click("#only-drawn")
    assert few.recordings == [few.recordings[0], few.recordings[-1]]
    assert few.recordings[0] == "p2_1"


def test_names_from_files_and_descriptions_are_text_and_nothing_else(chromium, tmp_path):
    cohort = load_cohort(
        describe(
            tmp_path,
            clinical=None,
            title=HOSTILE,
            signals__channels={"ppg_red": {"column": "red", "unit": HOSTILE}, "ppg_ir": {"column": "ir"}},
        )
    )
    store = CohortStore.create(tmp_path / "store", cohort)
    bad = replace(recording("p1_1"), recording_id=f"{HOSTILE} 1", patient_id=HOSTILE, visit=HOSTILE)
    stored = process([Chunk(bad, "0" * 64), Chunk(recording("p2_1", seed=1, noise=2.0), "0" * 64)], cohort)
    rejects = [Reject(Reason.TOO_SHORT, bad.recording_id, HOSTILE), Reject(Reason.FILE_UNREADABLE, "x", HOSTILE)]
    store.append(stored, segment_rows(stored, cohort), rejects_frame("files", rejects))
    page = Page(chromium, inspect_store(tmp_path / "store").page)
    page.select(f"{HOSTILE} 1")
    assert page.text("#name") == f"{HOSTILE} 1"
    assert page.text("h1") == HOSTILE
    assert Reason.TOO_SHORT.text in page.text("#message")
    assert HOSTILE in page.text("#channel-summary")
    page.pointer("pointermove", 300, 60)
    page.enter("#find", HOSTILE)
    assert page.recordings == [f"{HOSTILE} 1"]
    assert page.run("return [window.hacked === undefined, document.images.length, document.scripts.length]") == [
        True,
        0,
        2,
    ]
    page.assert_clean()


def test_a_long_recording_is_drawn_in_excerpts(chromium, tmp_path):
    long = recording("p1_1", seed=1, seconds=200.0, gap_s=(100.0, 104.0), flat_s=(100.0, 104.0))
    page = Page(chromium, inspect_store(make_store(tmp_path, [long])).page)
    assert page.text("#excerpts") == "Worst 60 s Best 60 s "
    assert "of 3:20" in page.text("#range")
    worst = page.text("#range")
    assert ": rejected" in page.text("#segment-title")
    page.click("#excerpts button:nth-of-type(2)")
    assert page.text("#range") != worst
    assert page.run("return document.querySelectorAll('#segment-rows tbody tr').length") == 99
    page.assert_clean()


@pytest.mark.parametrize("n_recordings", [0, 1])
def test_a_store_without_recordings_or_without_segments_has_a_quiet_page(chromium, tmp_path, n_recordings):
    short = [recording("p1_1", seconds=3.0)][:n_recordings]
    page = Page(chromium, inspect_store(make_store(tmp_path, short)).page)
    assert len(page.recordings) == n_recordings
    if n_recordings:
        assert "shorter than a segment" in page.text("#message")
    else:
        assert page.text("#rows tbody") == "The store holds no recording."
        page.press("ArrowDown")
        page.press("ArrowRight")
    page.assert_clean()


def test_ten_thousand_recordings_are_listed_without_as_many_rows(chromium, tmp_path, monkeypatch):
    content = contents(monkeypatch, make_store(tmp_path, RECORDINGS))
    page = Page(chromium, write_page(repeated(content, 2000), tmp_path / "page.html"))
    from selenium.webdriver.support.ui import WebDriverWait

    WebDriverWait(chromium, 30).until(lambda _: page.text("#status"))  # a busy machine unpacks so much slowly
    assert page.text("#status") == "10,000 recordings"
    assert page.run("return document.querySelectorAll('#rows tr').length") < 120
    page.press("End")
    page.run("document.getElementById('list').dispatchEvent(new Event('scroll'))")
    shown = page.driver.execute_async_script("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")
    assert shown is not None
    assert page.text("#name") in page.recordings
    assert page.run("return document.querySelector('#rows tr[aria-current]').getAttribute('aria-rowindex')") == "10001"
    page.assert_clean()


def repeated(content: PageContent, times: int) -> PageContent:
    """Content whose table of recordings is repeated."""

    def repeat(value: Any) -> Any:
        return value * times if isinstance(value, list) else {key: repeat(item) for key, item in value.items()}

    return replace(content, table=repeat(dict(content.table)))
