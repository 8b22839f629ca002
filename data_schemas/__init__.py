"""JSON Schema of what a user writes (cohort.yaml, study.yaml) and of what the report is made from (results.json)."""

from __future__ import annotations

import json
from pathlib import Path

from ppgssl.config import Cohort, Study
from ppgssl.results import Results

FOLDER = Path(__file__).parent
MODELS = {"cohort": Cohort, "study": Study, "results": Results}


def schema_text(name: str) -> str:
    """The schema of one of :data:`MODELS`, as it is kept in ``<name>.schema.json``."""
    schema = MODELS[name].model_json_schema()
    return json.dumps({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}, indent=1) + "\n"
