"""Files that come with the report: its tables as CSV and Excel, its figures as SVG and PNG, and plain numbers."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from openpyxl import Workbook
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE, Cell
from openpyxl.styles import Alignment, Font
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.worksheet import Worksheet

from ppgssl.report.composition import Composition
from ppgssl.report.document import Flow, Picture, Section, Table, Text, words
from ppgssl.report.figures.style import SCREEN_FONTS, set_fonts
from ppgssl.report.pdf import figure_pages
from ppgssl.report.tables.tidy import TIDY, tidy_tables
from ppgssl.report.text.prose import load

FOLDER = "report"
WORKBOOK_FILE = "tables.xlsx"
README_FILE = "README.txt"
CODEBOOK_FILE = "codebook.csv"
# Longer tables, such as one of every patient and arm, are files alone: a workbook of them would open slowly.
_MOST_SHEET_ROWS = 5000
_OURS = {
    "tables": ("table-*.csv",),
    "figures": ("figure-*.svg", "figure-*.png"),
    "data": (*(f"{name}.csv" for name in TIDY), CODEBOOK_FILE),
}
_NUMBER = re.compile(r"[−+]?\d{1,3}(,\d{3})*(\.\d+)?|[−+]?\d+(\.\d+)?")
_WIDEST = 60


class _File(NamedTuple):
    """A file, and what it is in a line."""

    path: str
    text: str


def write_exports(report: Composition, folder: Path) -> Path:
    """Write ``folder/report/`` with tables, figures, data and a README of what is what; returns that folder.

    Files that an earlier report left there are replaced, and removed where the new one has none of their name.
    """
    target = folder / FOLDER
    for name, patterns in _OURS.items():
        (target / name).mkdir(parents=True, exist_ok=True)
        for old in (file for pattern in patterns for file in (target / name).glob(pattern)):
            old.unlink()
    tidy = tidy_tables(report.results)
    written = [*_write_tables(report, target), *_write_figures(report, target), *_write_data(tidy, target)]
    write_workbook(report, tidy, target / WORKBOOK_FILE)
    (target / README_FILE).write_text(_readme(report, written), encoding="utf-8")
    return target


def _numbered(report: Composition, label: str, start: str) -> str:
    """``figure-02-roc`` for the figure labelled ``figure-roc``: in the order of the text."""
    number = int(report.names[label].split()[-1])
    return f"{start}-{number:02d}-{label.removeprefix(f'{start}-')}"


def _tables(sections: Iterable[Section]) -> list[Table]:
    return [block for section in sections for block in section.blocks if isinstance(block, Table)]


def _rows(report: Composition, table: Table) -> Iterator[list[str]]:
    """Cells as they are printed; the row of a group has one."""
    return ([_words(report, cell) for cell in row.cells] for row in table.rows)


def _words(report: Composition, text: Text) -> str:
    return words(text, report.names)


def _write_tables(report: Composition, folder: Path) -> Iterator[_File]:
    """As printed, for a manuscript."""
    for table in _tables(report.sections):
        name = f"tables/{_numbered(report, table.label, 'table')}.csv"
        # The mark of UTF-8 at the start: a spreadsheet would else take letters for those of another alphabet.
        with (folder / name).open("w", encoding="utf-8-sig", newline="") as file:
            writer = csv.writer(file)
            writer.writerow([column.header for column in table.columns])
            writer.writerows(_rows(report, table))
        yield _File(name, f"{report.names[table.label]}. {_words(report, table.caption)}")


def _write_figures(report: Composition, folder: Path) -> Iterator[_File]:
    blocks = [block for section in report.sections for block in section.blocks if isinstance(block, Picture | Flow)]
    pages = figure_pages(report)
    for block, page in zip(blocks, pages, strict=True):
        name = f"figures/{_numbered(report, block.label, 'figure')}"
        drawn = report.figures.get(block.label)
        svg = page.svg if drawn is None else set_fonts(drawn, SCREEN_FONTS)
        (folder / f"{name}.svg").write_text(svg, encoding="utf-8")
        (folder / f"{name}.png").write_bytes(page.png)
        yield _File(f"{name}.svg, .png", f"{report.names[block.label]}. {_words(report, block.caption)}")


def _write_data(tidy: dict[str, pd.DataFrame], folder: Path) -> Iterator[_File]:
    contents_of = load("tables/codebook.yaml")["files"]
    for name, frame in tidy.items():
        frame.to_csv(folder / "data" / f"{name}.csv", index=False, encoding="utf-8")
        yield _File(f"data/{name}.csv", f"{contents_of[name]} ({len(frame)} rows)")
    codebook(tidy).to_csv(folder / "data" / CODEBOOK_FILE, index=False, encoding="utf-8")
    yield _File(f"data/{CODEBOOK_FILE}", "What each column of these files means")


def codebook(tidy: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Every column of every table with its meaning."""
    meanings = load("tables/codebook.yaml")["columns"]
    rows = [(name, column, meanings[column]) for name, frame in tidy.items() for column in frame.columns]
    return pd.DataFrame(rows, columns=["file", "column", "meaning"])


