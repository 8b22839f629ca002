"""Labels keep to their lines, and panels to their pages."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ppgssl.report.figures.layout import MOST_PANELS, PANELS_A_ROW, chunks, panel_chunks, wrap


@given(items=st.lists(st.integers(), max_size=60), size=st.integers(1, 15))
def test_groups_hold_every_item_in_order_and_are_about_as_large(items, size):
    groups = chunks(items, size)
    assert [item for group in groups for item in group] == items
    assert len(groups) == -(-len(items) // size)
    if groups:
        assert max(map(len, groups)) <= size
        assert max(map(len, groups)) - min(map(len, groups)) <= 1


@given(panels=st.lists(st.integers(), max_size=60))
def test_figures_hold_every_panel_in_order_and_only_the_last_row_is_not_full(panels):
    groups = panel_chunks(panels)
    assert [panel for group in groups for panel in group] == panels
    assert all(len(group) <= MOST_PANELS for group in groups)
    assert all(len(group) % PANELS_A_ROW == 0 for group in groups[:-1])
    assert len(groups) == -(-len(panels) // MOST_PANELS)


@given(text=st.text(max_size=300), width=st.integers(8, 60), lines=st.integers(1, 3))
def test_a_label_never_has_more_lines_than_it_may(text, width, lines):
    assert wrap(text, width, lines).count("\n") < lines
