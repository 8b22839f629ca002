from __future__ import annotations

import json

import jsonschema
import pytest
import yaml
from ppgssl.data_schemas import FOLDER, MODELS, schema_text


@pytest.mark.parametrize("name", MODELS)
def test_the_kept_schema_is_that_of_the_model(name):
    kept = (FOLDER / f"{name}.schema.json").read_text(encoding="utf-8")
    assert kept == schema_text(name), "write it anew with: python -m ppgssl.data_schemas"


@pytest.mark.parametrize("kind", ["cohort", "study"])
def test_the_examples_follow_the_schema(kind):
    schema = json.loads(schema_text(kind))
    folder = {"cohort": "cohorts", "study": "studies"}[kind]
    examples = sorted((FOLDER / "examples" / folder).glob("*.yaml"))
    assert examples
    for path in examples:
        # JSON has text keys only: `levels: {1: yes}` is `{"1": "yes"}` to it.
        jsonschema.validate(json.loads(json.dumps(yaml.safe_load(path.read_text(encoding="utf-8")))), schema)
