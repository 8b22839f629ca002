"""Files beside the report: whole, in step with it, and readable by the programs that people use."""

from __future__ import annotations

import csv
import io
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pandas as pd
import pytest
from openpyxl import load_workbook
from PIL import Image

from ppgssl.report.composition import Composition, compose
from ppgssl.report.document import Column, Row, Section, Table
from ppgssl.report.exports import write_exports, write_workbook
from ppgssl.report.tables.tidy import tidy_tables
from tests.support.composed import LEAST, small_report
from tests.support.fake_results import NON_LATIN, make_results


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return write_exports(small_report(), tmp_path_factory.mktemp("exports"))


def tables_of(report: Composition) -> list[Table]:
    return [block for section in report.sections for block in section.blocks if isinstance(block, Table)]


def test_every_table_is_a_file_named_by_its_number_and_holds_the_cells_printed(folder):
    tables = tables_of(small_report())
    files = sorted((folder / "tables").iterdir())
    assert len(files) == len(tables) > 4
    for number, (file, table) in enumerate(zip(files, tables, strict=True), start=1):
        assert file.name == f"table-{number:02d}-{table.label.removeprefix('table-')}.csv"
        content = list(csv.reader(io.StringIO(file.read_text(encoding="utf-8-sig"))))
        assert content[0] == [column.header for column in table.columns]
        assert len(content) == 1 + len(table.rows)
        for row, cells in zip(table.rows, content[1:], strict=True):
            texts = [cell for cell in row.cells if isinstance(cell, str)]
            assert set(texts) <= set(cells)


def test_every_figure_is_there_as_svg_with_text_and_as_png_at_300_dots_an_inch(folder):
    numbered = [(label, name) for label, name in small_report().names.items() if name.startswith("Figure")]
    for label, name in numbered:
        stem = f"figure-{int(name.split()[1]):02d}-{label.removeprefix('figure-')}"
        drawing = ET.parse(folder / "figures" / f"{stem}.svg").getroot()
        assert drawing.tag.endswith("svg")
        is_editable = any(element.tag.endswith("}text") for element in drawing.iter())
        assert is_editable == (label != "figure-flow")
        with Image.open(folder / "figures" / f"{stem}.png") as image:
            assert image.info["dpi"][0] == pytest.approx(300, abs=0.01)
    assert len(list((folder / "figures").iterdir())) == 2 * len(numbered)


def test_data_come_back_as_they_were(folder):
    for name, frame in tidy_tables(small_report().results).items():
        found = pd.read_csv(folder / "data" / f"{name}.csv", float_precision="round_trip")
        assert list(found.columns) == list(frame.columns)
        for column in frame.columns:
            if pd.api.types.is_numeric_dtype(frame[column]) and frame[column].notna().all():
                assert found[column].tolist() == frame[column].tolist()


def test_the_codebook_explains_every_column_of_every_file(folder):
    codebook = pd.read_csv(folder / "data" / "codebook.csv")
    assert codebook["meaning"].notna().all()
    for file in (folder / "data").glob("*.csv"):
        if file.stem != "codebook":
            columns = pd.read_csv(file, nrows=0).columns
            assert codebook.query("file == @file.stem")["column"].tolist() == list(columns)


def test_the_workbook_holds_all_tables_and_its_numbers_are_numbers(folder):
    book = load_workbook(folder / "tables.xlsx")
    names = [small_report().names[table.label] for table in tables_of(small_report())]
    data = tidy_tables(small_report().results)
    assert book.sheetnames == ["Contents", *names, *data, "codebook"]
    assert [cell.value for cell in book["Contents"]["A"][1:]] == [*names, *data]
    arm = small_report().results.arms[0]
    header, first = list(book["arms"].iter_rows(values_only=True))[:2]
    row = dict(zip(header, first, strict=True))
    assert (row["auroc"], row["auroc_ci_low"]) == (arm.auroc.estimate, arm.auroc.ci_low)
    for name, table in zip(names, tables_of(small_report()), strict=True):
        for line in book[name].iter_rows(min_row=4, max_row=3 + len(table.rows)):
            for cell, column in zip(line, table.columns, strict=False):
                is_word = isinstance(cell.value, str) and not re.fullmatch(r"[−+]?\d+(\.\d+)?", cell.value)
                assert column.align == "left" or cell.value is None or is_word or cell.data_type == "n"


