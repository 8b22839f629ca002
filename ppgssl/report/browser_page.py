"""The page of ``ppgssl inspect``: one HTML file that needs nothing else, made from what a store holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from ppgssl.core.provenance import write_atomically
from ppgssl.core.reasons import Reason
from ppgssl.report.html import page_environment
from ppgssl.report.text import rounding
from ppgssl.report.text.prose import load

_DEVICE = "device_"


@dataclass(frozen=True)
class PageContent:
    """What the page shows, ready for JSON: what is not defined is None, never NaN.

    ``summary`` is of the whole store, see :func:`ppgssl.stages.inspect.inspect_store`; ``settings`` are how segments
    were cut and accepted, and what of them is drawn; ``table`` holds a list over all recordings for each column, and
    ``drawn`` samples and segments of the recordings that are drawn, as base64.
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
    reasons = {one.value: one.label[0].lower() + one.label[1:] for one in (Reason.LOW_SQI, Reason.LOW_DEVICE_SQI)}
    environment = page_environment()
    environment.policies["json.dumps_kwargs"] = {"allow_nan": False, "separators": (",", ":")}
    environment.globals |= {"number": rounding.number, "count": rounding.count, "plural": rounding.plural}
    environment.filters |= {"percent": rounding.percent, "reason": lambda reason: reasons.get(reason, reason)}
    parts = {field.name: getattr(content, field.name) for field in fields(content)}
    words = {"vitals": {name: vital_words(name) for name in content.summary["vitals"]}, "reasons": reasons}
    html = environment.get_template("inspect.html").render(
        **parts,
        data=parts | {"words": words},
        vitals=words["vitals"],
        rule=load("browser_page.yaml")["rules"][content.settings["accept"]].format(**content.settings),
        has_sqi=any(row["sqi"]["n"] for row in content.summary["channels"]),
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, html)
    return path


def vital_words(name: str) -> dict[str, Any]:
    """Label, unit and decimals of a column of vitals; one that is not known is named as it is."""
    own = name.removeprefix(_DEVICE)
    plain = {"label": own.replace("_", " "), "unit": "", "decimals": 2}
    known: dict[str, Any] = load("browser_page.yaml")["vitals"].get(own, plain)
    return known | ({"label": f"{known['label']} (device)"} if own != name else {})
