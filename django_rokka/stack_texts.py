"""A stack as text: the lines that are compared and shown, and the Python of a setting."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from .api import Stack, StackOperation
from .api.catalogue import DOCUMENTED, Operation
from .api.types import JSON

_UNKNOWN = Operation()
_OPTIONS = DOCUMENTED.stack_options
#: Numbers in the form that Python gives them. "007" and "1.10" are texts: colours, versions.
_NUMBER = re.compile(r"-?(?:0|[1-9]\d{0,14})(\.(?:\d{0,14}[1-9]|0))?")
_BARE = re.compile(r"[\w.,:/#%+-]+")
_WIDTH, _INDENT = 88, 4


def as_lines(stack: Stack, description: str) -> list[str]:
    """A line for each part of a stack. Stacks that render alike have the same lines.

    ``description`` stands in place of the stack's own. rokka may answer with other types and orders than
    it was told, and with defaults: none of these make a difference. The order of operations and of
    expressions does.
    """
    return [
        *([f"description {_spell(description)}"] if description else []),
        *map(_operation, stack.operations),
        *(f"option {pair}" for pair in sorted(_pairs(_chosen(stack.options, _OPTIONS)))),
        *(f"variable {pair}" for pair in sorted(_pairs(stack.variables))),
        *(f"expression {_spell(_plain(item))}" for item in stack.expressions),
    ]


def as_diff(before: list[str], after: list[str]) -> list[str]:
    """Both as one: lines that go start with ``-``, those that come with ``+``, others with a space."""
    return [line for line in difflib.ndiff(before, after) if not line.startswith("?")]


def _operation(step: StackOperation) -> str:
    defaults = DOCUMENTED.operations.get(step.name, _UNKNOWN).options
    order = list(defaults)
    expressions = {key: f"[{value}]" for key, value in step.expressions.items()}
    # An expression goes before an option of the same name.
    given = {**_chosen(step.options, defaults), **expressions}
    keys = sorted(given, key=lambda key: (order.index(key) if key in order else len(order), key))
    return " ".join([step.name, *_pairs({key: given[key] for key in keys})])


def _chosen(options: Mapping[str, JSON], defaults: Mapping[str, JSON]) -> dict[str, JSON]:
    """The options that have another value than their default."""
    return {k: v for k, v in options.items() if _plain(v) != _plain(defaults.get(k))}


def _pairs(values: Mapping[str, JSON]) -> Iterator[str]:
    yield from (f"{key}={_spell(value)}" for key, value in _plain(values).items())


def _plain(value: Any) -> Any:
    """A value in the one form that equal ones have; what is empty goes."""
    if isinstance(value, str):
        return _plain_text(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, Mapping):
        items = ((key, _plain(item)) for key, item in value.items())
        return {key: item for key, item in items if item not in (None, [], {})}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def _plain_text(value: str) -> Any:
    if value in ("true", "false"):
        return value == "true"
    if number := _NUMBER.fullmatch(value):
        return _plain(float(value)) if number[1] else int(value)
    return value


def _spell(value: Any) -> str:
    if isinstance(value, str) and (_BARE.fullmatch(value) or _is_expression(value)):
        return value
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def _is_expression(value: str) -> bool:
    return value.startswith("[") and value.endswith("]") and value.isprintable()


# --- Python -----------------------------------------------------------------------------------


def as_setting(stack: Stack, description: str) -> dict[str, Any]:
    """What ``STACKS`` says of a stack under its name."""
    values = {
        "description": description,
        "operations": [_step_setting(step) for step in stack.operations],
        "options": dict(stack.options),
        "variables": dict(stack.variables),
        "expressions": list(stack.expressions),
    }
    return {key: value for key, value in values.items() if value}


def _step_setting(step: StackOperation) -> dict[str, Any]:
    values = {"name": step.name, "options": dict(step.options)}
    expressions: Any = dict(step.expressions)
    # A list, which is read as an object with its positions for keys.
    if expressions and list(expressions) == [str(index) for index in range(len(expressions))]:
        expressions = list(expressions.values())
    return {key: value for key, value in {**values, "expressions": expressions}.items() if value}


def as_python(value: Any, indent: int = 0, beside: int = 0) -> str:
    """A literal of dictionaries, lists, texts, numbers, booleans and ``None``, broken at 88 columns.

    ``indent`` is that of its first line, ``beside`` the columns that something else takes there.
    """
    if isinstance(value, str):
        return _literal(value)
    if not isinstance(value, Mapping | list | tuple) or not value:
        return repr(value)
    opening, closing = ("{", "}") if isinstance(value, Mapping) else ("[", "]")
    line = f"{opening}{', '.join(_items(value, 0))}{closing}"
    if indent + beside + len(line) <= _WIDTH and "\n" not in line:
        return line
    margin = " " * (indent + _INDENT)
    rows = "".join(f"{margin}{item},\n" for item in _items(value, indent + _INDENT))
    return f"{opening}\n{rows}{' ' * indent}{closing}"


def _items(value: Any, indent: int) -> Iterator[str]:
    pairs = value.items() if isinstance(value, Mapping) else ((None, item) for item in value)
    for key, item in pairs:
        start = "" if key is None else f"{_literal(key)}: "
        yield f"{start}{as_python(item, indent, beside=len(start) + len(','))}"


def _literal(text: str) -> str:
    """As `repr`, with the quotes that a formatter would give it."""
    shown = repr(text)
    return f'"{shown[1:-1]}"' if shown.startswith("'") and '"' not in text else shown
