"""A first description of a clinical variable, from its column or from its field in a REDCap data dictionary.

What is not sure is written in a note, for a person to decide. Values are shown only as levels of columns that
have few, and never of columns that may identify a person.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from ppgssl.readers.clinical.dates import ISO, fitting_formats, read_iso_date
from ppgssl.readers.clinical.redcap import Field
from ppgssl.readers.clinical.text_tables import canonical_text, plain_number

MAX_LEVELS = 12
# A dictionary may list more choices than a column of unknown meaning may have levels.
_MAX_CHOICES = 60
# Whole numbers with so few values are rather codes than quantities.
_MAX_CODES = 6
# Values a level must have on average, or they may be the words of one person each.
_MIN_PER_LEVEL = 2
# From this proportion on, a column holds numbers, and what else is in it are marks and mistakes.
_MOSTLY = 0.8


def _listed(*lines: str) -> frozenset[str]:
    return frozenset(" ".join(lines).split())


_IDENTIFYING = _listed(
    "name names firstname lastname surname forename initials address street village phone telephone mobile tel email",
    "mail dob birthdate birthday mrn ssn nhs passport zip zipcode postcode postal gps latitude longitude signature",
    "photo comment comments remark remarks narrative freetext",
)
_QUANTITIES = _listed(
    "age weight height length temp temperature rate pressure score count number days weeks months years hours dose",
    "bmi muac",
)
_ID_WORDS = _listed("id ids identifier number no nr code uid pid")
_NEGATIVE = _listed(
    "0 no n false absent negative neg never none alive survived normal unchecked unlikely nein non nao não hapana 否"
)
# Marks of missing in addition to those that every table may have: REDCap's suggestions, and what hospitals write.
_MISSING_WORDS = _listed(
    "na n/a nan nil null none missing unknown unk ni inv nask asku nav msk navu np nd not_done notdone refused",
    "? - -- #n/a #null!",
)
_MISSING_NUMBERS = frozenset([-1, -7, -8, -9, -77, -88, -99, -777, -888, -999, -9999, 999, 9999])

_UNITS = {
    "kg": "kg kgs kilogram kilograms kilo",
    "g": "g gram grams gm",
    "mg": "mg",
    "cm": "cm cms centimetre centimetres centimeter centimeters",
    "mm": "mm millimetres millimeters",
    "m": "m metre metres meter meters",
    "years": "years year yrs yr y",
    "months": "months month mos mo",
    "weeks": "weeks week wks",
    "days": "days day",
    "hours": "hours hour hrs hr h",
    "min": "min mins minute minutes",
    "s": "s sec secs second seconds",
    "mmHg": "mmhg",
    "kPa": "kpa",
    "°C": "°c degc celsius c centigrade",
    "°F": "°f degf fahrenheit f",
    "%": "% percent pct",
    "1/min": "1/min /min bpm beats/min breaths/min brpm",
    "mmol/L": "mmol/l",
    "g/dL": "g/dl",
    "mg/dL": "mg/dl",
    "g/L": "g/l",
    "µmol/L": "umol/l µmol/l μmol/l",
    "kg/m²": "kg/m2 kg/m^2 kg/m²",
    "U/L": "u/l iu/l",
    "mL": "ml",
}
_UNIT_OF = {word: unit for unit, words in _UNITS.items() for word in words.split()}
# At the end of a column's name, one letter is as likely something else.
_UNIT_OF_NAME = {word: unit for word, unit in _UNIT_OF.items() if len(word) > 1 and word.isalpha()}

Kind = Literal["numeric", "binary", "categorical", "date"]


@dataclass(frozen=True)
class VariableDraft:
    """What ``cohort.yaml`` may hold about one column.

    ``levels`` are text in the table -> level; of a binary variable, the second is the event. ``dates`` are the first
    and last plausible date, in ISO; ``notes`` what a person should look at.
    """

    column: str
    kind: Kind
    label: str = ""
    unit: str = ""
    levels: dict[str, str] = field(default_factory=dict)
    range: tuple[float, float] | None = None
    dates: tuple[str, str] | None = None
    date_format: str = ISO
    notes: tuple[str, ...] = ()

    def noted(self, *notes: str) -> VariableDraft:
        """The same with these notes added."""
        return replace(self, notes=(*self.notes, *(note for note in notes if note)))


@dataclass(frozen=True)
class LeftOut:
    """A column that is not described, and why."""

    column: str
    reason: str


@dataclass(frozen=True)
class Cells:
    """The cells of a column that are not missing, without blanks around them.

    ``decimal`` is a point or comma; with ``is_typed``, dates are in ISO because the file knows which cells are dates.
    """

    texts: list[str]
    decimal: str = "."
    is_typed: bool = False

    @classmethod
    def known(cls, cells: Iterable[str], missing: Iterable[str], decimal: str, is_typed: bool) -> Cells:
        """The cells that no mark of missing explains."""
        marks = {canonical_text(mark, ".") for mark in missing}
        texts = [text.strip() for text in cells if canonical_text(text, decimal) not in marks]
        return cls(texts, decimal, is_typed)

    def distinct(self) -> list[str]:
        """Different values, the smallest first; of equal numbers one spelling."""
        by_value = {canonical_text(text, self.decimal): text for text in reversed(self.texts)}
        return sorted(by_value.values(), key=lambda text: (self.number(text) or 0.0, text))

    def number(self, text: str) -> float | None:
        return plain_number(text, self.decimal)

    def n_numbers(self) -> int:
        return sum(self.number(text) is not None for text in self.texts)


def missing_marks(columns: Iterable[Sequence[str]], decimal: str, codes: Iterable[str] = ()) -> list[str]:
    """Marks of missing that a table seems to use, in addition to the common ones.

    A word such as UNK counts where a column's other values are numbers or dates; a number such as -99 or 999 where it
    stands apart from a column's other numbers, which are not negative, and is nowhere a likely value. ``columns`` are
    the cells of each column; ``codes`` have a meaning in some column, and are no marks.
    """
    found: set[str] = set()
    likely = {canonical_text(code, ".") for code in codes}
    for cells in columns:
        texts = {text.strip() for text in cells} - {"", ".", "NA"}
        possible = {text for text in texts if text.lower() in _MISSING_WORDS}
        possible |= {text for text in texts if plain_number(text, decimal) in _MISSING_NUMBERS}
        marks = {text for text in possible if _stands_apart(text, texts - possible, decimal)}
        found |= marks
        likely |= {canonical_text(text, decimal) for text in possible - marks}
    return [mark for mark in sorted(found) if canonical_text(mark, decimal) not in likely]


def _stands_apart(mark: str, others: set[str], decimal: str) -> bool:
    """Whether a possible mark of missing is unlike the other values of its column."""
    value = plain_number(mark, decimal)
    numbers = [other for text in others if (other := plain_number(text, decimal)) is not None]
    if value is not None:
        return bool(numbers) and min(numbers) >= 0 and (value < 0 or value > 3 * max(numbers))
    return bool(others) and (len(numbers) >= _MOSTLY * len(others) or bool(fitting_formats(others)))


# --- from a column ---------------------------------------------------------------------------------------------


def draft_of_column(
    column: str, cells: Cells, label: str = "", levels: Mapping[str, str] | None = None
) -> VariableDraft | LeftOut:
    """Describe a column by what it holds; ``label`` and ``levels`` are its label and value labels in the file."""
    reason = _why_not(column, label, cells)
    if reason:
        return LeftOut(column, reason)
    label, unit = label_and_unit(label, column)
    draft = _draft_values(column, cells, levels or {}, is_quantity=bool(unit or _words(column) & _QUANTITIES))
    return draft if isinstance(draft, LeftOut) else replace(draft, label=label, unit="" if draft.levels else unit)


def _why_not(column: str, label: str, cells: Cells) -> str:
    words = _words(column)
    if is_identifying(column, label):
        return "its name suggests that it may identify a person"
    if not cells.texts:
        return "no values"
    distinct = cells.distinct()
    if len(distinct) == 1:
        return "the same value in every row that has one"
    if words & _ID_WORDS and len(distinct) > max(MAX_LEVELS, 0.5 * len(cells.texts)):
        return "it looks like an identifier"
    return ""


def is_identifying(column: str, label: str = "") -> bool:
    """Whether a column's name, or its label, suggests that its values may identify a person."""
    words = _words(column)
    return bool(
        words & _IDENTIFYING or {"birth", "date"} <= words | _words(label) or _words(label) & {"dob", "surname"}
    )


