"""The ``ROKKA`` setting: read here and nowhere else, lazily, and anew when it changes.

``ROKKA`` works like ``CACHES``: an alias, such as ``"default"``, maps to the settings of one
organization. A mistake is a system check (see `django_rokka.checks`), never an import error.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property, partial
from typing import TYPE_CHECKING, Any, Literal, overload
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed

from .api import RetryPolicy, RokkaClient, Stack
from .api.geometry import Sizing, sizing_of
from .api.secret import Secret
from .api.transport import IN_HEADER

if TYPE_CHECKING:
    from .mirror import MirroringClient

DEFAULT_ALIAS = "default"


@dataclass(frozen=True)
class DeclaredStack:
    """A stack of the ``STACKS`` setting: what rokka shall have, and what the tags make of it.

    ``widths`` in pixels and ``sizes`` are for a ``srcset``, in place of the alias's ``WIDTHS`` and the
    whole width of the page.
    """

    stack: Stack
    widths: tuple[int, ...] = ()
    sizes: str = ""

    @property
    def protected(self) -> bool:
        """Whether rokka shows its renders only with a signature."""
        return self.stack.options.get("protected") is True

    @cached_property
    def sizing(self) -> Sizing | None:
        """What decides on the size of its renders, where it alone does."""
        return sizing_of(self.stack)


@dataclass(frozen=True)
class Config:
    """The settings of one alias. Times in seconds, sizes in bytes, widths in pixels."""

    alias: str
    organization: str = ""
    api_key: str = field(default="", repr=False)
    api_token: str = field(default="", repr=False)
    base_url: str = "https://api.rokka.io"
    render_url: str = "https://{organization}.rokka.io"
    stack: str = "dynamic"
    widths: tuple[int, ...] = (320, 640, 960, 1280, 1920, 2560)
    timeout: tuple[float, float] = (5.0, 60.0)
    attempts: int = 6
    retry_budget: float = 60.0
    pool_size: int = 10
    max_memory_size: int = 2_621_440
    environment: str = ""
    isolate: bool = False
    read_only: bool = False
    unreferenced: str | int = "delete"
    references: tuple[str, ...] = ()
    rich_text: tuple[str, ...] = ()
    databases: tuple[str, ...] = ()
    celery: bool = False
    placeholders: bool = True
    spool: str = ""
    fallback: str = ""
    stacks: Mapping[str, DeclaredStack] = field(default_factory=dict)
    signing_key: str = field(default="", repr=False)
    signed_for: int = 0
    destinations: tuple[str, ...] = ()
    concurrency: int = 4

    @property
    def render_base(self) -> str:
        """Where this organization's renders come from, without a slash at the end."""
        return self.render_url.replace("{organization}", self.organization).rstrip("/")


@dataclass(frozen=True)
class Problem:
    """A mistake in the setting: the id of its system check, what is wrong, and the way out."""

    id: str
    message: str
    hint: str


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_url(value: Any) -> bool:
    try:
        parts = urlsplit(value)
    except (AttributeError, TypeError, ValueError):
        return False
    return parts.scheme in ("http", "https") and bool(parts.netloc) and not parts.query


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and _is_number(value)


def _is_seconds(value: Any) -> bool:
    return value == 0 or _is_count(value)


def _is_timeout(value: Any) -> bool:
    pair = value if isinstance(value, list | tuple) else (value, value)
    return len(pair) == 2 and all(_is_number(item) for item in pair)


def _is_widths(value: Any) -> bool:
    return (
        isinstance(value, list | tuple) and bool(value) and all(_is_count(item) for item in value)
    )


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def _is_policy(value: Any) -> bool:
    return value in ("delete", "keep") or _is_count(value)


def _is_texts(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(item, str) for item in value)


#: What a stack of the setting may have: what rokka's API takes, and what the tags use.
_STACK_KEYS = {
    "operations", "options", "expressions", "variables", "description", "widths", "sizes"
}  # fmt: skip


def _is_stacks(value: Any) -> bool:
    return isinstance(value, Mapping) and all(map(_is_stack, value.items()))


def _is_stack(item: tuple[Any, Any]) -> bool:
    name, values = item
    if not (isinstance(name, str) and re.fullmatch("[0-9a-zA-Z_-]+", name)):
        return False
    if not isinstance(values, Mapping) or set(values) - _STACK_KEYS:
        return False
    steps = values.get("operations", ())
    return (
        isinstance(steps, list | tuple)
        and all(isinstance(step, Mapping) and isinstance(step.get("name"), str) for step in steps)
        and isinstance(values.get("sizes", ""), str)
        and ("widths" not in values or _is_widths(values["widths"]))
    )


def _read_stacks(value: Mapping[str, Any]) -> dict[str, DeclaredStack]:
    return {name: _read_stack(name, dict(values)) for name, values in value.items()}


