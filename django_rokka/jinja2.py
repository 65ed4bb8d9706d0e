"""The tags for Jinja2: ``"extensions": ["django_rokka.jinja2.Rokka"]`` in ``TEMPLATES``.

They are functions there, with the arguments of `django_rokka.html`:

    {{ rokka_img(article.photo, "hero", sizes="50vw") }}

    {% call rokka_picture(article.photo, "hero") %}
      {{ rokka_source(article.photo, "portrait", media="(max-width: 40em)") }}
    {% endcall %}
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from django.utils.safestring import SafeString
from jinja2 import Environment, TemplateSyntaxError
from jinja2.ext import Extension
from jinja2.lexer import Token, TokenStream

from . import html, stacks
from .renders import Renderable


def _picture(
    image: Renderable | None,
    stack: str = "",
    *,
    caller: Callable[[], str] | None = None,
    **options: Any,
) -> SafeString:
    return html.picture(caller() if caller else "", image, stack, **options)


class Rokka(Extension):
    """Gives templates the functions, and refuses a stack that nobody declares when one is loaded."""

    _functions: dict[str, Callable[..., str]] = {**html.TAGS, "rokka_picture": _picture}

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        environment.globals.update(self._functions)

    def filter_stream(self, stream: TokenStream) -> Iterator[Token]:
        """The same tokens; raises `TemplateSyntaxError` for an unknown stack in a call of ours."""
        call = _Call()
        for token in stream:
            if token.type == "name" and token.value in self._functions:
                call = _Call(inside=True)
            elif call.inside and (problem := stacks.problem_of(call.stack_at(token))):
                raise TemplateSyntaxError(problem, token.lineno, stream.name, stream.filename)
            yield token


class _Call:
    """How far a call of ours is read: which argument, how deep in brackets, and what came before."""

    def __init__(self, inside: bool = False) -> None:
        self.inside = inside
        self._depth, self._argument = 0, 0
        self._before: list[str] = []

    def stack_at(self, token: Token) -> str:
        """The stack, if this token is it, written out as the second argument or as ``stack=``."""
        before, self._before = self._before, [*self._before[-1:], token.value]
        if token.type in ("lparen", "lbracket", "lbrace"):
            self._depth += 1
        elif token.type in ("rparen", "rbracket", "rbrace"):
            self._depth -= 1
            self.inside = self._depth > 0
        elif token.type == "comma" and self._depth == 1:
            self._argument += 1
        elif token.type == "string" and self._depth == 1:
            second = self._argument == 1 and before[-1:] == [","]
            return str(token.value) if second or before == ["stack", "="] else ""
        return ""
