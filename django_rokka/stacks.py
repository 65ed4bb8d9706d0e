"""Stacks as code: what ``STACKS`` declares, what rokka has, and how the one becomes the other.

A stack that is pushed carries a mark at the end of its description, with the ``ENVIRONMENT`` of the site:
by it every machine knows which stacks this site made, and no other one is ever deleted.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from django.apps import apps
from django.db import models

from . import api
from .api import Stack
from .api.catalogue import DOCUMENTED, Catalogue, advice, is_reserved
from .api.render import DYNAMIC
from .conf import DEFAULT_ALIAS, Config, aliases, configs_of, get_client, get_config, problems
from .stack_texts import as_diff, as_lines, as_setting

_MARK = re.compile(r"\s*\[django_rokka(?: (?P<environment>[0-9a-z_-]+))?\]\s*$")
_VERSION = re.compile(r"(?P<base>.+?)(?:-v(?P<number>\d{1,9}))?")
_CACHES = "caches and browsers keep what was rendered before, for up to a year"


class UnknownStack(ValueError):
    """A stack that is not declared, or not there. The message names what is close, and what is known."""


class Kind(enum.Enum):
    """How a stack of the setting and one at rokka stand to each other."""

    NEW = "new"  # declared, and not at rokka
    SAME = "same"
    CHANGED = "changed"
    FOREIGN = "foreign"  # at rokka, neither declared nor made by this site
    OBSOLETE = "obsolete"  # at rokka, made by this site, and not declared any more


@dataclass(frozen=True)
class Difference:
    """A stack in the setting, at rokka, or both.

    ``ours``: this site made the one at rokka. ``mistakes``: what rokka would not understand in the declared
    one, each in a few words.
    """

    name: str
    declared: Stack | None = None
    remote: Stack | None = None
    ours: bool = False
    mistakes: tuple[str, ...] = ()

    @property
    def kind(self) -> Kind:
        """How the two stand to each other."""
        if self.declared is None:
            return Kind.OBSOLETE if self.ours else Kind.FOREIGN
        if self.remote is None:
            return Kind.NEW
        return Kind.SAME if _lines(self.declared) == _lines(self.remote) else Kind.CHANGED

    @property
    def settled(self) -> bool:
        """Whether neither a push nor a pruning has anything to do."""
        return self.kind in (Kind.SAME, Kind.FOREIGN) and not self.mistakes

    def lines(self) -> list[str]:
        """From what rokka has to what is declared: ``-`` goes, ``+`` comes, the others stay."""
        return as_diff(
            *(_lines(stack) if stack is not None else [] for stack in (self.remote, self.declared))
        )


@dataclass(frozen=True)
class Outcome:
    """What became of a stack, in words; not ``ok`` if something that was asked for was not done."""

    name: str
    text: str
    ok: bool = True


def compare(
    config: Config, remote: Iterable[Stack], catalogue: Catalogue = DOCUMENTED
) -> list[Difference]:
    """Every stack that is declared, in the setting's order, and then the others that rokka has, by name."""
    at_rokka = {stack.name: stack for stack in remote}
    elsewhere = _declared_elsewhere(config)
    ours = {stack.name for stack in at_rokka.values() if _is_ours(config, stack)} - elsewhere
    declared = [
        Difference(
            name,
            declared=entry.stack,
            remote=at_rokka.get(name),
            ours=name in ours,
            mistakes=tuple(mistakes(entry.stack, catalogue)),
        )
        for name, entry in config.stacks.items()
    ]
    others = sorted(at_rokka.keys() - config.stacks.keys())
    return declared + [
        Difference(name, remote=at_rokka[name], ours=name in ours) for name in others
    ]


def mistakes(stack: Stack, catalogue: Catalogue = DOCUMENTED) -> list[str]:
    """What rokka would refuse or misunderstand in a stack, each in a few words."""
    reserved = ["rokka keeps this name for itself"] if is_reserved(stack.name) else []
    return reserved + catalogue.mistakes(stack)