def _read_stack(name: str, values: dict[str, Any]) -> DeclaredStack:
    widths, sizes = values.pop("widths", ()), values.pop("sizes", "")
    return DeclaredStack(Stack.from_json({**values, "name": name}), tuple(widths), sizes)


def _matches(pattern: str) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and re.fullmatch(pattern, value) is not None


@dataclass(frozen=True)
class _Setting:
    """One key of an alias: how it is checked, what is expected, and how it is read."""

    is_valid: Callable[[Any], bool]
    expected: str
    read: Callable[[Any], Any] = lambda value: value
    id: str = "rokka.E004"


#: All keys of an alias. The field of `Config` is the same in lower case.
SETTINGS: Mapping[str, _Setting] = {
    "ORGANIZATION": _Setting(_matches("[0-9a-z][0-9a-z_-]*"), "a name of 0-9a-z_-"),
    "API_KEY": _Setting(_matches(IN_HEADER.pattern), "a string without spaces and line ends"),
    "API_TOKEN": _Setting(_matches(IN_HEADER.pattern), "a string without spaces and line ends"),
    "BASE_URL": _Setting(_is_url, "a URL such as 'https://api.rokka.io'", id="rokka.E005"),
    "RENDER_URL": _Setting(
        _is_url, "a URL such as 'https://{organization}.rokka.io'", id="rokka.E005"
    ),
    "STACK": _Setting(_matches("[0-9a-zA-Z_-]+"), "the name of a stack"),
    "WIDTHS": _Setting(_is_widths, "a list of pixel widths", tuple),
    "TIMEOUT": _Setting(
        _is_timeout,
        "seconds, or (connect, read) seconds",
        lambda value: tuple(value) if isinstance(value, list | tuple) else (value, value),
    ),
    "ATTEMPTS": _Setting(_is_count, "a whole number above 0"),
    "RETRY_BUDGET": _Setting(_is_number, "a number of seconds above 0"),
    "POOL_SIZE": _Setting(_is_count, "a whole number above 0"),
    "MAX_MEMORY_SIZE": _Setting(_is_count, "a number of bytes above 0"),
    "ENVIRONMENT": _Setting(
        _matches("[0-9a-z_-]{0,54}"), "a name of 0-9a-z_-, such as 'production'"
    ),
    "ISOLATE": _Setting(_is_flag, "True or False"),
    "READ_ONLY": _Setting(_is_flag, "True or False"),
    "UNREFERENCED": _Setting(_is_policy, "'delete', 'keep' or a whole number of days"),
    "REFERENCES": _Setting(_is_texts, "a list such as ['app.Model.field']", tuple),
    "RICH_TEXT": _Setting(_is_texts, "a list such as ['app.Model.field']", tuple),
    "DATABASES": _Setting(_is_texts, "a list of keys of DATABASES", tuple),
    "CELERY": _Setting(_is_flag, "True or False"),
    "PLACEHOLDERS": _Setting(_is_flag, "True or False"),
    "SPOOL": _Setting(_is_text, "a key of STORAGES"),
    "FALLBACK": _Setting(_is_text, "a key of STORAGES"),
    "STACKS": _Setting(
        _is_stacks,
        "stacks by name, such as {'hero': {'operations': [{'name': 'resize', 'options': {'width': 1920}}]}}",
        _read_stacks,
    ),
    "DESTINATIONS": _Setting(_is_texts, "a list of organizations", tuple),
    "CONCURRENCY": _Setting(_is_count, "a whole number above 0"),
    "SIGNING_KEY": _Setting(_is_text, "a string"),
    "SIGNED_FOR": _Setting(_is_seconds, "a whole number of seconds, or 0 for no limit"),
}
#: The keys whose values never show.
SECRETS = ("API_KEY", "API_TOKEN", "SIGNING_KEY")


def aliases() -> tuple[str, ...]:
    """The aliases that the setting names."""
    raw = getattr(settings, "ROKKA", None)
    return tuple(raw) if isinstance(raw, Mapping) else ()


def _raw(alias: str) -> Any:
    """The settings of an alias. Its keys hide from tracebacks that show local variables."""
    raw: Any = settings.ROKKA[alias]
    if not isinstance(raw, Mapping):
        return raw
    hidden = {key: Secret(raw[key]) for key in SECRETS if isinstance(raw.get(key), str)}
    return {**raw, **hidden}


def problems(alias: str) -> list[Problem]:
    """Everything that is wrong with the settings of one alias, except a missing key."""
    raw = _raw(alias)
    if not isinstance(raw, Mapping):
        message = f"ROKKA[{alias!r}] must be a dictionary, got {type(raw).__name__}."
        return [Problem("rokka.E004", message, "Give it at least an ORGANIZATION and an API_KEY.")]
    found = list(_problems(alias, raw))
    if not raw.get("ORGANIZATION"):
        message = f"ROKKA[{alias!r}] has no ORGANIZATION."
        found.append(Problem("rokka.E002", message, "Name your organization at rokka."))
    return found


