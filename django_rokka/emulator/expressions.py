"""Expressions of stacks: ``$w == 0 ? ($h == 0 ? 900 : $h * $r) : $w``, ``options.dpr >= 2``.

Source: the expressions chapter of rokka's documentation, whose language is Symfony's. What is lacking
here (functions, lists, ``in``, ``matches``, ``..``, ``**``) is refused and not guessed.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from .answers import Refusal

Names = Mapping[str, Any]
_Thunk = Callable[[], Any]
_Operator = Callable[[_Thunk, _Thunk], Any]

_TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+(?:\.\d+)?)|(?P<text>'[^']*'|\"[^\"]*\")|(?P<name>\$?[A-Za-z_][\w.]*)"
    r"|(?P<sign>===|!==|\|\||&&|[=!<>]=|[-+*/%~<>!?:()]))"
)
_WORDS = {"and": "&&", "or": "||", "not": "!"}
_CONSTANTS = {"true": True, "false": False, "null": None}
#: Whether a text is an expression at all: it names a variable or a property, and not only in quotes.
_NAMED = re.compile(
    r"\$[A-Za-z_]|\b(image\.(width|height|format|hash|is|has|subject_area|meta_user)|options\.\w|request\.headers)"
)
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")


def is_expression(value: Any) -> bool:
    """Whether the value of a variable has to be worked out."""
    return isinstance(value, str) and _NAMED.search(_QUOTED.sub("", value)) is not None


def evaluate(text: str, names: Names) -> Any:
    """The value of an expression. Raises a 400 `Refusal` for what it does not know."""
    try:
        return _Reader(text, names).read()()
    except (TypeError, ValueError, ArithmeticError, RecursionError) as error:
        raise Refusal(400, f"The expression {text!r} has no value: {error}.") from None


def _plain(value: Any) -> Any:
    """Values of a URL are texts. Where a number counts, one that looks like a number is one, as in PHP."""
    if isinstance(value, str) and re.fullmatch(r"-?\d+(\.\d+)?", value):
        return float(value) if "." in value else int(value)
    return value


def _holds(thunk: _Thunk) -> bool:
    return bool(_plain(thunk()))


def _numbers(function: Callable[[Any, Any], Any]) -> _Operator:
    """Only for numbers: Python would repeat and join texts."""

    def worked_out(left: _Thunk, right: _Thunk) -> Any:
        a, b = _plain(left()), _plain(right())
        if not (isinstance(a, int | float) and isinstance(b, int | float)):
            raise TypeError(f"{a!r} and {b!r} are not both numbers")
        return function(a, b)

    return worked_out


def _compared(function: Callable[[Any, Any], Any]) -> _Operator:
    return lambda left, right: function(_plain(left()), _plain(right()))


def _divided(a: float, b: float) -> float:
    """Like PHP: a whole number where it comes out even."""
    result = a / b
    return int(result) if result == int(result) else result


#: Binary operators, those that bind least first. What does not count is not worked out.
_LEVELS: tuple[Mapping[str, _Operator], ...] = (
    {"||": lambda left, right: _holds(left) or _holds(right)},
    {"&&": lambda left, right: _holds(left) and _holds(right)},
    {
        "==": _compared(operator.eq),
        "===": _compared(operator.eq),
        "!=": _compared(operator.ne),
        "!==": _compared(operator.ne),
        "<": _compared(operator.lt),
        ">": _compared(operator.gt),
        "<=": _compared(operator.le),
        ">=": _compared(operator.ge),
    },
    {"+": _numbers(operator.add), "-": _numbers(operator.sub)},
    {"~": lambda left, right: f"{left()}{right()}"},
    {"*": _numbers(operator.mul), "/": _numbers(_divided), "%": _numbers(math.fmod)},
)


class _Reader:
    """Reads an expression from left to right, into functions that work it out."""

    def __init__(self, text: str, names: Names) -> None:
        self._text, self._names = text, names
        self._tokens = self._split(text.strip())[::-1]

    def _split(self, text: str) -> list[tuple[str, str]]:
        tokens: list[tuple[str, str]] = []
        at = 0
        while at < len(text):
            match = _TOKEN.match(text, at)
            if match is None or match.lastgroup is None:
                raise self._unknown()
            kind, token = match.lastgroup, match[match.lastgroup]
            tokens.append(("sign", _WORDS[token]) if token in _WORDS else (kind, token))
            at = match.end()
        return tokens

    def _unknown(self) -> Refusal:
        return Refusal(400, f"The emulator does not support the expression {self._text!r}.")

    def _takes(self, *signs: str) -> str:
        """The next token if it is one of these signs, else nothing."""
        if self._tokens and self._tokens[-1] in [("sign", sign) for sign in signs]:
            return self._tokens.pop()[1]
        return ""

    def _needs(self, sign: str) -> None:
        if not self._takes(sign):
            raise self._unknown()

    def read(self) -> _Thunk:
        """All of it."""
        result = self._choice()
        if self._tokens:
            raise self._unknown()
        return result

    def _choice(self) -> _Thunk:
        condition = self._binary(0)
        if not self._takes("?"):
            return condition
        if self._takes(":"):
            return partial(_chosen, condition, condition, self._choice())
        yes = self._choice()
        self._needs(":")
        return partial(_chosen, condition, yes, self._choice())

    def _binary(self, level: int) -> _Thunk:
        if level == len(_LEVELS):
            return self._unary()
        left = self._binary(level + 1)
        while sign := self._takes(*_LEVELS[level]):
            left = partial(_LEVELS[level][sign], left, self._binary(level + 1))
        return left

    def _unary(self) -> _Thunk:
        if self._takes("!"):
            inner = self._unary()
            return lambda: not _holds(inner)
        if self._takes("-"):
            return partial(_numbers(operator.sub), lambda: 0, self._unary())
        if self._takes("("):
            inner = self._choice()
            self._needs(")")
            return inner
        return self._operand()

    def _operand(self) -> _Thunk:
        kind, token = self._tokens.pop() if self._tokens else ("", "")
        if kind == "number":
            return lambda: _plain(token)
        if kind == "text":
            return lambda: token[1:-1]
        if kind != "name":
            raise self._unknown()
        return partial(self._named, token)

    def _named(self, name: str) -> Any:
        if name in _CONSTANTS:
            return _CONSTANTS[name]
        if name not in self._names:
            raise Refusal(400, f"{name!r} of the expression {self._text!r} has no value.")
        return self._names[name]


def _chosen(condition: _Thunk, yes: _Thunk, no: _Thunk) -> Any:
    return yes() if _holds(condition) else no()
