"""All checks, one after the other: one that breaks does not end the others, and no key shows."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing

from .. import api, conf
from ..conf import Config
from . import at_rokka, drift, on_site, workers
from .at_rokka import Patient
from .findings import Finding, found, without
from .probe import SECONDS

logger = logging.getLogger("django_rokka.doctor")


def examine(aliases: Sequence[str] = (), *, seconds: float = SECONDS) -> Iterator[Finding]:
    """Check these aliases, or all. Nothing is changed.

    ``seconds`` limits each connection, and each part of an answer; a dead host costs a few times that.
    """
    known = set(secrets())
    for finding in _examine(aliases, seconds):
        yield without(known, finding)


def secrets() -> Iterator[str]:
    """What must not show: the keys of all aliases."""
    for config in configs_of_aliases(()):
        yield from (config.api_key, config.api_token, config.signing_key)


def configs_of_aliases(aliases: Sequence[str]) -> list[Config]:
    """The settings of these aliases, or of all; those with mistakes are left to the system checks."""
    chosen = [name for name in conf.aliases() if not aliases or name in aliases]
    return [conf.get_config(name) for name in chosen if not conf.problems(name)]


def _examine(aliases: Sequence[str], seconds: float) -> Iterator[Finding]:
    configs = configs_of_aliases(aliases)
    yield from _safely("settings", on_site.check_settings)
    yield from _safely("schema", on_site.check_schema)
    for config in configs:
        with closing(Patient(config, seconds)) as patient:
            yield from _examine_alias(patient)
    yield from _safely("broker", lambda: workers.check_workers(configs, seconds=seconds))
    for config in one_each(configs):
        yield from _safely("schedule", lambda: on_site.check_schedule(config), alias=config.alias)  # noqa: B023
        yield from _safely("references", lambda: check_references(config), alias=config.alias)  # noqa: B023


def one_each(configs: Sequence[Config]) -> list[Config]:
    """One alias for each organization: one that may write, where there is one."""
    chosen: dict[str, Config] = {}
    for config in sorted(configs, key=lambda config: config.read_only):
        chosen.setdefault(config.organization, config)
    return list(chosen.values())


def _examine_alias(patient: Patient) -> Iterator[Finding]:
    for name, check, needs_rokka in at_rokka.CHECKS:
        if needs_rokka and patient.closed:
            yield patient.found(f"{name}.skipped", f"Not asked: {patient.closed}.")
            continue
        yield from _safely(name, lambda: check(patient), patient=patient)  # noqa: B023


def _safely(
    name: str,
    check: Callable[[], Iterator[Finding]],
    *,
    alias: str = "",
    patient: Patient | None = None,
) -> Iterator[Finding]:
    """What a check finds; if it breaks, that."""
    alias = patient.config.alias if patient else alias
    try:
        yield from check()
    except Exception as error:
        if not isinstance(error, api.RokkaError):
            logger.debug("The check %s broke.", name, exc_info=True)
        if patient and isinstance(error, api.RokkaConnectionError):
            patient.closed = "rokka cannot be reached any more"
        # A database says it in several lines.
        said = " ".join(str(error).split())
        yield found(f"{name}.failed", f"{type(error).__name__}: {said}", alias=alias)


def check_references(config: Config) -> Iterator[Finding]:
    """Rows whose picture is gone, as far as the mirror knows."""
    counts = drift.Scan()
    for counts, _ in drift.scan(config, ask=False):  # noqa: B007 - the last one is the whole
        pass
    if counts.gone:
        seen = f"Rows show {counts.gone} pictures that are gone."
        yield found("references.gone", seen, alias=config.alias)
    if counts.unknown:
        seen = f"Rows show {counts.unknown} pictures that the mirror does not know."
        yield found("references.unknown", seen, alias=config.alias)
    if not counts.gone and not counts.unknown:
        seen = f"All {counts.names} pictures that rows show are there, by the mirror."
        yield found("references.ok", seen, alias=config.alias)