def read(alias: str = DEFAULT_ALIAS) -> list[Difference]:
    """Ask rokka, and `compare`. Raises the client's errors."""
    client = get_client(alias)
    live = Catalogue.from_json(client.list_operations(), client.list_stack_options())
    return compare(get_config(alias), client.list_stacks(), DOCUMENTED | live)


def choose(differences: list[Difference], names: Collection[str]) -> list[Difference]:
    """Those with these names, or all. Raises `UnknownStack` for one neither declared nor at rokka."""
    known = {difference.name for difference in differences}
    for name in names:
        if name not in known:
            raise UnknownStack(
                f"There is no stack {name!r}, neither in the setting nor at rokka; {advice(name, known)}"
            )
    return [difference for difference in differences if not names or difference.name in names]


# --- Marks ------------------------------------------------------------------------------------


def _lines(stack: Stack) -> list[str]:
    return as_lines(stack, _description(stack))


def _description(stack: Stack) -> str:
    return _MARK.sub("", stack.description)


def _marked(config: Config, stack: Stack) -> Stack:
    mark = f"[django_rokka {config.environment}]" if config.environment else "[django_rokka]"
    return replace(stack, description=f"{_description(stack)} {mark}".strip())


def _is_ours(config: Config, stack: Stack) -> bool:
    mark = _MARK.search(stack.description)
    return mark is not None and (mark["environment"] or "") == config.environment


def _declared_elsewhere(config: Config) -> set[str]:
    """What other aliases of the same organization declare: not this one's to delete."""
    others = [other for other in configs_of(config.organization) if other.alias != config.alias]
    return {name for other in others for name in other.stacks}


# --- Push -------------------------------------------------------------------------------------


def push(
    alias: str = DEFAULT_ALIAS,
    names: Collection[str] = (),
    *,
    overwrite: bool = False,
    purge: bool = False,
    dry_run: bool = False,
) -> Iterator[Outcome]:
    """Create what rokka does not have, and with ``overwrite`` replace what has changed; one by one.

    A changed stack that this site did not make is replaced only if it is among the ``names``. ``purge``
    also asks the CDN to forget the renders of what is replaced. Raises `UnknownStack` and the client's
    errors; a stack that rokka does not take is an `Outcome`, and the others go on.
    """
    everything = read(alias)
    versions = new_versions(everything)
    for difference in _bases_first(choose(everything, names)):
        name = difference.name
        if difference.declared is None:
            if names:
                yield Outcome(name, "refused: it is not in STACKS", ok=False)
        elif objection := _objection(difference, versions, named=bool(names), overwrite=overwrite):
            yield Outcome(name, f"refused: {objection}", ok=False)
        elif difference.kind is Kind.SAME:
            yield Outcome(name, "the same at rokka")
        elif dry_run:
            yield Outcome(name, f"would be {_done(difference)}")
        else:
            yield _save(alias, difference, difference.declared, purge=purge)


def _objection(
    difference: Difference, versions: Mapping[str, str], *, named: bool, overwrite: bool
) -> str:
    if difference.mistakes:
        return "; ".join(difference.mistakes)
    if difference.kind is not Kind.CHANGED or (overwrite and (difference.ours or named)):
        return ""
    way_out = f"call it {versions[difference.name]!r}, or overwrite it"
    if difference.ours:
        return f"it has changed, and {_CACHES}; {way_out}"
    return f"rokka has another one, which this site did not make; {way_out} by its name"


def _done(difference: Difference) -> str:
    return "created" if difference.kind is Kind.NEW else f"overwritten; {_CACHES}"


