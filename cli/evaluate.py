"""``ppgssl evaluate``."""

from __future__ import annotations

from ppgssl.cli.console import JobsOption, JsonOption, OutOption, print_summary, print_warnings, progress_bar, study_out
from ppgssl.cli.pretrain import StudyArgument


def evaluate(study: StudyArgument, out: OutOption = None, jobs: JobsOption = -1, json: JsonOption = False) -> None:
    """Fit every arm of a study on each training fold, test it, and write results.json and the report as PDF."""
    from ppgssl.config import load_study
    from ppgssl.evaluate import evaluate as run_evaluate
    from ppgssl.report.pdf import write_report
    from ppgssl.store.study_data import load_study_data

    description = load_study(study)
    folder = study_out(study, description.out, out)
    study_data = load_study_data(description, study, folder)
    with progress_bar("evaluate") as advance:
        results = run_evaluate(study_data, folder, n_jobs=jobs, progress=advance)
    report = write_report(results, folder)
    print_warnings([results.probe_note] if results.probe_note else [])
    summary = {arm.label: _auroc(arm.auroc.estimate, arm.auroc.ci_low, arm.auroc.ci_high) for arm in results.arms}
    print_summary({**summary, "results": str(folder / "results.json"), "report": str(report)}, as_json=json)


def _auroc(estimate: float | None, low: float | None, high: float | None) -> str:
    if estimate is None or low is None or high is None:
        return "not defined"
    return f"AUC {estimate:.3f} (95 % interval {low:.3f} to {high:.3f})"
