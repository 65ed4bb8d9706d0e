"""``{% load rokka %}``: pictures in templates, built from the row alone; see `django_rokka.html`.

A stack that is written out in a template, and that nobody declares, is an error when it is loaded.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django import template
from django.template.base import Node, Parser, Token

from .. import html, stacks

register = template.Library()

_Compile = Callable[[Parser, Token], Node]


def _checking_stack(compile: _Compile) -> _Compile:
    @wraps(compile)
    def compile_and_check(parser: Parser, token: Token) -> Node:
        node: Any = compile(parser, token)
        given: Any = node.kwargs.get("stack") or next(iter(node.args[1:]), None)
        is_literal = given is not None and not (given.is_var or given.filters)
        if is_literal and (problem := stacks.problem_of(given.var)):
            raise template.TemplateSyntaxError(problem)
        return node  # type: ignore[no-any-return]

    return compile_and_check


for _name, _function in html.TAGS.items():
    register.simple_tag(_function, name=_name)
register.simple_block_tag(html.picture, name="rokka_picture")
register.tags = {name: _checking_stack(compile) for name, compile in register.tags.items()}