def _problems(alias: str, raw: Mapping[str, Any]) -> Iterator[Problem]:
    for key, value in raw.items():
        known = SETTINGS.get(key)
        if known is None:
            yield _unknown_key(alias, key)
        elif not known.is_valid(value) and not (key == "ORGANIZATION" and not value):
            # A value that may be secret is not repeated.
            shown = "" if key in SECRETS else f", got {value!r}"
            message = f"ROKKA[{alias!r}][{key!r}] must be {known.expected}{shown}."
            yield Problem(known.id, message, "Correct the value, or leave the key out.")


def _unknown_key(alias: str, key: object) -> Problem:
    close = difflib.get_close_matches(str(key).upper(), SETTINGS, n=1)
    hint = f"Did you mean {close[0]!r}? " if close else ""
    return Problem(
        "rokka.E003",
        f"ROKKA[{alias!r}] has an unknown key {key!r}.",
        f"{hint}Known keys: {', '.join(SETTINGS)}.",
    )


@cache
def get_config(alias: str = DEFAULT_ALIAS) -> Config:
    """Read the settings of an alias. Raises `ImproperlyConfigured`, naming what is wrong."""
    if alias not in aliases():
        known = ", ".join(map(repr, aliases())) or "none"
        raise ImproperlyConfigured(
            f"There is no ROKKA[{alias!r}] in your settings; known aliases: {known}."
        )
    for problem in problems(alias):
        raise ImproperlyConfigured(f"{problem.message} {problem.hint}")
    raw = _raw(alias)
    values = {key.lower(): SETTINGS[key].read(value) for key, value in raw.items()}
    return Config(alias=alias, **values)


def configs_of(organization: str) -> list[Config]:
    """The settings of every alias that has this organization, those that may write first."""
    configs = [get_config(alias) for alias in aliases() if not problems(alias)]
    found = [config for config in configs if config.organization == organization]
    return sorted(found, key=lambda config: config.read_only)


def organizations() -> list[str]:
    """The organizations of all aliases, each once, in the setting's order."""
    configs = [get_config(alias) for alias in aliases() if not problems(alias)]
    return list(dict.fromkeys(config.organization for config in configs))


def destinations(organization: str) -> list[str]:
    """Where images of the organization may be copied: its ``DESTINATIONS``, or what other aliases have."""
    named = [name for config in configs_of(organization) for name in config.destinations]
    others = (get_config(alias).organization for alias in aliases() if not problems(alias))
    return [name for name in dict.fromkeys(named or others) if name != organization]


def one_alias_each() -> list[str]:
    """One alias for each organization."""
    organizations = dict.fromkeys(get_config(alias).organization for alias in aliases())
    return [config_of(organization).alias for organization in organizations]


def config_of(organization: str) -> Config:
    """The settings to work on an organization with. Raises `ImproperlyConfigured` if no alias has it."""
    for config in configs_of(organization):
        return config
    raise ImproperlyConfigured(
        f"No alias of the ROKKA setting has the organization {organization!r}; "
        f"known aliases: {', '.join(map(repr, aliases())) or 'none'}."
    )


@overload
def get_client(alias: str = ...) -> MirroringClient: ...
@overload
def get_client(alias: str = ..., *, mirrors: Literal[False]) -> RokkaClient: ...
def get_client(alias: str = DEFAULT_ALIAS, *, mirrors: bool = True) -> RokkaClient:
    """The client of an alias: one for each process, shared by its threads.

    It records what it learns in the mirror, unless ``mirrors`` is off. Raises `ImproperlyConfigured`, also
    for a missing key.
    """
    # The process id makes a forked worker open connections of its own.
    return _make_client(alias, mirrors, os.getpid())


@cache
def _make_client(alias: str, mirrors: bool, process: int) -> RokkaClient:
    from .environment import check_call
    from .mirror import MirroringClient

    config = get_config(alias)
    if not (config.api_key or config.api_token):
        raise ImproperlyConfigured(
            f"ROKKA[{alias!r}] has no API_KEY, so rokka cannot be called; "
            "render URLs work without one."
        )
    kind = MirroringClient if mirrors else RokkaClient
    return kind(
        config.organization,
        api_key=config.api_key,
        token=config.api_token,
        base_url=config.base_url,
        timeout=config.timeout,
        retry=RetryPolicy(attempts=config.attempts, budget=config.retry_budget),
        pool_size=config.pool_size,
        guard=partial(check_call, config),
    )


def _forget(*, setting: str, **kwargs: Any) -> None:
    if setting == "ROKKA":
        get_config.cache_clear()
        _make_client.cache_clear()


setting_changed.connect(_forget, dispatch_uid="django_rokka.conf")
