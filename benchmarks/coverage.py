"""How often 95 % intervals of the AUROC, and of paired differences, hold the truth: simulated studies of known truth.

    python benchmarks/coverage.py --write docs/coverage.md

200 patients, each with the event by a chance of 13 %: 26 events on average, and 13 to 40 in practice. Scores are
binormal, so that the true AUROC is known. Of each simulated study the intervals are computed by the functions that the
report uses. Takes about ten minutes on one core.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import repeat
from pathlib import Path

import numpy as np
from scipy.stats import norm

from ppgssl.core.results.base import Interval
from ppgssl.evaluation.delong import DeLong, delong, place
from ppgssl.evaluation.predictions import AlignedPredictions
from ppgssl.evaluation.ranked_pairs import resample_auroc
from ppgssl.evaluation.resampling import bca_interval

N_PATIENTS, EVENT_CHANCE = 200, 0.13
ARMS = ("first", "second")


@dataclass(frozen=True)
class Scenario:
    """Two correlated scores of the same patients.

    Attributes
    ----------
    name : str
    auroc : tuple of float
        Truth of both scores.
    correlation : float
        Between the two scores, of patients with the same outcome.
    n_folds, n_repeats : int
        Models that test the patients. Models of a repeat have offsets of their own, as large as the spread of scores
        among patients, and a patient's scores in different repeats correlate by 0.8.
    """

    name: str
    auroc: tuple[float, float]
    correlation: float = 0.6
    n_folds: int = 1
    n_repeats: int = 1


SCENARIOS = (
    Scenario("single split, 0.75 and 0.75", (0.75, 0.75)),
    Scenario("single split, 0.85 and 0.80", (0.85, 0.80)),
    Scenario("single split, 0.95 and 0.85", (0.95, 0.85)),
    Scenario("5 folds, 3 repeats, 0.75 and 0.75", (0.75, 0.75), n_folds=5, n_repeats=3),
    Scenario("5 folds, 3 repeats, 0.85 and 0.80", (0.85, 0.80), n_folds=5, n_repeats=3),
)


def simulate(scenario: Scenario, rng: np.random.Generator) -> AlignedPredictions:
    """One study of at least two patients of each outcome."""
    n, n_repeats = N_PATIENTS, scenario.n_repeats
    y = np.zeros(n, dtype=bool)
    while not 2 <= y.sum() <= n - 2:
        y = rng.random(n) < EVENT_CHANCE
    shared = _correlated(rng, scenario.correlation, (n,))
    of_repeat = _correlated(rng, scenario.correlation, (n_repeats, n))
    share = 0.8 if n_repeats > 1 else 1.0
    shift = np.sqrt(2) * norm.ppf(scenario.auroc)
    score = np.sqrt(share) * shared[:, None] + np.sqrt(1 - share) * of_repeat + shift[:, None, None] * y
    fold = np.stack([_stratified_folds(y, scenario.n_folds, rng) for _ in range(n_repeats)])
    if scenario.n_folds > 1:
        offsets = rng.normal(size=(n_repeats, scenario.n_folds))
        score += np.take_along_axis(offsets, fold, axis=1)
    return AlignedPredictions(
        arms=ARMS,
        y_score=score.reshape(2, -1),
        y_true=np.tile(y, n_repeats),
        repeat=np.repeat(np.arange(n_repeats), n),
        fold=fold.ravel(),
        patient=np.tile(np.arange(n), n_repeats),
        patient_ids=tuple(f"{number:03d}" for number in range(n)),
    )


def _correlated(rng: np.random.Generator, correlation: float, shape: tuple[int, ...]) -> np.ndarray:
    common, own = rng.normal(size=shape), rng.normal(size=(2, *shape))
    return np.sqrt(correlation) * common + np.sqrt(1 - correlation) * own


def _stratified_folds(y: np.ndarray, n_folds: int, rng: np.random.Generator) -> np.ndarray:
    fold = np.empty(len(y), dtype=np.int64)
    for is_class in (y, ~y):
        fold[is_class] = rng.permutation(np.arange(is_class.sum()) % n_folds)
    return fold


def intervals(aligned: AlignedPredictions, *, n_resamples: int, seed: int) -> Iterator[tuple[str, str, Interval]]:
    """Arm or ``difference``, method and interval, of one study."""
    evaluated = resample_auroc(aligned, n_resamples=n_resamples, seed=seed)
    placements = place(aligned)
    by_theory, jackknife = delong(placements), placements.jackknife()
    for row, arm in enumerate(ARMS):
        yield arm, "percentile bootstrap", evaluated.interval(arm)
        yield arm, "BCa bootstrap", _bca(evaluated.draws[row], evaluated.estimates[row], jackknife[row])
        yield arm, "DeLong", _wald(by_theory, row)
        yield arm, "logit DeLong", by_theory.interval(arm)
    differences = (one[..., 0] - one[..., 1] for one in (evaluated.draws.T, evaluated.estimates, jackknife.T))
    yield "difference", "percentile bootstrap", evaluated.difference(*ARMS)
    yield "difference", "BCa bootstrap", _bca(*differences)
    yield "difference", "DeLong", by_theory.difference(*ARMS)


def _wald(by_theory: DeLong, row: int) -> Interval:
    """The symmetric interval of DeLong's paper, which may leave 0..1."""
    estimate, half = by_theory.estimates[row], 1.959964 * np.sqrt(by_theory.covariance[row, row])
    return Interval(estimate=estimate, ci_low=estimate - half, ci_high=estimate + half)


