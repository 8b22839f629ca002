"""Texts with fields: templates are literals of this package and name their fields."""

from __future__ import annotations

import ast
import pickle
import string
from collections.abc import Iterator
from pathlib import Path

import pytest

import ppgssl
from ppgssl.core import errors, text
from ppgssl.core.errors import ConfigError, ReadError
from ppgssl.core.text import Message

# All but those that pass templates on.
SOURCES = sorted(set(Path(ppgssl.__file__).parent.rglob("*.py")) - {Path(errors.__file__), Path(text.__file__)})
# Of each, the place of its template among the arguments; a ReadError always has one.
TYPED = {"Message": 0, "ReadError": 1, "ConfigError": 0, "SignalError": 0}


def test_a_message_is_its_text_with_the_values_in_it():
    message = Message("{n} columns: {names}, {error}", n=2, names=["red", "ir"], error=KeyError)
    assert message == "2 columns: red, ir, KeyError"
    assert message.with_values(lambda value: "?" if isinstance(value, int) else value) == "? columns: red, ir, KeyError"


def test_messages_and_errors_pass_between_processes():
    message = Message("{inner} at {n}", inner=Message("{cell!r}", cell="x"), n=3)
    again = pickle.loads(pickle.dumps(message))
    assert (again, again.template, again.values) == (message, message.template, message.values)
    for error in (ReadError(Path("a"), "row {row}", row=3), ConfigError("{n} problems", (message,), n=1)):
        other = pickle.loads(pickle.dumps(error))
        assert str(other) == str(error)
        assert vars(other) == vars(error)


def _templates(node: ast.Call, constants: dict[str, list[ast.expr]]) -> list[ast.expr]:
    """What the first argument may be: a literal, what a name was given last, or one of two literals."""
    first = node.args[TYPED[node.func.id]]
    if isinstance(first, ast.Name):
        first = max((one for one in constants[first.id] if one.lineno < node.lineno), key=lambda one: one.lineno)
    return [first.body, first.orelse] if isinstance(first, ast.IfExp) else [first]


def _typed_calls(tree: ast.AST) -> Iterator[tuple[ast.Call, list[ast.expr]]]:
    seen = set()
    for function in reversed([node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.Module)]):
        constants: dict[str, list[ast.expr]] = {}
        for node in ast.walk(function):
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                constants.setdefault(node.targets[0].id, []).append(node.value)
        for node in ast.walk(function):
            name = getattr(getattr(node, "func", None), "id", "")
            if name in TYPED and id(node) not in seen and (node.keywords or name in ("Message", "ReadError")):
                seen.add(id(node))  # of functions in functions, the inner ones come first
                yield node, _templates(node, constants)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_templates_are_literals_that_name_their_fields(path):
    for node, templates in _typed_calls(ast.parse(path.read_text(encoding="utf-8"))):
        given = {keyword.arg for keyword in node.keywords} - {"problems"}
        for template in templates:
            place = f"{path}:{node.lineno}"
            assert isinstance(template, ast.Constant), f"{place}: a template must be a literal"
            fields = {name for _, name, _, _ in string.Formatter().parse(template.value) if name is not None}
            assert fields == given, place
