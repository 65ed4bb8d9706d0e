"""What is checked at rokka, for one alias. Nothing is changed, neither there nor in the mirror."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from typing import Any

from PIL import Image as Picture

from .. import api, environment, renders, stacks
from ..api import ImageName, Stack
from ..api.catalogue import DOCUMENTED, Catalogue
from ..api.render import DYNAMIC
from ..conf import Config
from ..models import Claim, SourceImage
from ..stacks import Kind
from .findings import Finding, found
from .probe import SECONDS, Probe

#: A clock that is further off than this is worth a word; further than a slice of a signature's time it harms.
_CLOCK_OFF, _CLOCK_WRONG = timedelta(seconds=30), timedelta(seconds=300)
_MOST_OF_RENDER = 50 * 1024 * 1024
_RENDER_RETRY = api.RetryPolicy(attempts=2, first_pause=0.2, longest_pause=2, budget=4)


@dataclass
class Patient:
    """An alias that is looked at, and what was learned of it so far.

    ``closed`` says why rokka cannot be asked any more, if that is so.
    """

    config: Config
    seconds: float = SECONDS
    closed: str = ""
    images: tuple[api.SourceImage, ...] = ()
    organization: api.Organization | None = None
    remote_stacks: dict[str, Stack] = field(default_factory=dict)

    @cached_property
    def probe(self) -> Probe:
        """The client that asks."""
        return Probe(self.config, seconds=self.seconds)

    def close(self) -> None:
        """Close the connections."""
        if "probe" in vars(self):
            self.probe.close()

    def found(self, code: str, seen: str, **values: Any) -> Finding:
        """A finding about this alias."""
        config = self.config
        known = {
            "organization": config.organization,
            "base_url": config.base_url,
            "stack": config.stack,
        }
        return found(code, seen, alias=config.alias, **{**known, **values})


# --- Key and organization ---------------------------------------------------------------------


def check_key(patient: Patient) -> Iterator[Finding]:
    """Whether rokka takes the key, and what it may do."""
    config = patient.config
    if not (config.api_key or config.api_token):
        patient.closed = "there is no key"
        yield patient.found("key.missing", "There is no API_KEY: nothing can be uploaded.")
        return
    try:
        patient.images = patient.probe.list_source_images(limit=1).items
    except api.NotFound:
        # The organization is another check's business.
        yield patient.found("key.ok", "rokka takes the key.")
        return
    except api.RokkaError as error:
        code, patient.closed = _trouble(error)
        yield patient.found(code, f"{patient.closed}: {error}.".replace("..", "."))
        return
    yield _rights(patient, patient.probe.roles())


def _trouble(error: api.RokkaError) -> tuple[str, str]:
    if isinstance(error, api.BadCredentials):
        return "key.refused", "rokka does not take the key"
    if isinstance(error, api.NotAllowed):
        return "key.forbidden", "The key may not read the organization's images"
    if isinstance(error, api.RokkaConnectionError):
        return "key.unreachable", "rokka cannot be reached"
    return "key.failed", "rokka is in trouble"


def _rights(patient: Patient, roles: tuple[str, ...]) -> Finding:
    if not roles:
        seen = "rokka takes the key, and it may read; whether it may write, rokka does not say."
        return patient.found("key.ok", seen)
    seen = f"rokka takes the key; its user has the roles: {', '.join(roles)}."
    may_write = any(role.rpartition(":")[2] in ("admin", "write", "upload") for role in roles)
    is_enough = may_write or patient.config.read_only
    return patient.found("key.ok" if is_enough else "key.read_only", seen)


def check_organization(patient: Patient) -> Iterator[Finding]:
    """Whether it exists, and what it may use."""
    name = patient.config.organization
    try:
        patient.organization = patient.probe.get_organization()
    except api.NotFound:
        patient.closed = f"rokka knows no organization {name!r}"
        yield patient.found("organization.unknown", f"{patient.closed}.")
        return
    except api.NotAllowed as error:
        yield patient.found(
            "organization.hidden", f"The key may not read {name!r}: {error.message}"
        )
        return
    shown = patient.organization.display_name or name
    limits = ", ".join(_limits(patient.organization)) or "rokka names no limits"
    yield patient.found("organization.ok", f"{name} ({shown}): {limits}.")


def _limits(organization: api.Organization) -> Iterator[str]:
    for name, limit in organization.limits.items():
        value = limit.get("value") if isinstance(limit, dict) else limit
        yield f"{name} {'unlimited' if value is None else value}"


def check_environment(patient: Patient) -> Iterator[Finding]:
    """Whose images they are, by the claim in the database; nothing is claimed."""
    config = patient.config
    claims = Claim.objects.filter(organization=config.organization)
    owner = claims.values_list("environment", flat=True).first()
    if config.read_only:
        seen = "The alias is READ_ONLY: nothing is uploaded, changed or deleted."
        yield patient.found("environment.ok", seen)
    elif owner is None:
        yield patient.found("environment.ok", "No environment has claimed the images.")
    else:
        yield _claimed(patient, owner)


def _claimed(patient: Patient, owner: str) -> Finding:
    try:
        environment.check_call(patient.config, "DELETE", "")
    except api.Refused:
        own = patient.config.environment or "no name"
        seen = (
            f"The images belong to the environment {owner!r}; this one has {own!r} and only adds."
        )
        return patient.found("environment.foreign", seen)
    return patient.found("environment.ok", f"The images belong to {owner!r}, as this site does.")


# --- Stacks and signatures --------------------------------------------------------------------


def check_stacks(patient: Patient) -> Iterator[Finding]:
    """What is declared against what is there."""
    probe, config = patient.probe, patient.config
    live = Catalogue.from_json(probe.list_operations(), probe.list_stack_options())
    remote = probe.list_stacks()
    patient.remote_stacks = {stack.name: stack for stack in remote}
    bad = list(_bad_stacks(patient, stacks.compare(config, remote, DOCUMENTED | live)))
    if config.stack not in {DYNAMIC, *config.stacks, *patient.remote_stacks}:
        seen = f"rokka has no stack {config.stack!r}, which is the STACK of the alias."
        bad.append(patient.found("stacks.default", seen))
    yield from bad
    if not bad:
        seen = f"{len(config.stacks)} stacks are declared, {len(remote)} are at rokka; all is the same."
        yield patient.found("stacks.ok", seen)


def _bad_stacks(patient: Patient, differences: list[stacks.Difference]) -> Iterator[Finding]:
    kinds = {
        Kind.NEW: ("stacks.missing", "Declared, and not at rokka: {names}."),
        Kind.CHANGED: ("stacks.changed", "At rokka other ones than declared: {names}."),
        Kind.OBSOLETE: (
            "stacks.obsolete",
            "Made by this site, and not declared any more: {names}.",
        ),
    }
    for kind, (code, text) in kinds.items():
        if names := [item.name for item in differences if item.kind is kind]:
            yield patient.found(code, text.format(names=", ".join(names)))
    for item in differences:
        if item.mistakes:
            yield patient.found("stacks.mistaken", f"{item.name}: {'; '.join(item.mistakes)}.")


def check_signing(patient: Patient) -> Iterator[Finding]:
    """Whether protected stacks can be shown. A key is compared, and never shown."""
    config = patient.config
    protected = sorted(name for name, stack in config.stacks.items() if stack.protected)
    remote = patient.remote_stacks.get(config.stack)
    if remote and remote.options.get("protected") is True and config.stack not in protected:
        seen = f"The STACK {config.stack!r} is protected at rokka, and STACKS does not say so."
        yield patient.found("signing.undeclared", seen)
    if not config.signing_key:
        yield _unsigned(patient, protected)
    elif patient.organization is None or not patient.organization.signing_keys:
        seen = "rokka does not show the organization's signing keys to this key."
        yield patient.found("signing.unknown", seen)
    elif config.signing_key in patient.organization.signing_keys:
        yield patient.found("signing.ok", "SIGNING_KEY is one of the organization's.")
    else:
        seen = "SIGNING_KEY is none of the organization's: what is protected is not shown."
        yield patient.found("signing.wrong", seen)


def _unsigned(patient: Patient, protected: list[str]) -> Finding:
    if protected:
        seen = f"There is no SIGNING_KEY, and these stacks are protected: {', '.join(protected)}."
        return patient.found("signing.missing", seen)
    return patient.found(
        "signing.ok", "No declared stack is protected, and there is no SIGNING_KEY."
    )


# --- Render -----------------------------------------------------------------------------------


def check_render(patient: Patient) -> Iterator[Finding]:
    """Fetch a picture as a browser does, in the alias's own stack."""
    chosen = _picture(patient)
    if chosen is None:
        yield patient.found("render.nothing", "There is nothing to render yet.")
        return
    name, protected = chosen
    config = patient.config
    # The original may be large; a stack makes of it what it makes.
    width = 64 if config.stack == DYNAMIC else None
    url = renders.render_url(
        config, config.stack, name, protected=protected, width=width, format="jpg"
    )
    shown = url.partition("?")[0]
    try:
        size = _fetch(patient, url)
    except api.RokkaError as error:
        yield patient.found(_render_code(error), f"{error}.", url=shown, base=config.render_base)
        return
    except (OSError, SyntaxError, ValueError, Picture.DecompressionBombError):
        seen = f"What came from {shown} is no picture."
        yield patient.found("render.broken", seen, url=shown)
        return
    yield patient.found("render.ok", f"A picture of {size[0]} × {size[1]} pixels came from {shown}")


