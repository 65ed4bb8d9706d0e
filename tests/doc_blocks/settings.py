"""Settings in a block: validated as they are written, and then in force for the rest of the page, at the emulator."""

from __future__ import annotations

import logging.config
import os
import re
from collections.abc import Callable, Iterator
from inspect import signature
from typing import Any

from django.core.checks import Tags, run_checks
from django.core.files.storage import storages
from django.template import EngineHandler
from django.utils.module_loading import import_string

from django_rokka import conf
from django_rokka.testing import rokka_settings

from .site import Site

#: Not in force here: they make another project. `tests.test_tutorial` has one.
_OF_A_PROJECT = {"INSTALLED_APPS", "MIDDLEWARE", "DATABASES"}
_IN_ENVIRONMENT = re.compile(r'environ(?:\.get\(|\[)"(\w+)"')


def set_environment(text: str) -> None:
    """Give the variables of the environment that a block reads a value."""
    for name in _IN_ENVIRONMENT.findall(text):
        os.environ.setdefault(name, f"{name.lower()}-0123456789")


def apply(names: list[str], site: Site) -> None:
    """Put what a block has assigned into force. Raises `AssertionError` for what is wrong with it."""
    for name in names:
        value = site.namespace[name]
        for text in _texts(value):
            _import(text)
        if name not in _OF_A_PROJECT:
            setattr(site.settings, name, value)
        if name in _VALIDATORS:
            _VALIDATORS[name](value, site)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from _texts([*value, *value.values()])
    elif isinstance(value, list | tuple | set):
        for item in value:
            yield from _texts(item)


def _import(text: str) -> None:
    """A dotted path into our package must lead somewhere; ``.*`` at its end stands for any name."""
    path = text.removesuffix(".*")
    if re.fullmatch(r"django_rokka(\.\w+)*", path):
        try:
            __import__(path)
        except ImportError:
            import_string(path)


def _rokka(value: dict[str, Any], site: Site) -> None:
    for alias in value:
        conf.get_config(alias)
    messages = [str(message) for message in run_checks(tags=[Tags.files])]
    assert not messages, "\n".join(messages)
    # The other database of the tests has no tables of the page's models.
    here = {alias: {"DATABASES": ["default"], **values} for alias, values in value.items()}
    site.settings.ROKKA = rokka_settings(site.emulator, here)
    for values in site.settings.ROKKA.values():
        if "SIGNING_KEY" in values:
            values["SIGNING_KEY"] = site.emulator.signing_key


def _storages(value: dict[str, Any], site: Site) -> None:
    for alias in value:
        assert storages[alias]


def _templates(value: list[dict[str, Any]], site: Site) -> None:
    engines = EngineHandler(value)
    for alias in engines:
        engines[alias].from_string("")  # type: ignore[attr-defined]


def _logging(value: dict[str, Any], site: Site) -> None:
    logging.config.dictConfig(value)


def _schedule(value: dict[str, dict[str, Any]], site: Site) -> None:
    for entry in value.values():
        task = import_string(entry["task"])
        signature(task.run).bind(*entry.get("args", ()), **entry.get("kwargs", {}))


_VALIDATORS: dict[str, Callable[[Any, Site], None]] = {
    "ROKKA": _rokka,
    "STORAGES": _storages,
    "TEMPLATES": _templates,
    "LOGGING": _logging,
    "CELERY_BEAT_SCHEDULE": _schedule,
}
