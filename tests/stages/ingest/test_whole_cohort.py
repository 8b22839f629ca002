from __future__ import annotations

import pandas as pd
import pytest

from ppgssl.stages.ingest.whole_cohort import find_duplicates, find_joined


def test_different_signals_are_no_duplicates():
    rows = [("a_1", "a", "h1"), ("a_2", "a", "h2"), ("b_1", "b", "h3")]
    assert find_duplicates(pd.DataFrame(rows, columns=["recording_id", "patient_id", "signal_sha256"])) == []


@pytest.mark.parametrize(
    ("durations", "found"),
    [
        ([60, 60, 60, 60, 120], [4]),
        ([60, 60, 60, 60, 180.0], [4]),
        ([60, 60, 60, 60, 90], []),
        ([60, 60, 60, 60, 30], []),
        ([60, 60, 60, 120, 120], []),  # no length that nearly all share
        ([], []),
    ],
)
def test_a_recording_is_joined_if_it_is_a_multiple_of_what_nearly_all_others_last(durations, found):
    sources = map(str, range(len(durations)))
    recordings = pd.DataFrame({"source": sources, "start_s": 0.0, "duration_s": durations})
    assert list(find_joined(recordings).index) == found