def write_workbook(report: Composition, tidy: dict[str, pd.DataFrame], path: Path) -> None:
    """All tables in one workbook: first as printed, then the data; numbers are numbers."""
    book = Workbook()
    contents = book.active
    assert isinstance(contents, Worksheet)
    contents.title = "Contents"
    listed = [(report.names[table.label], _words(report, table.caption)) for table in _tables(report.sections)]
    for table in _tables(report.sections):
        _printed_sheet(book.create_sheet(report.names[table.label]), report, table)
    contents_of = load("tables/codebook.yaml")["files"]
    for name, frame in tidy.items():
        if len(frame) > _MOST_SHEET_ROWS:
            listed.append((f"data/{name}.csv", f"{contents_of[name]}: {len(frame)} rows, in the file alone"))
            continue
        listed.append((name, contents_of[name]))
        _data_sheet(book.create_sheet(name), frame)
    _data_sheet(book.create_sheet("codebook"), codebook(tidy))
    _data_sheet(contents, pd.DataFrame(listed, columns=["sheet", "content"]))
    _link_sheets(contents, set(book.sheetnames))
    book.properties.title = _clean(report.title)
    book.properties.creator = _clean(report.results.authors)
    book.save(path)


def _clean(text: str) -> str:
    return ILLEGAL_CHARACTERS_RE.sub("", text)


def _put(sheet: Worksheet, row: int, column: int, value: Any) -> Cell:
    """Write a value; a text is a text even where it looks like a formula."""
    cell = sheet.cell(row, column)
    if isinstance(value, str):
        cell.value = _clean(value)
        cell.data_type = "s"
    elif value is not None and not pd.isna(value):
        cell.value = value
    return cell


def _printed_sheet(sheet: Worksheet, report: Composition, table: Table) -> None:
    _put(sheet, 1, 1, f"{report.names[table.label]}. {_words(report, table.caption)}").font = Font(bold=True)
    for column, description in enumerate(table.columns, start=1):
        cell = _put(sheet, 3, column, description.header)
        cell.font, cell.alignment = Font(bold=True), Alignment(horizontal=description.align, wrap_text=True)
    rows = list(_rows(report, table))
    for number, (row, cells) in enumerate(zip(table.rows, rows, strict=True), start=4):
        for column, text in enumerate(cells, start=1):
            align = table.columns[column - 1].align
            cell = _put_number(sheet, number, column, text) if align == "right" else _put(sheet, number, column, text)
            cell.font = Font(bold=row.kind == "group", italic=row.kind == "muted")
            cell.alignment = Alignment(
                horizontal=align, indent=1 if row.kind in ("indent", "muted") and column == 1 else 0
            )
    for number, note in enumerate(table.notes, start=5 + len(rows)):
        _put(sheet, number, 1, _words(report, note))
    _set_widths(sheet, [[column.header for column in table.columns], *(cells for cells in rows if len(cells) > 1)])
    sheet.freeze_panes = "A4"


def _put_number(sheet: Worksheet, row: int, column: int, text: str) -> Cell:
    """A number that is printed alone is a number, shown as it is printed."""
    if not _NUMBER.fullmatch(text):
        return _put(sheet, row, column, text)
    _, _, decimals = text.partition(".")
    plain = text.replace(",", "").replace("−", "-")
    cell = _put(sheet, row, column, float(plain) if decimals else int(plain))
    cell.number_format = ("#,##0" if "," in text else "0") + ("." + "0" * len(decimals) if decimals else "")
    return cell


def _data_sheet(sheet: Worksheet, frame: pd.DataFrame) -> None:
    for column, name in enumerate(frame.columns, start=1):
        _put(sheet, 1, column, str(name)).font = Font(bold=True)
    for column, name in enumerate(frame.columns, start=1):
        for row, value in enumerate(frame[name].tolist(), start=2):
            _put(sheet, row, column, value)
    texts = [[str(name) for name in frame.columns], *frame.head(50).astype(str).to_numpy().tolist()]
    _set_widths(sheet, texts)
    sheet.freeze_panes = "A2"


def _set_widths(sheet: Worksheet, rows: Sequence[Sequence[str]]) -> None:
    for number, column in enumerate(zip(*rows, strict=True), start=1):
        sheet.column_dimensions[get_column_letter(number)].width = min(max(map(len, column)) + 2, _WIDEST)


def _link_sheets(contents: Worksheet, sheets: set[str]) -> None:
    for cell in contents["A"][1:]:
        if cell.value in sheets:
            cell.hyperlink = f"#'{cell.value}'!A1"
            cell.style = "Hyperlink"


def _readme(report: Composition, written: Sequence[_File]) -> str:
    template = files("ppgssl.report").joinpath("exports.txt").read_text(encoding="utf-8")
    version = report.results.provenance.versions.get("ppgssl", "")
    line = "=" * min(len(report.title), 100)
    first = template.format(title=report.title, line=line, name=report.results.name, date=report.date, version=version)
    width = max(len(file.path) for file in written) + 2
    return first + "".join(f"{file.path:<{width}}{file.text}\n" for file in written)
