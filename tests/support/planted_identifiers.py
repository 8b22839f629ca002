"""A ward whose raw files are full of identifiers, and a search for them in everything that is made from it."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
from pypdf import PdfReader

from tests.support.small_cohorts import describe, describe_study, signal, write_signal

KEY = "2f5f0c6f1bd24c0e9f6f8f1d7a3e5b90c4d8e7a1"
N_PATIENTS = 20
FAMILY_NAMES = ("Wanjiru", "Otieno", "Kiprotich", "Nakato", "Achieng")
FREE_TEXT = ("Katharina", "matatu", "Kilimani", "gastroschisis")
TELEPHONE = "0722981"


def patient_id(number: int) -> str:
    return f"KNH{number:04d}"


def admitted(number: int) -> str:
    return f"2019-03-{number % 27 + 1:02d}"


def born(number: int) -> str:
    return f"2016-11-{number % 27 + 1:02d}"


def identifiers() -> list[str]:
    """All that is planted, dates in the ways they may be written."""
    dates = [day for number in range(1, N_PATIENTS + 4) for day in (admitted(number), born(number))]
    other = [day.replace("-", "") for day in dates]
    other += ["/".join(reversed(day.split("-"))) for day in dates] + ["2001-09-09", "2010-10-10"]
    ids = [patient_id(number) for number in range(1, N_PATIENTS + 4)] + ["KNH77", "KNH099X"]
    return [*ids, *FAMILY_NAMES, *FREE_TEXT, TELEPHONE, *dates, *other]


def plant(folder: Path, **changes: object) -> Path:
    """A ward of patients, with one of everything that goes wrong; its ``cohort.yaml``."""
    for number in range(1, N_PATIENTS + 1):
        write_signal(folder, _name(number), signal(number))
    _plant_bad_files(folder)
    _plant_clinical(folder)
    described = {
        "signals__files": "signals/{patient}_{visit}_{recording}.csv",
        "signals__trends": {"file": "trends/{patient}_{visit}.txt", "columns": {"spo2_percent": "SpO2"}},
        "clinical__file": "clinical.csv",
        "clinical__variables__born": {"kind": "date", "dates": ["2015-01-01", "2019-12-31"]},
        "clinical__variables__admitted": {"kind": "date", "date_format": "%d/%m/%Y"},
        "clinical__variables__weight": {"kind": "numeric", "range": [1, 50], "unit": "kg"},
    }
    return describe(folder, **described, **changes)


def _name(number: int) -> str:
    return f"{patient_id(number)}_{admitted(number)}_{FAMILY_NAMES[number % len(FAMILY_NAMES)]}"


def _plant_bad_files(folder: Path) -> None:
    signals = folder / "signals"
    beyond = N_PATIENTS + 1
    (signals / f"{_name(beyond)}.csv").write_text("red,ir\n" + "Katharina fell,off\n" * 50)
    (signals / f"{_name(beyond + 1)}.csv").write_text("Katharina,Kilimani 0722981\n" + "1,2\n" * 50)
    write_signal(folder, f"{patient_id(1)}_{admitted(1)}_again", signal(1))
    write_signal(folder, f"{patient_id(2)}_{admitted(2)}_Otieno2", signal(3))
    write_signal(folder, f"{patient_id(4)}_{admitted(4)}_Otieno2", signal(90, seconds=24.0))
    write_signal(folder, f"KNH77_{admitted(5)}_Nakato", signal(91))
    (signals / f"{_name(5)}.CSV").write_text("")
    (signals / f"{patient_id(6)}_Nakato_{admitted(6)}_Wanjiru.csv").write_text("")
    (signals / f"{patient_id(7)}_{admitted(7)}_gone.csv").symlink_to(folder / "KNH099X_Wanjiru")
    trends = folder / "trends"
    trends.mkdir()
    for number in range(1, N_PATIENTS - 1):
        (trends / f"{patient_id(number)}_{admitted(number)}.txt").write_text("SpO2\n" + "97\n" * 12)
    (trends / f"{patient_id(8)}_{admitted(8)}.txt").write_text("SpO2\nKatharina\n")
    (trends / f"KNH099X_{admitted(8)}.txt").write_text("SpO2\n97\n")


def _plant_clinical(folder: Path) -> None:
    rows = [_row(number) for number in range(1, N_PATIENTS + 4)]
    rows += [_row(9).replace(",b,0,", ",a,0,"), rows[9], _row(50).replace(patient_id(50), "KNH0077")]
    rows += [_row(51).replace(patient_id(51), "").replace("Otieno", "Wanjiru")]
    rows[10] = rows[10].replace(",a,", ",Katharina,").replace(",b,", ",Katharina,")
    rows[11] = rows[11].replace(born(12), "2001-09-09")
    rows[12] = rows[12].replace("/2019,", "/2010x,")
    rows[13] += ",Katharina"
    header = "id,name,telephone,born,admitted,age,weight,stage,died,notes"
    (folder / "clinical.csv").write_text("\n".join([header, *rows]) + "\n")


def _row(number: int) -> str:
    cells = [
        patient_id(number),
        FAMILY_NAMES[number % len(FAMILY_NAMES)],
        TELEPHONE,
        born(number),
        "/".join(reversed(admitted(number).split("-"))),
        number / 2,
        f"{9 + number / 7:.2f}",
        "ab"[number % 2],
        int(number % 5 in (0, 2)),
        f"brought by {FREE_TEXT[number % 4]}",
    ]
    return ",".join(map(str, cells))


def describe_planted_study(folder: Path) -> Path:
    """A study of the ward, as small as can be; its ``study.yaml``."""
    return describe_study(
        folder,
        cohorts=[{"cohort": "cohort.yaml", "role": "labelled"}],
        covariates=["age", "weight"],
        arms=["covariates", "ssl-labelled", "network-random"],
        subgroups=[{"variable": "stage"}],
        pretraining={"n_steps": 4, "batch_size": 8, "evaluate_every": 2, "encoder": {"width": 8, "n_stages": 1}},
        network={"n_epochs": 1, "freeze_epochs": 0, "patience": 1, "n_models": 1},
        validation={"n_folds": 2, "n_repeats": 1, "n_bootstrap": 100, "n_optimism": 2},
    )


def found_in(folder: Path, needles: list[str]) -> dict[str, list[str]]:
    """Which of the needles stand in which file under a folder, letter case ignored: by name, in bytes, or decoded."""
    hits: dict[str, list[str]] = {}
    for path in sorted(folder.rglob("*")):
        texts = [str(path.relative_to(folder)), *(_readings(path) if path.is_file() else ())]
        hay = "\n".join(texts).casefold()
        if found := [needle for needle in needles if needle.casefold() in hay]:
            hits[str(path.relative_to(folder))] = found
    return hits


def _readings(path: Path) -> Iterator[str]:
    yield path.read_bytes().decode("latin-1")
    if path.suffix == ".parquet":
        table = pq.read_table(path)
        wanted = [name for name in table.column_names if not name.startswith(("samples_", "flags_"))]
        yield table.select(wanted).to_pandas().to_csv()
        yield str(table.schema)
    elif path.suffix == ".pdf":
        reader = PdfReader(path)
        yield "\n".join(page.extract_text() for page in reader.pages)
        yield str(reader.metadata)
    elif zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as packed:
            for name in packed.namelist():
                yield name
                yield packed.read(name).decode("latin-1")
