"""System checks: mistakes in the settings, each with an id and the way out.

The checks of a field (``rokka.E010`` to ``rokka.E014``, ``rokka.E017``, ``rokka.E018``) are with the field.
"""

from __future__ import annotations

import importlib
import inspect
import os
from collections.abc import Iterable, Iterator, Mapping
from importlib.util import find_spec
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, router
from django.views.debug import get_default_exception_reporter_filter

from . import conf, references, stacks
from .api.catalogue import DOCUMENTED, advice, is_reserved
from .api.render import DYNAMIC
from .models import SourceImage, mirror_database

#: Every id with what it says; the reference in the documentation is compared with this.
MESSAGES = {
    "rokka.E001": "There is no usable ROKKA setting.",
    "rokka.E002": "An alias has no ORGANIZATION.",
    "rokka.E003": "An alias has a key that is not known.",
    "rokka.E004": "A setting has a wrong type or form.",
    "rokka.E005": "BASE_URL or RENDER_URL is not an http(s) URL.",
    "rokka.E006": "RENDER_URL leaves the organization out while several aliases share it.",
    "rokka.E007": "ISOLATE needs an ENVIRONMENT.",
    "rokka.E008": "REFERENCES or RICH_TEXT names a field that cannot hold images.",
    "rokka.E009": "SPOOL, FALLBACK or DATABASES names what the settings do not have.",
    "rokka.E010": "The storage of a RokkaImageField is not rokka.",
    "rokka.E011": "The max_length of a RokkaImageField cannot hold a name.",
    "rokka.E012": "The alias of a RokkaStorage is not in the ROKKA setting.",
    "rokka.E013": "The upload of a RokkaImageField is neither direct nor deferred.",
    "rokka.E014": "The user_metadata of a RokkaImageField maps what cannot be.",
    "rokka.E015": "CELERY is on, and Celery is not installed.",
    "rokka.E016": "A stack has a name that rokka keeps for itself.",
    "rokka.E017": "The stack of a RokkaStorage is not in STACKS.",
    "rokka.E018": "The fallback of a RokkaStorage is not in STORAGES, or is rokka itself.",
    "rokka.W001": "An alias has no API_KEY.",
    "rokka.W002": "django-cleanup is installed, which deletes files that other rows still show.",
    "rokka.W003": "STACK is not in STACKS.",
    "rokka.W004": "A stack has what rokka's documentation does not name, or lacks what it needs.",
    "rokka.W005": "DATABASES does not say which databases have rows, and some are only read from.",
    "rokka.W020": "BASE_URL or RENDER_URL is http:// (deploy).",
    "rokka.W021": "A key shows in the settings of Django's debug page (deploy).",
    "rokka.W022": "A key is written in the settings file (deploy).",
    "rokka.W023": "An alias has no ENVIRONMENT (deploy).",
    "rokka.W030": "Rows show pictures that are gone.",
}


@register(Tags.files)
def check_settings(**kwargs: Any) -> list[CheckMessage]:
    """The ``ROKKA`` setting and its aliases."""
    if not conf.aliases():
        return [
            Error(
                "There is no usable ROKKA setting: it must be a dictionary with an alias.",
                hint='ROKKA = {"default": {"ORGANIZATION": "…", "API_KEY": os.environ["ROKKA_API_KEY"]}}',
                id="rokka.E001",
            )
        ]
    return [message for alias in conf.aliases() for message in _check_alias(alias)]


def _check_alias(alias: str) -> Iterator[CheckMessage]:
    problems = conf.problems(alias)
    for problem in problems:
        yield Error(problem.message, hint=problem.hint, id=problem.id)
    if problems:
        return
    config = conf.get_config(alias)
    if not (config.api_key or config.api_token):
        yield Warning(
            f"ROKKA[{alias!r}] has no API_KEY: pages can be rendered, but nothing uploaded.",
            hint="Read it from the environment: os.environ['ROKKA_API_KEY'].",
            id="rokka.W001",
        )


@register(Tags.files)
def check_references(**kwargs: Any) -> list[CheckMessage]:
    """What the aliases say of rows, uploads and tasks."""
    return [message for config in _valid_configs() for message in _check_references(config)]