def _bca(replicates: np.ndarray, estimate: float, jackknife: np.ndarray) -> Interval:
    low, high = bca_interval(replicates, float(estimate), jackknife)
    return Interval(estimate=float(estimate), ci_low=low, ci_high=high)


@dataclass
class Tally:
    """How a method fared over simulated studies."""

    n: int = 0
    n_undefined: int = 0
    n_too_high: int = 0
    n_too_low: int = 0
    width: float = 0.0

    def add(self, interval: Interval, truth: float) -> None:
        self.n += 1
        if interval.ci_low is None or interval.ci_high is None:
            self.n_undefined += 1
            return
        self.n_too_high += interval.ci_low > truth
        self.n_too_low += interval.ci_high < truth
        self.width += interval.ci_high - interval.ci_low

    @property
    def coverage(self) -> float:
        """Share of all studies whose interval holds the truth; an undefined interval does not."""
        return 1 - (self.n_too_high + self.n_too_low + self.n_undefined) / self.n


def tally(scenario: Scenario, *, n_studies: int, n_resamples: int, seed: int) -> dict[tuple[str, str], Tally]:
    """By quantity, named with its truth, and method; two arms of the same truth count together."""
    truth = {**dict(zip(ARMS, scenario.auroc, strict=True)), "difference": scenario.auroc[0] - scenario.auroc[1]}
    rng = np.random.default_rng(seed)
    found: dict[tuple[str, str], Tally] = {}
    for number in range(n_studies):
        study = simulate(scenario, rng)
        for name, method, interval in intervals(study, n_resamples=n_resamples, seed=number):
            quantity = f"{'difference' if name == 'difference' else 'AUROC'} {truth[name]:.2f}"
            found.setdefault((quantity, method), Tally()).add(interval, truth[name])
    return found


# --- the page ----------------------------------------------------------------------------------------------------

_TEXT = """# Do the intervals hold the truth as often as they say?

A 95 % interval of an AUROC should hold the true AUROC in 95 of 100 studies. Whether it does at the size of the
published test set is found by simulation: {studies} studies a scenario, each of {n} patients who have the event by a
chance of {chance:.0%} (26 events on average), two correlated binormal scores of known AUROC, {resamples} resamples. The
functions are those of the report. A coverage of exactly 95 % would be seen as 95 % give or take {error:.1f} points (two
standard errors).

    {command}

In a single split one model scores all patients. In the scenarios of 5 folds and 3 repeats fifteen models do, each with
an offset of its own, and the scores of a patient in different repeats correlate by 0.8.

## Coverage in percent, lowest and highest over the scenarios of one truth

{summary}

{verdict}

What follows for the report: the BCa and the logit DeLong interval of an AUROC can be trusted up to about 0.85, and at
0.95 with 26 events nothing can. The percentile interval lies somewhat too high, the more so the higher the AUROC. It
comes first nevertheless, as the p-values of differences are of the same resamples and agree with it, and of differences
it is as good as any; the other two stand beside it. Plain DeLong intervals of an AUROC are not reported.

"Too high" below is the share of intervals that lie wholly above the truth, "too low" of those wholly below. An
undefined interval (an AUROC of exactly 1 has no variance) counts as a miss.

The simulated models are given. The variation that other training patients would bring is in none of the intervals, and
in none of these figures.

## All figures

| scenario | quantity | interval | coverage, % | too high, % | too low, % | mean width | undefined, % |
|---|---|---|---|---|---|---|---|
{rows}
"""