def _words(text: str) -> set[str]:
    parts = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", text)
    return set(re.findall(r"[^\W\d_]+", parts.lower()))


def _draft_values(
    column: str, cells: Cells, levels: Mapping[str, str], is_quantity: bool = False
) -> VariableDraft | LeftOut:
    distinct = cells.distinct()
    unlabelled = [text for text in distinct if _code_of(text, levels, cells.decimal) is None]
    if levels and not unlabelled:
        return levelled(column, {text: levels[key] for key, text in _in_file(levels, cells).items()})
    if cells.is_typed and all(map(read_iso_date, distinct)):
        return VariableDraft(column, "date")
    formats = fitting_formats(distinct)
    if formats:
        return dated(column, formats)
    if cells.n_numbers() >= _MOSTLY * len(cells.texts):
        draft = VariableDraft(column, "numeric") if is_quantity else _draft_numbers(column, cells, distinct)
        return draft.noted(_no_numbers(cells), _labelled_codes(levels))
    if len(distinct) <= MAX_LEVELS and len(cells.texts) >= _MIN_PER_LEVEL * len(distinct):
        # Spellings that differ by case alone are one level.
        names: dict[str, str] = {}
        by_text = {text: names.setdefault(text.casefold(), text) for text in distinct}
        return levelled(column, by_text).noted("spellings were joined" if len(names) < len(by_text) else "")
    return LeftOut(column, f"{len(distinct)} different texts among {len(cells.texts)}")


