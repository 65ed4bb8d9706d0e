"""Commands of a shell: parsed by the parser of the program that they name, and run where that does no harm."""

from __future__ import annotations

import importlib
import io
import re
import shlex
from collections.abc import Callable, Iterator
from typing import Any

from django.core.management import call_command, get_commands, load_command_class

from .page import ROOT, Block
from .site import Site

#: Programs that belong to somebody else, with the reason why a test does not run them.
NOT_RUN_PROGRAMS: dict[str, str] = {
    ".": "the shell's own: it activates a virtual environment",
}
#: For who makes a release; no extra has it.
_TOOLS = {"build"}
#: Commands of ours that are only parsed: they name the models and organizations of the reader.
_PARSED = {"rokka_import", "rokka_export", "rokka_copy", "rokka_claim"}
#: They say by their exit code what they have found, which is none of the documentation's business.
_FINDING = {"rokka_doctor", "rokka_broken"}
_SCHEDULE = re.compile(r"^(?:[*/,\d-]+ +){5}")
_ASSIGNMENT = re.compile(r"[A-Z_]+=")


def run(block: Block, site: Site) -> None:
    """Run the lines of a block: of a ``console`` those with a prompt, of a crontab what comes after the times."""
    text = block.text.replace("\\\n", " ")
    if block.language == "console":
        text = "\n".join(re.findall(r"^\$ (.*)", text, re.M))
    for line in text.splitlines():
        for words in _commands(_SCHEDULE.sub("", line)):
            _run(*words)


def check(line: str) -> None:
    """Parse a line. Raises an error that says what is wrong with it."""
    for words in _commands(line):
        _run(*words, parse_only=True)


def _commands(line: str) -> Iterator[list[str]]:
    """The words of each command, without the variables before it."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words: list[str] = []
    for word in (*lexer, ";"):
        if word in (";", "&&", "||", "|", "&"):
            if words:
                yield words
            words = []
        elif words or not _ASSIGNMENT.match(word):
            words.append(word)


def _run(program: str, *arguments: str, parse_only: bool = False) -> None:
    if program in NOT_RUN_PROGRAMS:
        return
    assert program in _PROGRAMS, f"nothing runs {program!r}; see NOT_RUN_PROGRAMS"
    _PROGRAMS[program](*arguments, parse_only=parse_only)


def _python(first: str, *arguments: str, parse_only: bool) -> None:
    if first == "manage.py":
        _manage(*arguments, parse_only=parse_only)
    elif first == "-m":
        _module(*arguments)
    else:
        assert (ROOT / first).is_file(), f"there is no {first}"


def _manage(name: str, *arguments: str, parse_only: bool) -> None:
    command = load_command_class(get_commands()[name], name)
    command.create_parser("manage.py", name).parse_args(arguments)
    if parse_only or not name.startswith("rokka_") or name in _PARSED:
        return
    try:
        call_command(name, *arguments, stdout=io.StringIO())
    except SystemExit:
        if name not in _FINDING and "diff" not in arguments:
            raise


def _module(name: str, *arguments: str) -> None:
    if name == "django_rokka.emulator":
        from django_rokka.emulator.__main__ import _parser

        _parser().parse_args(arguments)
        return
    if name not in _TOOLS:
        importlib.import_module(name)
    for path in (item for item in arguments if "/" in item):
        assert (ROOT / path).exists(), f"there is no {path}"


def _make(*arguments: str, parse_only: bool) -> None:
    rules = (ROOT / "Makefile").read_text()
    for word in arguments:
        name, is_variable, _ = word.partition("=")
        used = rf"(\$\({name}\)|ifdef {name}\b|\$\(if \$\({name}\))"
        assert re.search(used if is_variable else rf"^{re.escape(name)}:", rules, re.M), word


def _pip(action: str, *arguments: str, parse_only: bool) -> None:
    assert action == "install"
    project = (ROOT / "pyproject.toml").read_text()
    extras = set(
        re.findall(r"^(\w+) = \[", project.split("[project.optional-dependencies]")[1], re.M)
    )
    known = set(re.findall(r'"([\w-]+)[\[>=]', project))
    for word in (item for item in arguments if not item.startswith("-")):
        name, _, asked = word.partition("[")
        assert name in {"django-rokka", ".", *_TOOLS, *known}, (
            f"pyproject.toml does not know {name}"
        )
        missing = {extra for extra in asked.rstrip("]").split(",") if extra} - extras
        assert not missing, f"there are no extras {missing}"


def _celery(*arguments: str, parse_only: bool) -> None:
    from celery.bin.celery import celery
    from click import Context

    name = next(word for word in arguments if word in celery.commands)
    command = celery.commands[name]
    given = list(arguments[arguments.index(name) + 1 :])
    command.make_parser(Context(command)).parse_args(given)


_PROGRAMS: dict[str, Callable[..., Any]] = {
    "python": _python,
    "make": _make,
    "pip": _pip,
    "celery": _celery,
}
