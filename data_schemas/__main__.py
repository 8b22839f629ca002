"""Write the schemas anew: ``python -m ppgssl.data_schemas``."""

from ppgssl.data_schemas import FOLDER, MODELS, schema_text

for name in MODELS:
    (FOLDER / f"{name}.schema.json").write_text(schema_text(name), encoding="utf-8")