def _draft_numbers(column: str, cells: Cells, distinct: Sequence[str]) -> VariableDraft:
    """Few whole numbers are codes, others are quantities."""
    values = [cells.number(text) for text in distinct]
    are_codes = all(value is not None and value.is_integer() for value in values)
    if not are_codes or len(values) > _MAX_CODES or len(cells.texts) < _MIN_PER_LEVEL * len(values):
        return VariableDraft(column, "numeric")
    draft = levelled(column, {text: text for text in distinct})
    if draft.kind == "binary":
        return draft.noted("name the levels")
    return draft.noted("name the levels, or write `kind: numeric` without levels if it is a quantity")


def _no_numbers(cells: Cells) -> str:
    n = len(cells.texts) - cells.n_numbers()
    what = "s are no numbers" if n > 1 else " is no number"
    return f"{n} value{what}: marks of missing belong in `missing`" if n else ""


def _labelled_codes(levels: Mapping[str, str]) -> str:
    if not levels:
        return ""
    named = ", ".join(f"{code} = {label}" for code, label in list(levels.items())[:5])
    return f"the file labels some values ({named}): are they missing?"


def levelled(column: str, levels: Mapping[str, str]) -> VariableDraft:
    """A variable with these levels: binary if there are two, the negative one first."""
    names = list(dict.fromkeys(levels.values()))
    if len(names) != 2:
        return VariableDraft(column, "categorical", levels=dict(levels))
    event = names[0] if _is_negative(names[1]) and not _is_negative(names[0]) else names[1]
    ordered = dict(sorted(levels.items(), key=lambda pair: pair[1] == event))
    return VariableDraft(column, "binary", levels=ordered).noted(f"the event is {event!r}, the second level")


def _is_negative(level: str) -> bool:
    return level.strip().lower() in _NEGATIVE


def dated(column: str, formats: Sequence[str]) -> VariableDraft:
    """A date in the first of the formats that fit; a note lists the others."""
    others = " or ".join(repr(name) for name in formats[1:])
    note = f"all dates would also fit {others}: which is right?" if others else ""
    return VariableDraft(column, "date", date_format=formats[0]).noted(note)


