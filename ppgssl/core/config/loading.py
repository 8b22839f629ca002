"""Descriptions of cohorts and studies: YAML in, checked models out; unknown keys are refused by name."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError

from ppgssl.core.config.cohort import Cohort
from ppgssl.core.config.pretraining import BASE, RANDOM
from ppgssl.core.config.study import Study
from ppgssl.core.errors import ConfigError
from ppgssl.core.provenance import write_atomically
from ppgssl.core.text import suggest

_VARIABLE = re.compile(r"\$\{(\w+)\}")


Description = TypeVar("Description", Cohort, Study)


def load_cohort(path: Path) -> Cohort:
    """Read and check a ``cohort.yaml``; ConfigError lists every problem with its key."""
    return _load(path, Cohort)


def load_study(path: Path) -> Study:
    """Read and check a ``study.yaml``; see :func:`load_cohort`."""
    study = _load(path, Study)
    if study.pretraining.init in (RANDOM, BASE):
        return study
    init = str((path.parent / study.pretraining.init).resolve())
    return study.model_copy(update={"pretraining": study.pretraining.model_copy(update={"init": init})})


def save_description(description: BaseModel, path: Path) -> None:
    """Write a description as YAML that reads back equal, every default spelled out."""
    text = yaml.safe_dump(description.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
    write_atomically(path, text)


def cohort_root(cohort: Cohort, cohort_file: Path) -> Path:
    """Folder of the raw files; ConfigError if it is absent, or a variable ``${NAME}`` in it is not set."""
    unset = [name for name in _VARIABLE.findall(cohort.root) if not os.environ.get(name)]
    if unset:
        raise ConfigError(
            f"{cohort_file}: `root` is {cohort.root!r}, but {', '.join(unset)} is not set. "
            f"Give the folder with --data DIR, or: export {unset[0]}=/path/to/data"
        )
    root = Path(_VARIABLE.sub(lambda match: os.environ[match[1]], cohort.root)).expanduser()
    root = root if root.is_absolute() else cohort_file.parent / root
    if not root.is_dir():
        raise ConfigError(f"{cohort_file}: `root` is {cohort.root!r}: there is no folder {root}")
    return root.resolve()


def _load(path: Path, model: type[Description]) -> Description:
    raw = load_yaml(path)
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        raise ConfigError(
            f"{path} is not a valid {model.__name__.lower()} description:", problems(error, model)
        ) from None


def load_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file; ConfigError if it is absent, broken, or no mapping."""
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"there is no file {path}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {path}: {error}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(raw, dict):
        raise ConfigError(f"{path} must be a mapping of keys to values, and is {type(raw).__name__}")
    return raw


def problems(error: ValidationError, model: type[BaseModel]) -> tuple[str, ...]:
    """One line for each mistake: the key as written in the file, what was expected, the nearest spelling."""
    return tuple(_problem(dict(item), model) for item in error.errors())


def _problem(item: dict[str, Any], model: type[BaseModel]) -> str:
    keys, known = _walk(model, item["loc"])
    key = ".".join(keys)
    if item["type"] == "extra_forbidden":
        return f"unknown key `{key}`{suggest(keys[-1], known)}; known here: {', '.join(known)}"
    if item["type"] == "missing":
        return f"missing key `{key}`"
    if item["type"] == "union_tag_invalid":
        tag = item["ctx"]["tag"]
        names = re.findall(r"'([^']+)'", item["ctx"]["expected_tags"])
        return f"`{key}`: unknown name {tag!r}{suggest(tag, names)}; the names are: {', '.join(names)}"
    if item["type"] in ("union_tag_not_found", "model_attributes_type"):
        return f"`{key}`: must be a name, or a mapping of `name` and options"
    message = item["msg"].removeprefix("Value error, ")
    return f"`{key}`: {message}" if key else message


def _walk(model: type[BaseModel], location: tuple[int | str, ...]) -> tuple[list[str], list[str]]:
    """Keys as written in the file, without the names of chosen alternatives, and the fields known next to the last."""
    keys: list[str] = []
    candidates, known = [model], list(model.model_fields)
    for part in location:
        if named := [one for one in candidates if _is_called(one, part)]:
            candidates = named
            continue
        keys.append(str(part))
        known = list(dict.fromkeys(name for one in candidates for name in one.model_fields))
        fields = [one.model_fields[str(part)].annotation for one in candidates if part in one.model_fields]
        # The place in a list and the key in a mapping name no field: what they hold is known already.
        candidates = [inner for annotation in fields for inner in _inner_models(annotation)] or candidates
    return keys, known


def _is_called(model: type[BaseModel], part: int | str) -> bool:
    """Whether a model is the alternative of that name."""
    return "name" in model.model_fields and part in get_args(model.model_fields["name"].annotation)


def _inner_models(annotation: Any) -> list[type[BaseModel]]:
    """The models that an annotation such as ``dict[str, A | B]`` allows."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for inner in get_args(annotation) for model in _inner_models(inner)]
