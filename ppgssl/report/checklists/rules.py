"""Questions of a checklist and the answers that results give: the words are YAML, the conditions are named here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ppgssl.core.results.study import Results
from ppgssl.report.document import Text
from ppgssl.report.text.claims import FEW_EVENTS, TOO_FEW_EVENTS
from ppgssl.report.text.facts import Facts
from ppgssl.report.text.families import reference_arm
from ppgssl.report.text.methods import configuration
from ppgssl.report.text.prose import load, phrase

Condition = Callable[[Mapping[str, Any]], object]


def _of_scheme(name: str) -> Condition:
    return lambda known: known["results"].validation.scheme == name


def _has_sample_size(known: Mapping[str, Any]) -> bool:
    return known["results"].sample_size is not None


# Name of a condition -> whether it holds; `known` has the results, what they hold (`facts`) and the configuration.
CONDITIONS: dict[str, Condition] = {
    **{name: _of_scheme(name) for name in ("external", "leave-one-site-out", "single-split", "repeated-kfold")},
    "arms-larger-than-sample-size": lambda known: known["facts"].larger,
    "calibration-measured": lambda known: known["facts"].measures["calibration"],
    "covariate-model": lambda known: known["results"].covariate_model is not None,
    "covariates": lambda known: known["facts"].uses_covariates,
    "defining-variables": lambda known: known["defining"],
    "enough-events-to-claim": lambda known: known["facts"].n_rare >= TOO_FEW_EVENTS,
    "everything-measured": lambda known: not known["facts"].not_measured,
    "many-events": lambda known: known["facts"].n_rare >= FEW_EVENTS,
    "missing-known": lambda known: known["results"].missing is not None,
    "missing-unknown": lambda known: known["results"].missing is None,
    "multiple-imputation": lambda known: known["results"].missing.method == "mice",
    "networks-only": lambda known: not known["facts"].regressions,
    "no-interval": lambda known: not known["facts"].with_interval,
    "no-leakage-checks": lambda known: not known["results"].leakage,
    "no-networks": lambda known: not known["facts"].networks,
    "no-sample-size": lambda known: not _has_sample_size(known),
    "nothing-measured": lambda known: not known["facts"].measured,
    "nothing-missing": lambda known: known["results"].missing.n_complete == known["results"].missing.n_patients,
    "patients-left-out": lambda known: known["facts"].patients_left_out,
    "patients-shared": lambda known: known["facts"].shared,
    "sample-size": _has_sample_size,
    "sample-size-too-small": lambda known: not known["results"].sample_size.is_enough,
    "shift": lambda known: known["results"].shift,
    "shortcuts": lambda known: known["facts"].shortcuts,
    "sites": lambda known: known["results"].validation.sites,
    "something-not-measured": lambda known: known["facts"].not_measured,
    "subgroups": lambda known: known["results"].subgroups,
    "subgroups-by-site": lambda known: (
        known["study"].validation.site in {one.variable for one in known["results"].subgroups}
    ),
    "table-one": lambda known: known["results"].table_one,
    "thresholds": lambda known: known["facts"].threshold_rules,
    "transductive": lambda known: known["facts"].transductive,
}


@dataclass(frozen=True)
class Answered:
    """A question with the answer that the results give: the chosen entry of the file, None where none fits.

    ``text`` and ``left`` are its words, filled in; ``to_write`` is what is left to an author who answers all of it.
    """

    domain: str
    number: str
    asked: str
    to_write: str
    answer: Mapping[str, Any] | None
    text: Text
    left: Text


def answered(checklist: str, results: Results) -> Iterator[Answered]:
    """Every question of ``checklist.yaml``, in its order."""
    known = _known(results)
    for domain, questions in load(f"checklists/{checklist}.yaml")["questions"].items():
        for number, question in questions.items():
            chosen = next((one for one in question.get("answers", ()) if _holds(one.get("when", ()), known)), None)
            answer = chosen if chosen and "text" in chosen else None
            text, left = (phrase((answer or {}).get(key, ""), domain=domain, **known) for key in ("text", "left"))
            yield Answered(domain, number, question["asked"], question.get("to_write", ""), answer, text, left)


def _holds(names: str | list[str], known: Mapping[str, Any]) -> bool:
    return all(CONDITIONS[name](known) for name in ([names] if isinstance(names, str) else names))


def _known(results: Results) -> dict[str, Any]:
    config, facts, reference = configuration(results), Facts(results), reference_arm(results)
    clinical = [cohort.clinical for cohort in config.cohorts if cohort.clinical is not None]
    variables = [pair for one in clinical for pair in one.variables.items()]
    return {
        "results": results,
        "facts": facts,
        "study": config.study,
        "few_events": FEW_EVENTS,
        "reference": reference,
        "reference_with_interval": reference if reference in facts.with_interval else None,
        "defining": list(dict.fromkeys(v.label or name for name, v in variables if results.outcome in v.defines)),
    }