# --- from a field of REDCap ------------------------------------------------------------------------------------

_YES_NO = {"yesno": {"0": "No", "1": "Yes"}, "truefalse": {"0": "False", "1": "True"}}
_CHECKBOX = {"0": "Unchecked", "1": "Checked"}
_NO_VARIABLE = {
    "notes": "free text",
    "descriptive": "a text of the form, no variable",
    "file": "a file",
    "sql": "its choices come from a query",
}
_NUMBERS = re.compile(r"integer|number(_[0-9]dp)?(_comma_decimal)?")
_DATE_FORMATS = {"date": ISO, "datetime": f"{ISO} %H:%M", "datetime_seconds": f"{ISO} %H:%M:%S"}
_SHOWN_FORMATS = {"ymd": "%Y-%m-%d", "mdy": "%m-%d-%Y", "dmy": "%d-%m-%Y"}


def draft_of_field(one: Field, column: str, choice: str = "", cells: Cells | None = None) -> VariableDraft | LeftOut:
    """Describe a column of an export by its field; ``choice`` is the label of the choice, of a checkbox.

    What the column holds, where there is a table, decides between codes and labels, and how dates are written.
    """
    if one.is_identifier:
        return LeftOut(column, "an identifier by the dictionary")
    if one.kind in _NO_VARIABLE:
        return LeftOut(column, _NO_VARIABLE[one.kind])
    if is_identifying(one.name, one.label) and one.kind == "text":
        return LeftOut(column, "its name suggests that it may identify a person")
    if cells is not None and not cells.texts:
        return LeftOut(column, "no values")
    label, unit = label_and_unit(one.label, one.name, one.note)
    draft = _draft_field(one, column, cells)
    if isinstance(draft, LeftOut):
        return draft
    return replace(draft, label=f"{label}: {choice}" if choice else label, unit="" if draft.levels else unit)


def _draft_field(one: Field, column: str, cells: Cells | None) -> VariableDraft | LeftOut:
    if one.kind == "checkbox":
        unchecked, checked = _in_file(_CHECKBOX, cells).values()
        return VariableDraft(column, "binary", levels={unchecked: "no", checked: "yes"})
    choices = _YES_NO.get(one.kind, one.choices)
    if choices:
        return _draft_choices(one, column, choices, cells)
    if one.kind in ("calc", "slider"):
        return _bounded(VariableDraft(column, "numeric"), one, ("0", "100") if one.kind == "slider" else ("", ""))
    if _NUMBERS.fullmatch(one.validation):
        return _bounded(VariableDraft(column, "numeric"), one)
    if re.fullmatch(r"(date|datetime|datetime_seconds)_(ymd|mdy|dmy)", one.validation):
        return _draft_date(one, column, cells)
    if one.validation or cells is None:
        return LeftOut(column, f"text checked as {one.validation!r}" if one.validation else "free text")
    return _draft_values(column, cells, {})


def _draft_choices(one: Field, column: str, choices: Mapping[str, str], cells: Cells | None) -> VariableDraft | LeftOut:
    if len(choices) > _MAX_CHOICES:
        return LeftOut(column, f"{len(choices)} choices")
    levels = {text: choices[code] for code, text in _in_file(choices, cells).items()}
    draft = levelled(column, levels)
    if one.kind in _YES_NO:
        draft = replace(draft, notes=())
    others = [] if cells is None else [text for text in cells.distinct() if _code_of(text, levels, ".") is None]
    return draft.noted(f"the table has other values too, {len(others)} different: see `missing`" if others else "")


def _in_file(choices: Mapping[str, str], cells: Cells | None) -> dict[str, str]:
    """Code -> how the table writes it: the code itself, or in an export of labels its label."""
    if cells is None or not cells.texts:
        return {code: code for code in choices}
    distinct = cells.distinct()
    n_codes = sum(_code_of(text, choices, cells.decimal) is not None for text in distinct)
    labels = set(choices.values())
    if sum(text in labels for text in distinct) > n_codes:
        return dict(choices)
    return {code: code for code in choices}


