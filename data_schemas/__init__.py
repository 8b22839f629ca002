"""JSON Schema of what a user writes (cohort.yaml, study.yaml), of results (results.json) and of models (model.json)."""

from __future__ import annotations

import json
from pathlib import Path

from ppgssl.core.config.cohort import Cohort
from ppgssl.core.config.study import Study
from ppgssl.core.results.study import Results
from ppgssl.models.card import ModelCard

FOLDER = Path(__file__).parent
MODELS = {"cohort": Cohort, "study": Study, "results": Results, "model": ModelCard}


def schema_text(name: str) -> str:
    """The schema of one of :data:`MODELS`, as it is kept in ``<name>.schema.json``."""
    schema = MODELS[name].model_json_schema()
    return json.dumps({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}, indent=1) + "\n"
