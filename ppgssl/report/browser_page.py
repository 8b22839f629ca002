"""The page of ``ppgssl inspect``: one HTML file that needs nothing else, made from what was found in a store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2

from ppgssl.core.provenance import write_atomically
from ppgssl.core.reasons import Reason
from ppgssl.report.text import rounding

_TEMPLATE = "inspect.html"

# Column of segments -> words and decimals; a column that is not here is named as it is.
_VITALS = {
    "heart_rate_bpm": ("Heart rate", "/min", 0),
    "sdnn_ms": ("SDNN", "ms", 0),
    "rmssd_ms": ("RMSSD", "ms", 0),
    "respiratory_rate_per_min": ("Respiratory rate", "/min", 1),
    "ratio_of_ratios": ("Ratio of ratios", "", 3),
    "spo2_percent": ("SpO₂", "%", 1),
    "perfusion_index_percent": ("Perfusion index", "%", 2),
    "pulse_arrival_time_ms": ("Pulse arrival time", "ms", 0),
    "sqi": ("SQI", "", 0),
    "sqi_max": ("SQI, highest", "", 0),
}
_UNKNOWN_DECIMALS = 2
_DEVICE = "device_"
_RULES = {
    "sqi": "the channel has no defect and its signal quality index (SQI) is at least {min_sqi:g}",
    "device": "the channel has no defect and the median of the device's own SQI is at least {min_device_sqi:g}",
    "device-any": "the channel has no defect and the device's own SQI reaches {min_device_sqi:g} in any second",
}
_REASONS = {
    reason.value: reason.label[0].lower() + reason.label[1:] for reason in (Reason.LOW_SQI, Reason.LOW_DEVICE_SQI)
}


@dataclass(frozen=True)
class PageContent:
    """What the page shows, ready for JSON: what is not defined is None, never NaN.

    Attributes
    ----------
    summary : mapping
        Of the whole store; see :func:`ppgssl.stages.inspect.inspect_store`.
    settings : mapping
        How segments were cut and judged, and what of them is drawn.
    table : mapping
        A list over all recordings for each column.
    drawn : mapping
        Samples and segments of the recordings that are drawn, as base64.
    """

    summary: Mapping[str, Any]
    settings: Mapping[str, Any]
    table: Mapping[str, Any]
    drawn: Mapping[str, Any]


def write_page(content: PageContent, path: Path) -> Path:
    """Write the page; equal content gives an equal file. Missing folders are made.

    Whatever a name in the content holds, it reaches the reader as text: names are escaped where the template prints
    them and where the script's data lie, and the script sets texts only.
    """
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_load), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    environment.policies["json.dumps_kwargs"] = {"allow_nan": False, "separators": (",", ":")}
    environment.globals |= {"number": rounding.number, "count": rounding.count, "plural": rounding.plural}
    environment.filters |= {"percent": _percent, "reason": reason_words}
    parts: dict[str, Any] = {name: getattr(content, name) for name in ("summary", "settings", "table", "drawn")}
    words = {"vitals": {name: vital_words(name) for name in content.summary["vitals"]}, "reasons": _REASONS}
    html = environment.get_template(_TEMPLATE).render(
        **parts,
        data=parts | {"words": words},
        vitals=words["vitals"],
        rule=_RULES[content.settings["accept"]].format(**content.settings),
        has_sqi=any(row["sqi"]["n"] for row in content.summary["channels"]),
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, html)
    return path


def vital_words(name: str) -> dict[str, Any]:
    """Label, unit and decimals of a column of vitals."""
    own = name.removeprefix(_DEVICE)
    label, unit, decimals = _VITALS.get(own, (own.replace("_", " "), "", _UNKNOWN_DECIMALS))
    label = f"{label} (device)" if own != name else label
    return {"label": label, "unit": unit, "decimals": decimals}


def reason_words(reason: str) -> str:
    """``low SQI`` for ``low-sqi``: defects are called as they are."""
    return _REASONS.get(reason, reason)


def _percent(part: int, whole: int) -> str:
    return rounding.percent(part, whole)


def _load(name: str) -> str:
    return files("ppgssl.reports").joinpath(name).read_text(encoding="utf-8")