def write_page(found: dict[Scenario, dict[tuple[str, str], Tally]], path: Path, command: str, n_resamples: int) -> None:
    n_studies = min(one.n for of_scenario in found.values() for one in of_scenario.values())
    rows = [
        f"| {scenario.name} | {quantity} | {method} | {_figures(one)} |"
        for scenario, of_scenario in found.items()
        for (quantity, method), one in of_scenario.items()
    ]
    summary, verdict = _summary(found)
    text = _TEXT.format(
        studies=f"{n_studies:,}",
        n=N_PATIENTS,
        chance=EVENT_CHANCE,
        resamples=f"{n_resamples:,}",
        error=200 * np.sqrt(0.95 * 0.05 / n_studies),
        command=command,
        summary=summary,
        verdict=verdict,
        rows="\n".join(rows),
    )
    path.write_text(text, encoding="utf-8")


def _figures(one: Tally) -> str:
    n_defined = max(one.n - one.n_undefined, 1)
    shares = [100 * one.coverage, *(100 * count / one.n for count in (one.n_too_high, one.n_too_low))]
    numbers = [
        *(f"{share:.1f}" for share in shares),
        f"{one.width / n_defined:.3f}",
        f"{100 * one.n_undefined / one.n:.1f}",
    ]
    return " | ".join(numbers)


def _summary(found: dict[Scenario, dict[tuple[str, str], Tally]]) -> tuple[str, str]:
    """A table of methods over truths, and for each truth the methods that stay within 93 to 97 %."""
    coverages: dict[tuple[str, str], list[float]] = {}
    for of_scenario in found.values():
        for key, one in of_scenario.items():
            coverages.setdefault(key, []).append(round(100 * one.coverage, 1))
    quantities = sorted({quantity for quantity, _ in coverages})
    methods = list(dict.fromkeys(method for _, method in coverages))
    lines = [f"| interval | {' | '.join(quantities)} |", "|---" * (len(quantities) + 1) + "|"]
    for method in methods:
        lines.append(f"| {' | '.join([method, *(_range(coverages.get((one, method))) for one in quantities)])} |")
    verdicts = ["Within 93 to 97 % in every scenario:", ""]
    for quantity in quantities:
        good = [one for one in methods if _is_good(coverages.get((quantity, one), [0.0]))]
        verdicts.append(f"- {quantity}: {', '.join(good) or 'none'}")
    return "\n".join(lines), "\n".join(verdicts)


def _range(values: list[float] | None) -> str:
    if values is None:
        return ""
    return f"{min(values)}" if min(values) == max(values) else f"{min(values)}-{max(values)}"


def _is_good(values: list[float]) -> bool:
    return min(values) >= 93 and max(values) <= 97


def _tally_with_seed(evaluate: partial, scenario: Scenario, seed: int) -> dict[tuple[str, str], Tally]:
    return evaluate(scenario, seed=seed)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=4000, help="a scenario")
    parser.add_argument("--resamples", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=2023)
    parser.add_argument("--jobs", type=int, default=1, help="processes; the figures do not depend on it")
    parser.add_argument("--write", type=Path, help="the page to write, docs/coverage.md")
    options = parser.parse_args()
    seeds = range(options.seed, options.seed + len(SCENARIOS))
    evaluate = partial(tally, n_studies=options.studies, n_resamples=options.resamples)
    with ProcessPoolExecutor(options.jobs) as pool:
        tallies = list(pool.map(_tally_with_seed, repeat(evaluate), SCENARIOS, seeds))
    found = dict(zip(SCENARIOS, tallies, strict=True))
    for scenario, of_scenario in found.items():
        for (quantity, method), one in of_scenario.items():
            print(f"{scenario.name}: {quantity}, {method}: {_figures(one)}")
    if options.write:
        command = f"python benchmarks/coverage.py --studies {options.studies} --resamples {options.resamples} "
        command += f"--seed {options.seed} --write {options.write}"
        write_page(found, options.write, command, options.resamples)


if __name__ == "__main__":
    main()