def _save(alias: str, difference: Difference, stack: Stack, *, purge: bool) -> Outcome:
    name, exists = difference.name, difference.kind is Kind.CHANGED
    client = get_client(alias)
    try:
        client.save_stack(_marked(get_config(alias), stack), overwrite=exists)
    except api.BadCredentials:
        raise
    except api.RokkaAPIError as error:
        # What stands in the way may be what an earlier try of the call has made.
        ours = isinstance(error, api.Conflict) and error.maybe_done
        if not ours or _lines(client.get_stack(name)) != _lines(stack):
            return Outcome(name, f"failed: {error.message}", ok=False)
    done = Outcome(name, _done(difference))
    return _purge(alias, done) if purge and exists else done


def _purge(alias: str, done: Outcome) -> Outcome:
    try:
        get_client(alias).purge_stack_cache(done.name)
    except api.NotAllowed as error:
        reason = f"only paying accounts can do that ({error.message})"
    except api.RateLimited as error:
        when = f" at {error.retry_at:%H:%M %Z}" if error.retry_at else " later"
        reason = f"rokka takes a few purges an hour; try again{when}"
    except api.RokkaError as error:
        reason = error.message
    else:
        return replace(done, text="overwritten; rokka purges its caches, browsers keep theirs")
    return replace(done, text=f"{done.text}. The cache was not purged: {reason}", ok=False)


def _bases_first(differences: list[Difference]) -> list[Difference]:
    """The same, with what other stacks build on before them."""
    waiting = {difference.name: difference for difference in differences}
    ordered: list[Difference] = []

    def put(difference: Difference) -> None:
        for name in sorted(_uses(difference.declared)):
            if base := waiting.pop(name, None):
                put(base)
        ordered.append(difference)

    while waiting:
        put(waiting.pop(next(iter(waiting))))
    return ordered


def _uses(stack: Stack | None) -> set[str]:
    """The stacks that a stack builds on."""
    if stack is None:
        return set()
    steps = [step.options.get("secondary_stack") for step in stack.operations]
    return {str(name) for name in [stack.options.get("basestack"), *steps] if name}


def next_version(name: str, taken: Iterable[str]) -> str:
    """A name for the next version: ``hero`` becomes ``hero-v2``, or more if that and others are taken."""
    base = _split_version(name)[0]
    versions = [number for other, number in map(_split_version, [name, *taken]) if other == base]
    return f"{base}-v{max(versions) + 1}"


def _split_version(name: str) -> tuple[str, int]:
    parts = _VERSION.fullmatch(name)
    return (parts["base"], int(parts["number"] or 1)) if parts else (name, 1)


def new_versions(differences: Iterable[Difference]) -> dict[str, str]:
    """A new name for each stack that has changed; ``differences`` are all there are."""
    taken = {difference.name: difference.kind for difference in differences}
    return {name: next_version(name, taken) for name, kind in taken.items() if kind is Kind.CHANGED}


# --- Pull -------------------------------------------------------------------------------------


def pull(alias: str = DEFAULT_ALIAS, names: Collection[str] = ()) -> dict[str, dict[str, Any]]:
    """What ``STACKS`` would have to say for the stacks that rokka has; ``widths`` and ``sizes`` are kept.

    Without names, all but those whose names rokka keeps for itself. Raises the client's errors,
    and `UnknownStack` for a name that rokka does not have.
    """
    config, settings = get_config(alias), {}
    for difference in choose(read(alias), names):
        if difference.remote is None and names:
            raise UnknownStack(f"rokka has no stack {difference.name!r}; it is only in the setting")
        if difference.remote is not None and (names or not is_reserved(difference.name)):
            settings[difference.name] = setting_of(config, difference.name, difference.remote)
    return settings


def setting_of(config: Config, name: str, stack: Stack) -> dict[str, Any]:
    """What ``STACKS`` says of a stack, with the ``widths`` and ``sizes`` that it has under this name."""
    setting = as_setting(stack, _description(stack))
    if known := config.stacks.get(name):
        kept = {"widths": list(known.widths), "sizes": known.sizes}
        setting |= {key: value for key, value in kept.items() if value}
    return setting