def _fetch(patient: Patient, url: str) -> tuple[int, int]:
    timeout = (patient.seconds, 3 * patient.seconds)
    base = patient.config.render_base
    with api.RenderClient(base, timeout=timeout, retry=_RENDER_RETRY) as client:
        content = client.fetch(url, limit=_MOST_OF_RENDER)
    with Picture.open(io.BytesIO(content)) as picture:
        picture.load()
        return picture.size


def _render_code(error: api.RokkaError) -> str:
    if isinstance(error, api.NotFound):
        return "render.missing"
    if isinstance(error, api.NotAllowed):
        return "render.refused"
    if isinstance(error, api.RokkaConnectionError):
        return "render.unreachable"
    return "render.broken" if isinstance(error, api.UnexpectedAnswer) else "render.failed"


def _picture(patient: Patient) -> tuple[str, bool] | None:
    """The name of a picture that should be there, and whether it is protected."""
    rows = SourceImage.objects.live()
    rows = rows.filter(organization=patient.config.organization, mimetype__startswith="image/")
    newest = rows.order_by("-created", "-id").first()
    if newest is not None and _is_there(patient, newest.hash):
        return newest.file_name, newest.protected
    for image in patient.images:
        name = ImageName.build(image.hash, image.name, image.format or "jpg")
        return str(name), image.protected
    return None