def _code_of(text: str, choices: Mapping[str, str], decimal: str) -> str | None:
    wanted = canonical_text(text, decimal)
    return next((code for code in choices if canonical_text(code, ".") == wanted), None)


def _bounded(draft: VariableDraft, one: Field, default: tuple[str, str] = ("", "")) -> VariableDraft:
    """With the plausible range that the project checks, where it is one."""
    if one.validation.endswith("comma_decimal"):
        draft = draft.noted("written with a decimal comma: see `decimal`")
    texts = (one.low, one.high) if one.low or one.high else default
    low, high = (plain_number(text.replace(",", "."), ".") for text in texts)
    if low is not None and high is not None and low < high and math.isfinite(low) and math.isfinite(high):
        return replace(draft, range=(low, high))
    given = [f"{word} {text}" for word, text in zip(("from", "to"), texts, strict=True) if text]
    return draft.noted(f"the dictionary has {' '.join(given)}: complete the range" if given else "")


def _draft_date(one: Field, column: str, cells: Cells | None) -> VariableDraft:
    start, _, order = one.validation.rpartition("_")
    draft = VariableDraft(column, "date", date_format=_DATE_FORMATS[start])
    if cells is not None and not (cells.is_typed and all(map(read_iso_date, cells.texts))):
        formats = fitting_formats(cells.texts)
        if formats:
            day = _SHOWN_FORMATS[order].replace("-", "/")
            draft = dated(column, sorted(formats, key=lambda name: not name.replace("-", "/").startswith(day)))
        else:
            draft = draft.noted("not all values are dates in one common format: see `missing`, `date_format`")
    first, last = (_iso(text, order) for text in (one.low, one.high))
    if first and last and first < last:
        return replace(draft, dates=(first, last))
    given = [f"{word} {text}" for word, text in zip(("from", "to"), (one.low, one.high), strict=True) if text]
    return draft.noted(f"the dictionary has {' '.join(given)}: complete `dates`" if given else "")


def _iso(text: str, order: str) -> str:
    """A limit of a date, which dictionaries write in ISO or as the form shows it; empty if it is none."""
    day = text.strip().split(" ")[0].replace("/", "-")
    match = re.fullmatch(r"([0-9]+)-([0-9]+)-([0-9]+)", day)
    if not match:
        return ""
    parts = dict(zip("ymd" if len(match[1]) == 4 else order, match.groups(), strict=True))
    date = read_iso_date(f"{parts['y']}-{parts['m']:0>2}-{parts['d']:0>2}")
    return date.isoformat() if date else ""


# --- labels and units ------------------------------------------------------------------------------------------


def label_and_unit(label: str, column: str, note: str = "") -> tuple[str, str]:
    """The label without its unit, and the unit, from the label, the field's note or the column's name.

    'Weight (kg)', 'Weight [kg]', 'Weight, kg' and 'Weight in kg' are understood, a note 'kg' or 'in kg', and a name
    such as ``weight_kg``. The label is empty if nothing but the column's name is known.
    """
    text = label.strip().rstrip(":?").strip()
    for source in (text, *([] if text else [column])):
        match = re.fullmatch(r"(.+?)\s*[\(\[]\s*(?:in\s+)?([^()\[\]]+?)\s*[\)\]]", source)
        match = match or re.fullmatch(r"(.+?)(?:,\s*|\s+in\s+)(\S+)", source)
        if match and match[2].lower() in _UNIT_OF:
            return match[1].strip(), _UNIT_OF[match[2].lower()]
    if (unit := _UNIT_OF.get(note.lower().removeprefix("in ").strip(" ()[]."))) is not None:
        return text, unit
    inside = re.search(r"\bin ([a-z]{2,})\b", text.lower())
    if inside and inside[1] in _UNIT_OF_NAME:
        return text, _UNIT_OF_NAME[inside[1]]
    *_, above, below = ["", "", *column.lower().split("_")]
    return text, _UNIT_OF.get(f"{above}/{below}", "") or (_UNIT_OF_NAME.get(below, "") if above else "")