def _check_references(config: conf.Config) -> Iterator[CheckMessage]:
    name = f"ROKKA[{config.alias!r}]"
    if config.isolate and not config.environment:
        hint = "Name this site: its name is what sets its uploads apart."
        yield Error(f"{name} has ISOLATE and no ENVIRONMENT.", hint=hint, id="rokka.E007")
    for path in config.references:
        yield from _check_path(name, path, text=False)
    for path in config.rich_text:
        yield from _check_path(name, path, text=True)
    for key in ("SPOOL", "FALLBACK"):
        named = filter(None, [getattr(config, key.lower())])
        yield from _check_names(name, key, named, settings.STORAGES)
    yield from _check_names(name, "DATABASES", config.databases, settings.DATABASES)
    if config.celery and find_spec("celery") is None:
        hint = "Install django-rokka[celery], or leave CELERY out."
        yield Error(f"{name} has CELERY, and Celery is not installed.", hint=hint, id="rokka.E015")


def _check_path(name: str, path: str, *, text: bool) -> Iterator[CheckMessage]:
    try:
        _, keys = references.find_field(path)
    except ImproperlyConfigured as error:
        yield Error(f"{name}: {error}.", hint="Correct or remove it.", id="rokka.E008")
        return
    if text and keys:
        hint = "Name a CharField or a TextField, or move it to REFERENCES."
        yield Error(f"{name}: {path!r} is no text.", hint=hint, id="rokka.E008")


def _check_names(
    name: str, key: str, given: Iterable[str], known: Iterable[str]
) -> Iterator[CheckMessage]:
    for item in given:
        if item not in known:
            hint = f"Known: {', '.join(known)}."
            yield Error(f"{name}[{key!r}] names {item!r}.", hint=hint, id="rokka.E009")


@register(Tags.models)
def check_replicas(**kwargs: Any) -> list[CheckMessage]:
    """A replica is no place where rows are moved, and nothing but the router knows of it."""
    return [message for config in _valid_configs() for message in _check_replicas(config)]


def _check_replicas(config: conf.Config) -> Iterator[CheckMessage]:
    if any(other.databases for other in conf.configs_of(config.organization)):
        return
    try:
        models = {field.model for field in references.file_fields(config.organization)}
    except ImproperlyConfigured:
        return  # the checks of the field say what is wrong
    for model in models:
        read, written = router.db_for_read(model), router.db_for_write(model)
        if read != written:
            yield Warning(
                f"{model._meta.label} is read from {read!r} and written to {written!r}, and both count as "
                f"places of its rows, because ROKKA[{config.alias!r}] has no DATABASES.",
                hint="Name the databases that are written to in DATABASES, without their replicas.",
                id="rokka.W005",
            )


