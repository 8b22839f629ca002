"""Table of self-supervised pretraining: what each encoder saw, what it learnt, what it cost."""

from __future__ import annotations

from collections.abc import Callable

from ppgssl.core.results.pretraining import PretrainingRun
from ppgssl.core.results.study import Results
from ppgssl.report.document import Row, Table
from ppgssl.report.tables.build import build_table, right
from ppgssl.report.text import rounding
from ppgssl.report.text.rounding import UNDEFINED

EXPOSURE_LABELS = {
    "per-fold": "Training patients of each fold only",
    "disjoint": "Unlabelled cohorts only",
    "transductive": "All patients, test patients too",
}


def pretraining_table(results: Results) -> Table | None:
    """One column an encoder: there are at most two sources, and their labels are long."""
    if not results.pretraining:
        return None
    properties = (
        ("Sees signals of", lambda run: EXPOSURE_LABELS[run.exposure]),
        ("Encoders trained", lambda run: rounding.count(run.n_encoders)),
        ("Training patients, first encoder", lambda run: rounding.count(run.n_patients)),
        ("Training segments, first encoder", lambda run: rounding.count(run.n_segments)),
        ("Weights of an encoder", lambda run: rounding.count(run.n_parameters)),
        *_score_row(results),
        ("Effective rank of the representation", lambda run: rounding.number(run.effective_rank, 1)),
        ("Time", lambda run: rounding.duration(run.seconds)),
        ("Device", _device),
        *_hardware_rows(results),
    )
    rows = [Row((name, *[of(run) for run in results.pretraining])) for name, of in properties]
    return build_table(
        "table-pretraining",
        rows,
        columns=right(*(run.label for run in results.pretraining), width=1),
        score=results.pretraining[0].score_name,
        has_energy=any(run.cpu_joules is not None for run in results.pretraining),
    )


def _device(run: PretrainingRun) -> str:
    devices, nodes = run.hardware.get("devices", 1), run.hardware.get("nodes", 1)
    each = f"{devices} on each of {nodes} machines" if nodes > 1 else f"{devices} together"
    return f"{run.device}, {each}" if devices * nodes > 1 else run.device


def _hardware_rows(results: Results) -> list[tuple[str, Callable[[PretrainingRun], str]]]:
    """What the machine was, and the energy it took, where that is known."""
    runs = results.pretraining
    rows: list[tuple[str, Callable[[PretrainingRun], str]]] = []
    if any(run.hardware for run in runs):
        rows += [("Processor", _processor), ("Peak memory of a process", _peak_memory)]
    if any(run.hardware.get("gpu") for run in runs):
        rows.append(("Peak memory of the GPU", lambda run: rounding.memory(run.hardware.get("peak_gpu_memory_mb"))))
    if any(run.cpu_joules is not None for run in runs):
        rows.append(("Energy of processors and memory", lambda run: rounding.energy(run.cpu_joules)))
    if any(run.gpu_joules is not None for run in runs):
        rows.append(("Energy of GPUs", lambda run: rounding.energy(run.gpu_joules)))
    return rows


def _processor(run: PretrainingRun) -> str:
    cores, memory = run.hardware.get("n_cores"), run.hardware.get("memory_gb")
    parts = (run.hardware.get("cpu"), cores and rounding.plural(cores, "core"), memory and f"{memory:.0f} GB")
    return ", ".join(str(part) for part in parts if part) or UNDEFINED


def _peak_memory(run: PretrainingRun) -> str:
    return rounding.memory(run.hardware.get("peak_memory_mb"))


def _score_row(results: Results) -> list[tuple[str, Callable[[PretrainingRun], str]]]:
    name = results.pretraining[0].score_name
    return [(name[:1].upper() + name[1:], lambda run: rounding.number(run.score, 2))] if name else []
