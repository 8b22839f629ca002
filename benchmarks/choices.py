"""Which settings of pretraining serve best: variants of one study, each probed on the same patients and folds.

    python benchmarks/choices.py STUDY.yaml --out DIR \
        --variant "every default" \
        --variant "width 32: pretraining.encoder.width=32" \
        --variant "noise alone: pretraining.objective={name: vicreg, augmentations: [noise]}"

A variant is a name, a colon, and `key=value` pairs separated by `;` that change the study; values are YAML. The
stores must be there (`ppgssl ingest`, or the start of `ppgssl run`). For each variant the probe's encoders are
pretrained under DIR, kept, and not trained again. Ends with one Markdown table a cohort: a row for each variant and
representation; R2 of quantities, top-1 of retrieval, AUROC of the outcome, each with its 95 % interval.
"""

from __future__ import annotations

import argparse
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ppgssl.core.config.loading import load_yaml
from ppgssl.core.config.study import Study
from ppgssl.core.results.probe import ProbeMeasure, ProbeResults
from ppgssl.stages.probe.probe import make_plan, pretrain_probes, probe
from ppgssl.store.study_data import load_study_data, store_folder

SHOWN = {"r2": "R2", "top1": "top-1", "auroc": "AUROC"}


@dataclass(frozen=True)
class Variant:
    """A change of the study, and what its probe found."""

    name: str
    results: ProbeResults


def main() -> None:
    """Probe every variant and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--variant", action="append", required=True)
    parser.add_argument("--parts", action="store_true", help="a row for each depth, too")
    parser.add_argument("--jobs", type=int, default=-1)
    options = parser.parse_args()
    variants = []
    for text in options.variant:
        name, _, changes = text.partition(":")
        study = changed_study(options.study, changes)
        folder = options.out / re.sub(r"\W+", "-", name.strip())
        data = load_study_data(study, options.study, folder)
        plan = make_plan(data)
        pretrain_probes(plan, data, folder, n_jobs=options.jobs)
        results = probe(plan, data, folder, n_jobs=options.jobs)
        print(f"{name.strip()}: {results.seconds:.0f} s", flush=True)
        variants.append(Variant(name.strip(), results))
    for cohort in dict.fromkeys(one.cohort for variant in variants for one in variant.results.quantities):
        print("\n".join(table(variants, cohort, options.parts)))


def changed_study(file: Path, changes: str) -> Study:
    """The study with some keys changed, and its stores where they are."""
    raw = load_yaml(file)
    original = Study.model_validate(raw)
    for entry, written in zip(original.cohorts, raw["cohorts"], strict=True):
        written["store"] = str(store_folder(entry, file, (file.parent / original.out).resolve()).resolve())
    for change in filter(None, map(str.strip, changes.split(";"))):
        key, _, value = change.partition("=")
        *parents, last = key.strip().split(".")
        place: dict[str, Any] = raw
        for parent in parents:
            place = place.setdefault(parent, {})
        place[last] = yaml.safe_load(value)
    return Study.model_validate(raw)


def table(variants: list[Variant], cohort: str, with_parts: bool) -> list[str]:
    """Lines of a Markdown table."""
    columns: dict[tuple[str, str], str] = {}
    for variant in variants:
        for one in variant.results.quantities:
            for statistic in SHOWN:
                if one.cohort == cohort and one.is_measured and found(variant.results, one.cohort, one.name, statistic):
                    columns[one.name, statistic] = f"{one.label}, {SHOWN[statistic]} (n {one.n_patients})"
    lines = ["", f"**{cohort}**", "", f"| variant | representation | {' | '.join(columns.values())} |"]
    lines.append("|" + "---|" * (len(columns) + 2))
    for variant in variants:
        for one in variant.results.representations:
            for part in list(one.parts) if with_parts else [one.own_part]:
                measures = [measure(variant.results, cohort, *column, one.name, part) for column in columns]
                label = one.label + (f", {part}" if with_parts else "")
                lines.append(f"| {variant.name} | {label} | {' | '.join(map(shown, measures))} |")
    return lines


def found(results: ProbeResults, cohort: str, quantity: str, statistic: str) -> bool:
    """Whether a statistic was measured."""
    return any((one.cohort, one.quantity, one.statistic) == (cohort, quantity, statistic) for one in results.measures)


def measure(
    results: ProbeResults, cohort: str, quantity: str, statistic: str, representation: str, part: str
) -> ProbeMeasure | None:
    """The one measure of these names."""
    wanted = (cohort, quantity, statistic, representation, part)
    return next(
        (
            one
            for one in results.measures
            if (one.cohort, one.quantity, one.statistic, one.representation, one.part) == wanted
        ),
        None,
    )


def shown(one: ProbeMeasure | None) -> str:
    """Estimate and interval."""
    if one is None or one.value.estimate is None:
        return "–"
    if one.value.ci_low is None or one.value.ci_high is None:
        return f"{one.value.estimate:.3f}"
    return f"{one.value.estimate:.3f} ({one.value.ci_low:.2f} to {one.value.ci_high:.2f})"


if __name__ == "__main__":
    main()
