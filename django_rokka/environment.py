"""Which site may change an organization's images: the guard that every call passes.

An organization is claimed by the site that first writes to it: the alias's ``ENVIRONMENT`` is kept in the
mirror. A database that is copied to another site takes the claim along, so that site, whose setting has
another name, finds out that the images are not its own before it deletes them or changes their hashes.
"""

from __future__ import annotations

from typing import Any

from django.db import router

from .api import Refused
from .conf import Config, aliases, get_config, problems
from .models import Claim

_READING = ("GET", "HEAD")
#: What only adds: uploads, copies, restoring. It never takes a picture from a page.
_ADDING = ("POST",)


def check_call(config: Config, method: str, path: str) -> None:
    """Let a call of the API pass, or raise `Refused` with the way out. Nothing was sent then."""
    if method in _READING:
        return
    call = f"{method} {path}"
    if config.read_only:
        raise Refused(
            f"ROKKA[{config.alias!r}] is READ_ONLY; use an alias that may write", call=call
        )
    owner = claimed_by(config)
    if method not in _ADDING and owner != config.environment:
        raise Refused(_advice(config, owner), call=call)


def check_destination(config: Config, destination: str) -> None:
    """Raise `Refused` if images of another environment would be overwritten by a copy."""
    owner = Claim.objects.filter(organization=destination).first()
    if owner is not None and owner.environment != config.environment:
        raise Refused(
            f"the images of {destination!r} belong to the environment {owner.environment!r}, and "
            f"ROKKA[{config.alias!r}] has {config.environment!r}; copy with overwrite=False"
        )


def claimed_by(config: Config) -> str:
    """The environment that has the organization; nobody's is claimed for this site. Empty for none."""
    if config.environment:
        claim, _ = Claim.objects.get_or_create(
            organization=config.organization, defaults={"environment": config.environment}
        )
        return claim.environment
    claims = Claim.objects.filter(organization=config.organization)
    return claims.values_list("environment", flat=True).first() or ""


def _advice(config: Config, owner: str) -> str:
    own = f"ENVIRONMENT {config.environment!r}" if config.environment else "no ENVIRONMENT"
    return (
        f"the images of {config.organization!r} belong to the environment {owner!r}, and "
        f"ROKKA[{config.alias!r}] has {own}. If this database is a copy, give this site an organization "
        "of its own, or set READ_ONLY. If the images do belong here, run: "
        f"manage.py rokka_claim {config.alias}"
    )


def claim(config: Config) -> str:
    """Claim the organization for this site, whoever had it; gives the former owner, or ``""``."""
    former = Claim.objects.filter(organization=config.organization)
    owner = former.values_list("environment", flat=True).first() or ""
    if config.environment:
        Claim.objects.update_or_create(
            organization=config.organization, defaults={"environment": config.environment}
        )
    else:
        former.delete()
    return owner


def claim_all(**kwargs: Any) -> None:
    """Claim what nobody has, after a migration: before anybody can copy the database."""
    if kwargs["using"] != router.db_for_write(Claim):
        return
    for alias in aliases():
        if not problems(alias) and not get_config(alias).read_only:
            claimed_by(get_config(alias))