def one_table(tmp_path: Path, *cells: str) -> list[object]:
    """The cells of a sheet whose only row has these cells: the first is a word, the others are numbers."""
    columns = (Column("Name"), *(Column("n", "right") for _ in cells[1:]))
    table = Table("table-one", "caption", columns, (Row(cells),))
    report = small_report()
    section = Section("Only", (table,))
    shown = Composition(report.results, [section], [], {"table-one": "Table 1"}, {}, "", report.created)
    write_workbook(shown, {}, tmp_path / "one.xlsx")
    row = load_workbook(tmp_path / "one.xlsx")["Table 1"][4]
    assert all(cell.data_type in "sn" for cell in row)  # never a formula
    return [(cell.value, cell.number_format) for cell in row]


def test_cells_that_are_numbers_become_numbers_and_words_never_become_formulas(tmp_path):
    cells = one_table(tmp_path, "=1+1", "1,234", "−0.50", "12", "0.78 (0.70 to 0.85)", "<0.001", "–", "=2")
    assert cells[0] == ("=1+1", "General")
    assert cells[1:4] == [(1234, "#,##0"), (-0.5, "0.00"), (12, "0")]
    assert [value for value, _ in cells[4:]] == ["0.78 (0.70 to 0.85)", "<0.001", "–", "=2"]


def test_a_number_of_a_name_stays_a_name_and_signs_that_excel_refuses_are_left_out(tmp_path):
    assert one_table(tmp_path, "007")[0] == ("007", "General")
    assert one_table(tmp_path, "a\x07b")[0] == ("ab", "General")


def test_the_readme_names_every_file(folder):
    text = (folder / "README.txt").read_text(encoding="utf-8")
    for file in folder.rglob("*.*"):
        if file.name != "README.txt":
            name = str(file.relative_to(folder))
            assert name in text or (file.suffix == ".png" and f"{name.removesuffix('.png')}.svg, .png" in text)


def test_letters_of_many_scripts_survive(tmp_path):
    folder = write_exports(compose(make_results(label_suffix=f" {NON_LATIN}", **LEAST)), tmp_path)
    printed = "".join(file.read_text(encoding="utf-8-sig") for file in (folder / "tables").iterdir())
    assert NON_LATIN in printed
    assert NON_LATIN in (folder / "data" / "flow.csv").read_text(encoding="utf-8")
    values = [cell for row in load_workbook(folder / "tables.xlsx")["flow"].iter_rows(values_only=True) for cell in row]
    assert any(NON_LATIN in str(value) for value in values)


def test_files_of_an_earlier_report_go_and_those_of_others_stay(tmp_path):
    stale = [tmp_path / "report" / name for name in ("tables/table-99-old.csv", "figures/figure-99-old.png")]
    own = [tmp_path / "report" / name for name in ("notes.txt", "figures/mine.png")]
    for file in [*stale, *own]:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("x")
    write_exports(small_report(), tmp_path)
    assert not any(file.exists() for file in stale)
    assert all(file.exists() for file in own)


def test_a_table_of_every_patient_is_a_file_alone(tmp_path):
    long = {"stability": pd.DataFrame({"arm": ["a"] * 6000, "risk": 0.5})}
    write_workbook(small_report(), long, tmp_path / "book.xlsx")
    book = load_workbook(tmp_path / "book.xlsx")
    assert "stability" not in book.sheetnames
    assert book["Contents"]["A"][-1].value == "data/stability.csv"