# --- Prune ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Prunable:
    """Which stacks can go, and which must stay though they are obsolete: name → what needs them."""

    stacks: tuple[Difference, ...]
    needed: Mapping[str, str]


def prunable(alias: str = DEFAULT_ALIAS, names: Collection[str] = ()) -> Prunable:
    """The stacks that this site made and does not declare any more. Raises like `pull`."""
    config, everything = get_config(alias), read(alias)
    obsolete = {
        difference.name: difference
        for difference in choose(everything, names)
        if difference.kind is Kind.OBSOLETE
    }
    needed = {name: why for name, why in _defaults(config).items() if name in obsolete}
    while found := _needed(everything, obsolete.keys() - needed.keys()):
        needed |= found
    stacks = tuple(obsolete[name] for name in obsolete if name not in needed)
    return Prunable(stacks, needed)


def _defaults(config: Config) -> dict[str, str]:
    return {
        other.stack: f"ROKKA[{other.alias!r}]['STACK']" for other in configs_of(config.organization)
    }


def _needed(everything: list[Difference], doomed: Collection[str]) -> dict[str, str]:
    return {
        name: f"the stack {difference.name!r}"
        for difference in everything
        if difference.name not in doomed
        for stack in (difference.declared, difference.remote)
        for name in _uses(stack) & set(doomed)
    }


def prune(alias: str, differences: Iterable[Difference]) -> Iterator[Outcome]:
    """Delete these stacks, one by one, unless somebody has made them theirs meanwhile."""
    for difference in differences:
        yield _delete(alias, difference.name)


def _delete(alias: str, name: str) -> Outcome:
    client = get_client(alias)
    try:
        if not _is_ours(get_config(alias), client.get_stack(name)):
            return Outcome(name, "kept: this site did not make it", ok=False)
        client.delete_stack(name)
    except api.NotFound:
        return Outcome(name, "is gone already")
    except api.BadCredentials:
        raise
    except api.RokkaAPIError as error:
        return Outcome(name, f"failed: {error.message}", ok=False)
    return Outcome(name, "deleted")


# --- Names in code ----------------------------------------------------------------------------


def check_known(name: str, alias: str | None = None) -> None:
    """Raise `UnknownStack` if no stack of this name is declared; without HTTP.

    Known are the stacks in ``STACKS``, ``STACK`` and ``dynamic``. An alias without ``STACKS`` may have any.
    ``alias=None`` is for a place that may show pictures of every alias that a field uses.
    """
    known = known_names(alias)
    if known is not None and name not in known:
        where = f"ROKKA[{alias!r}]['STACKS']" if alias else "the STACKS of the ROKKA setting"
        raise UnknownStack(f"There is no stack {name!r} in {where}; {advice(name, known)}")


def problem_of(name: str | None, alias: str | None = None) -> str:
    """What `check_known` says of a name that may be missing; empty if there is nothing to say."""
    try:
        if name:
            check_known(name, alias)
    except UnknownStack as error:
        return str(error)
    return ""


def known_names(alias: str | None = None) -> frozenset[str] | None:
    """The stacks that `check_known` knows; ``None`` if there may be any."""
    chosen = aliases() if alias is None else (alias,)
    configs = [get_config(name) for name in chosen if name in aliases() and not problems(name)]
    declaring = [config for config in configs if config.stacks]
    silent = {config.alias for config in configs if not config.stacks}
    # Models are looked through only where that can make a difference: each tag of a template asks.
    if not declaring or (silent and silent & _aliases_of_fields()):
        return None
    names = {name for config in declaring for name in (*config.stacks, config.stack)}
    return frozenset(names | {DYNAMIC})


def _aliases_of_fields() -> set[str]:
    """The aliases whose pictures models hold."""
    fields = (field for model in apps.get_models() for field in model._meta.get_fields())
    storages = (field.storage for field in fields if isinstance(field, models.FileField))
    return {storage.alias for storage in storages if hasattr(storage, "alias")}