@register(Tags.database)
def check_broken(databases: Iterable[str] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Pictures that sync found gone, with ``check --database default``."""
    if mirror_database() not in (databases or ()):
        return []
    try:
        count = SourceImage.objects.broken().count()
    except DatabaseError:
        return []  # not migrated yet
    if not count:
        return []
    return [
        Warning(
            f"Rows show {count} pictures that are gone at rokka.",
            hint="manage.py rokka_broken lists them with their rows.",
            id="rokka.W030",
        )
    ]


@register(Tags.files)
def check_storages(**kwargs: Any) -> list[CheckMessage]:
    """The aliases and the stacks that ``STORAGES`` names."""
    return [message for item in _storages() for message in _check_storage(*item)]


def _storages() -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, storage in settings.STORAGES.items():
        if storage.get("BACKEND") == "django_rokka.storage.RokkaStorage":
            yield name, storage.get("OPTIONS", {})


def _check_storage(name: str, options: Mapping[str, Any]) -> Iterator[CheckMessage]:
    alias, stack = options.get("alias", conf.DEFAULT_ALIAS), options.get("stack")
    if alias not in conf.aliases():
        yield Error(
            f"STORAGES[{name!r}] uses the alias {alias!r}, which ROKKA does not have.",
            hint=f"Known aliases: {', '.join(conf.aliases()) or 'none'}.",
            id="rokka.E012",
        )
    elif problem := stacks.problem_of(stack, alias):
        hint = "Correct the name, or declare the stack."
        yield Error(f"STORAGES[{name!r}]: {problem}", hint=hint, id="rokka.E017")


@register(Tags.files)
def check_stacks(**kwargs: Any) -> list[CheckMessage]:
    """The stacks that aliases declare, against rokka's documentation; rokka itself is not asked."""
    return [message for config in _valid_configs() for message in _check_stacks(config)]


def _check_stacks(config: conf.Config) -> Iterator[CheckMessage]:
    name = f"ROKKA[{config.alias!r}]"
    if config.stacks and config.stack not in {*config.stacks, DYNAMIC}:
        hint = f"Declare it, or correct STACK; {advice(config.stack, config.stacks)}"
        yield Warning(
            f"{name} has the STACK {config.stack!r}, not in STACKS.", hint=hint, id="rokka.W003"
        )
    for key, declared in config.stacks.items():
        if is_reserved(key):
            hint = f"Choose a name that does not start with '_', and is not {DYNAMIC!r}."
            yield Error(
                f"{name}['STACKS'][{key!r}] is a name of rokka's own.", hint=hint, id="rokka.E016"
            )
        for mistake in DOCUMENTED.mistakes(declared.stack):
            hint = "manage.py rokka_stacks diff asks rokka itself; silence this check if rokka knows better."
            yield Warning(f"{name}['STACKS'][{key!r}]: {mistake}", hint=hint, id="rokka.W004")


@register(Tags.files)
def check_render_urls(**kwargs: Any) -> list[CheckMessage]:
    """Aliases with one render address must have one organization."""
    owners: dict[str, str] = {}
    messages: list[CheckMessage] = []
    for config in _valid_configs():
        owner = owners.setdefault(config.render_base, config.organization)
        if owner != config.organization:
            messages.append(
                Error(
                    f"{config.organization!r} and {owner!r} share the RENDER_URL {config.render_url!r}.",
                    hint="Put {organization} into it, or give each alias its own address.",
                    id="rokka.E006",
                )
            )
    return messages


@register(Tags.compatibility)
def check_cleanup(**kwargs: Any) -> list[CheckMessage]:
    """Other apps that delete files behind a row's back."""
    if not any(app.split(".")[0] == "django_cleanup" for app in settings.INSTALLED_APPS):
        return []
    return [
        Warning(
            "django-cleanup deletes the file of a row that is deleted or changed; at rokka two rows "
            "with the same picture share it.",
            hint="Take your rokka models out of it with @cleanup.ignore.",
            id="rokka.W002",
        )
    ]


@register(Tags.security, deploy=True)
def check_deployment(**kwargs: Any) -> list[CheckMessage]:
    """What is fine on a developer's machine, and not in production."""
    return [message for config in _valid_configs() for message in _check_deployed(config)]


def _check_deployed(config: conf.Config) -> Iterator[CheckMessage]:
    for key in ("base_url", "render_url"):
        if getattr(config, key).startswith("http://"):
            yield Warning(
                f"ROKKA[{config.alias!r}][{key.upper()!r}] is not encrypted: {getattr(config, key)}",
                hint="Use https://; the API key travels with every call.",
                id="rokka.W020",
            )
    if not config.environment and not config.read_only:
        yield Warning(
            f"ROKKA[{config.alias!r}] has no ENVIRONMENT: a copy of this database could delete its pictures.",
            hint="Name this site, such as 'production'.",
            id="rokka.W023",
        )
    for key in conf.SECRETS:
        if secret := getattr(config, key.lower()):
            yield from _check_secret(config.alias, key, secret)


def _check_secret(alias: str, key: str, secret: str) -> Iterator[CheckMessage]:
    if secret in repr(get_default_exception_reporter_filter().get_safe_settings()):
        yield Warning(
            f"ROKKA[{alias!r}][{key!r}] shows in the settings that Django's debug page prints.",
            hint="Keep it in ROKKA alone, or in a setting whose name has KEY, SECRET or TOKEN in it.",
            id="rokka.W021",
        )
    if secret in _settings_source():
        yield Warning(
            f"ROKKA[{alias!r}][{key!r}] is written in the settings file.",
            hint=f"Read it from the environment: os.environ['ROKKA_{key}'].",
            id="rokka.W022",
        )


def _settings_source() -> str:
    module = os.environ.get("DJANGO_SETTINGS_MODULE", "")
    try:
        return inspect.getsource(importlib.import_module(module))
    except (ImportError, OSError, TypeError, ValueError):
        return ""


def _valid_configs() -> list[conf.Config]:
    return [conf.get_config(alias) for alias in conf.aliases() if not conf.problems(alias)]
