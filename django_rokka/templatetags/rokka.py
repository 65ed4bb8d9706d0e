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
        given = node.kwargs.get("stack") or next(iter(node.args[1:]), None)
        if given is not None and not (given.is_var or given.filters):
            _check(given.var)
        return node  # type: ignore[no-any-return]

    return compile_and_check


def _check(stack: str) -> None:
    try:
        if stack:
            stacks.check_known(stack)
    except stacks.UnknownStack as error:
        raise template.TemplateSyntaxError(str(error)) from error


for _name, _function in html.TAGS.items():
    register.simple_tag(_function, name=_name)
register.simple_block_tag(html.picture, name="rokka_picture")
register.tags = {name: _checking_stack(compile) for name, compile in register.tags.items()}