def _is_there(patient: Patient, hash: str) -> bool:
    """Whether rokka has it; if it cannot be asked, a render tells."""
    if patient.closed:
        return True
    try:
        patient.probe.get_source_image(hash)
    except api.NotFound:
        return False
    return True


# --- Clock ------------------------------------------------------------------------------------


def check_clock(patient: Patient) -> Iterator[Finding]:
    """How far our clock is from rokka's."""
    # Without a key nothing was asked, so there is no answer.
    skew = patient.probe.skew if "probe" in vars(patient) else None
    if skew is None:
        yield patient.found("clock.skipped", "No answer of rokka's had a date.")
        return
    seconds = round(abs(skew.total_seconds()))
    way = "ahead of" if skew > timedelta(0) else "behind"
    config = patient.config
    is_timed = bool(config.api_token or (config.signing_key and config.signed_for))
    if abs(skew) <= _CLOCK_OFF:
        yield patient.found("clock.ok", f"Our clock is within {_CLOCK_OFF.seconds} s of rokka's.")
    elif abs(skew) > _CLOCK_WRONG and is_timed:
        yield patient.found("clock.wrong", f"Our clock is {seconds} s {way} rokka's.")
    else:
        yield patient.found("clock.off", f"Our clock is {seconds} s {way} rokka's.")


#: The checks of an alias, and whether each needs rokka's API.
CHECKS: tuple[tuple[str, Callable[[Patient], Iterator[Finding]], bool], ...] = (
    ("key", check_key, False),
    ("organization", check_organization, True),
    ("environment", check_environment, False),
    ("stacks", check_stacks, True),
    ("signing", check_signing, True),
    ("render", check_render, False),
    ("clock", check_clock, False),
)
