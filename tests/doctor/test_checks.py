"""Each check of `rokka_doctor`: what it finds where all is well, and what where something is not."""

from __future__ import annotations

import json
import os
import re
import socket
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone as django_timezone

from django_rokka import api, stacks
from django_rokka.bulk import operations
from django_rokka.conf import get_client, get_config
from django_rokka.doctor import examine, hidden
from django_rokka.doctor.probe import Probe, within
from django_rokka.emulator import Emulator, Fault
from django_rokka.models import BulkOperation, Claim, Lock, SourceImage, SyncRun
from django_rokka.storage import RokkaStorage
from tests.library.models import Snapshot
from tests.pictures import picture

from .conftest import KEY, SIGNING_KEY, Doctor, article

pytestmark = pytest.mark.django_db(transaction=True)

Configure = Callable[..., None]


def test_a_site_that_is_well(site: Emulator, doctor: Doctor) -> None:
    article()
    before = len(site.calls)

    report = doctor()

    assert report.code == 0
    assert report.codes() == [
        "settings.ok",
        "schema.ok",
        "key.ok",
        "organization.ok",
        "environment.ok",
        "stacks.ok",
        "signing.ok",
        "render.ok",
        "clock.ok",
        "broker.unused",
        "worker.unused",
        "schedule.ok",
        "references.ok",
    ]
    assert report.document["counts"] == {"ok": 11, "skipped": 2, "warning": 0, "error": 0}
    assert {call.method for call in site.calls[before:]} == {"GET"}
    assert "A picture of 64 × 48 pixels" in report.one("render.ok")["seen"]


def test_it_can_be_read(site: Emulator, capsys: Any, configure: Configure) -> None:
    configure(API_KEY="wrong")
    with pytest.raises(SystemExit) as ended:
        call_command("rokka_doctor", "--timeout=2")

    said = capsys.readouterr().out
    assert ended.value.code == 1
    assert "error    key (default): rokka does not take the key: " in said
    assert "\n         → Put a valid key into ROKKA['default']['API_KEY']; " in said
    assert said.endswith(" 1 error.\n")


def test_warnings_fail_only_if_they_shall(doctor: Doctor, configure: Configure) -> None:
    configure(API_KEY=None)

    assert doctor().code == 0
    assert doctor("--fail-on=warning").code == 1


def test_an_unknown_alias_is_told(site: Emulator) -> None:
    with pytest.raises(CommandError, match="no alias 'other'; known: default"):
        call_command("rokka_doctor", "--alias=other")


def test_only_the_aliases_that_are_named(doctor: Doctor, configure: Configure) -> None:
    configure("second", API_KEY="wrong")

    assert doctor("--alias=default").code == 0
    assert doctor().codes("key", alias="second") == ["key.refused"]
    # One look for an organization, whatever aliases there are.
    assert len(doctor().codes("references")) == 1


def test_mistakes_in_the_settings_do_not_keep_it_from_looking(
    doctor: Doctor, configure: Configure
) -> None:
    configure(TIMEOT=3)

    report = doctor()

    assert report.codes("settings") == ["settings.error", "settings.warning"][:1]
    assert "'TIMEOT'" in report.one("settings.error")["seen"]
    assert "TIMEOUT" in report.one("settings.error")["advice"]
    assert report.codes("key") == []
    assert report.codes("schema") == ["schema.ok"]
    assert report.code == 1


# --- Key --------------------------------------------------------------------------------------


def test_no_key_is_a_warning(doctor: Doctor, configure: Configure) -> None:
    configure(API_KEY=None)

    report = doctor()

    assert report.codes("key") == ["key.missing"]
    assert report.codes("organization") == ["organization.skipped"]
    assert report.codes("clock") == ["clock.skipped"]
    assert report.codes("settings") == ["settings.warning"]


def test_a_wrong_key(doctor: Doctor, configure: Configure) -> None:
    configure(API_KEY="wrong")

    report = doctor()

    assert report.codes("key") == ["key.refused"]
    assert report.codes("stacks") == ["stacks.skipped"]
    # Also an answer that says no has a date: a token fails by a wrong clock.
    assert report.codes("clock") == ["clock.ok"]


def test_a_key_of_another_organization(
    site: Emulator, doctor: Doctor, configure: Configure
) -> None:
    site.add_key("elsewhere", {"acme-stage": "write"})
    configure(API_KEY="elsewhere")

    assert doctor().codes("key") == ["key.forbidden"]


@pytest.mark.parametrize(
    ("roles", "read_only", "expected"),
    [
        (["read"], False, "key.read_only"),
        (["read"], True, "key.ok"),
        (["read", "write"], False, "key.ok"),
        (["sourceimages:write"], False, "key.ok"),
        (["upload"], False, "key.ok"),
    ],
)
def test_what_the_user_may_do(
    site: Emulator, doctor: Doctor, configure: Configure, roles: list[str], read_only: bool,
    expected: str,
) -> None:  # fmt: skip
    configure(READ_ONLY=read_only)
    answers = {"/user$": {"user_id": "u-1"}, "/memberships/u-1$": {"roles": roles}}
    for path, body in answers.items():
        site.add_fault(Fault(status=200, path=path, body=json.dumps(body)))

    report = doctor()

    assert report.codes("key") == [expected]
    assert ", ".join(roles) in report.one(expected)["seen"]


def test_what_rokka_does_not_say_is_not_guessed(
    site: Emulator, doctor: Doctor, configure: Configure
) -> None:
    site.add_key("reader", {"acme": "read"})
    configure(API_KEY="reader")

    assert "rokka does not say" in doctor().one("key.ok")["seen"]


# --- Organization, environment ----------------------------------------------------------------


def test_an_unknown_organization(doctor: Doctor, configure: Configure) -> None:
    configure(ORGANIZATION="acmee")

    report = doctor()

    assert report.codes("organization") == ["organization.unknown"]
    assert report.codes("stacks") == ["stacks.skipped"]


def test_limits_are_told(site: Emulator, doctor: Doctor) -> None:
    body = {"name": "acme", "limits": {"space_in_bytes": {"value": 1000}, "traffic": {"value": None}}}  # fmt: skip
    site.add_fault(Fault(status=200, path="^/organizations/acme$", body=json.dumps(body)))

    assert "space_in_bytes 1000, traffic unlimited" in doctor().one("organization.ok")["seen"]


def test_an_organization_that_the_key_may_not_read(site: Emulator, doctor: Doctor) -> None:
    site.add_fault(Fault(status=403, path="^/organizations/acme$"))

    assert doctor().codes("organization") == ["organization.hidden"]


def test_a_copy_of_another_sites_database(doctor: Doctor, configure: Configure) -> None:
    assert "No environment" in doctor().one("environment.ok")["seen"]
    configure(ENVIRONMENT="staging")
    assert "No environment" in doctor().one("environment.ok")["seen"]
    assert not Claim.objects.exists()

    claim = Claim.objects.create(organization="acme", environment="production")
    assert "'production'" in doctor().one("environment.foreign")["seen"]
    Claim.objects.filter(pk=claim.pk).update(environment="staging")
    assert "'staging'" in doctor().one("environment.ok")["seen"]
    configure(READ_ONLY=True)
    assert "READ_ONLY" in doctor().one("environment.ok")["seen"]


# --- Stacks and signatures --------------------------------------------------------------------

HERO = {"operations": [{"name": "resize", "options": {"width": 40}}]}


def push(name: str, width: int = 40, **options: Any) -> None:
    operation = api.StackOperation("resize", {"width": width})
    get_client().save_stack(
        api.Stack(name=name, operations=(operation,), options=options), overwrite=True
    )


def test_stacks_that_differ(doctor: Doctor, configure: Configure) -> None:
    mistaken = {"operations": [{"name": "resizze", "options": {}}]}
    configure(STACKS={"hero": HERO, "card": HERO, "bad": mistaken}, STACK="hero")
    push("card", 20)

    report = doctor()

    assert report.codes("stacks") == ["stacks.missing", "stacks.changed", "stacks.mistaken"]
    assert report.one("stacks.missing")["seen"].endswith("hero, bad.")
    assert report.one("stacks.missing")["advice"].endswith("rokka_stacks push --alias=default")
    assert report.code == 1


def test_a_default_stack_that_nobody_has(doctor: Doctor, configure: Configure) -> None:
    configure(STACK="hero")
    article()

    report = doctor()

    assert report.codes("stacks") == ["stacks.default"]
    assert report.codes("render") == ["render.missing"]

    push("hero")
    report = doctor()
    assert report.codes("stacks") == ["stacks.ok"]
    assert "40 × 30" in report.one("render.ok")["seen"]


def test_a_stack_that_is_not_declared_any_more(doctor: Doctor, configure: Configure) -> None:
    configure(STACKS={"hero": HERO, "card": HERO}, STACK="hero")
    assert len(list(stacks.push())) == 2
    configure(STACKS={"hero": HERO})

    assert doctor().codes("stacks") == ["stacks.obsolete"]


def test_signing_keys_are_compared_and_not_shown(
    site: Emulator, doctor: Doctor, configure: Configure
) -> None:
    protected = {**HERO, "options": {"protected": True}}
    configure(STACKS={"hero": protected}, STACK="hero")
    push("hero", protected=True)
    article()

    report = doctor()
    assert report.codes("signing") == ["signing.missing"]
    assert report.codes("render") == ["render.refused"]

    configure(SIGNING_KEY=SIGNING_KEY)
    report = doctor()
    assert report.codes("signing") == ["signing.wrong"]
    assert report.codes("render") == ["render.refused"]
    assert SIGNING_KEY not in report.text
    assert site.signing_key not in report.text

    configure(SIGNING_KEY=site.signing_key)
    report = doctor()
    assert report.codes("signing") == ["signing.ok"]
    assert report.codes("render") == ["render.ok"]
    assert site.signing_key not in report.text

    site.add_fault(Fault(status=200, path="^/organizations/acme$", body='{"name": "acme"}'))
    assert doctor().codes("signing") == ["signing.unknown"]


def test_a_stack_that_is_protected_without_our_knowing(
    doctor: Doctor, configure: Configure
) -> None:
    configure(STACK="hero")
    push("hero", protected=True)

    assert doctor().codes("signing")[0] == "signing.undeclared"


# --- Render -----------------------------------------------------------------------------------


def test_nothing_to_render_is_no_failure(doctor: Doctor) -> None:
    report = doctor()

    assert report.codes("render") == ["render.nothing"]
    assert report.code == 0


def test_a_picture_of_the_listing_where_the_mirror_has_none(doctor: Doctor) -> None:
    article()
    SourceImage.objects.all().delete()

    assert doctor().codes("render") == ["render.ok"]
    assert not SourceImage.objects.exists()


def test_a_picture_that_is_gone_is_not_what_is_rendered(site: Emulator, doctor: Doctor) -> None:
    article("old")
    article("new", "#ff0000")
    newest = SourceImage.objects.order_by("-created", "-id").first()
    assert newest is not None
    get_client(mirrors=False).delete_source_image(newest.hash)

    assert doctor().codes("render") == ["render.ok"]


def test_renders_that_are_none(site: Emulator, doctor: Doctor, configure: Configure) -> None:
    article()
    site.add_fault(Fault(kind="replace", path="^/render/", body="no picture"))
    assert doctor().codes("render") == ["render.broken"]
    site.add_fault(Fault(status=500, path="^/render/", times=9))
    assert doctor().codes("render") == ["render.failed"]
    site.clear_faults()
    configure(RENDER_URL="http://127.0.0.1:9/{organization}")
    report = doctor()
    assert report.codes("render") == ["render.unreachable"]
    assert "http://127.0.0.1:9/acme" in report.one("render.unreachable")["advice"]


# --- Clock ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "token", "expected"),
    [(10, False, "ok"), (-120, False, "off"), (600, False, "off"), (600, True, "wrong")],
)
def test_a_clock_that_is_off(
    site: Emulator, doctor: Doctor, configure: Configure, seconds: int, token: bool, expected: str
) -> None:
    if token:
        site.add_token("a-token", {"acme": "write"})
        configure(API_KEY=None, API_TOKEN="a-token")
    theirs = datetime.now(timezone.utc) + timedelta(seconds=seconds)
    # The last call with a date that counts.
    site.add_fault(
        Fault(
            status=200,
            path="^/stacks/acme$",
            body='{"items": []}',
            headers={"Date": format_datetime(theirs, usegmt=True)},
        )
    )

    report = doctor()

    assert report.codes("clock") == [f"clock.{expected}"]
    if expected != "ok":
        assert ("behind" if seconds > 0 else "ahead of") in report.one(f"clock.{expected}")["seen"]


# --- Bounds, and breaking ---------------------------------------------------------------------


@pytest.fixture
def silent() -> Iterator[str]:
    """A host that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def test_a_dead_host_costs_seconds(doctor: Doctor, configure: Configure, silent: str) -> None:
    article()
    configure(BASE_URL=silent, RENDER_URL=f"{silent}/{{organization}}")
    started = time.monotonic()

    report = doctor("--timeout=0.3")

    assert time.monotonic() - started < 15
    assert report.codes("key") == ["key.unreachable"]
    assert report.codes("organization") == ["organization.skipped"]
    assert report.codes("render") == ["render.unreachable"]
    assert report.code == 1


def test_a_host_that_dies_meanwhile(site: Emulator, doctor: Doctor) -> None:
    site.add_fault(Fault(kind="cut", path="^/organizations/acme$", times=9))

    report = doctor()

    assert report.codes("organization") == ["organization.failed"]
    assert report.codes("stacks") == ["stacks.skipped"]
    assert report.codes("references") == ["references.ok"]


@pytest.mark.parametrize("path", ["^/stackoptions", "^/organizations/", "^/stacks/acme$"])
def test_one_that_breaks_does_not_end_the_others(site: Emulator, doctor: Doctor, path: str) -> None:
    site.add_fault(Fault(status=200, path=path, body="<html>"))

    report = doctor()

    failed = [code for code in report.codes() if code.endswith(".failed")]
    assert len(failed) == 1
    assert report.codes("references") == ["references.ok"]


def test_a_mistake_of_a_check_itself_is_a_finding(doctor: Doctor) -> None:
    connection.cursor().execute("ALTER TABLE rokka_syncrun RENAME TO rokka_hidden")
    try:
        report = doctor()
    finally:
        connection.cursor().execute("ALTER TABLE rokka_hidden RENAME TO rokka_syncrun")

    assert report.codes("schedule") == ["schedule.failed"]
    # Databases call it by different names.
    assert re.match(r"\w+Error: .*rokka_syncrun", report.one("schedule.failed")["seen"])
    assert "\n" not in report.one("schedule.failed")["seen"]
    assert report.codes("references") == ["references.ok"]
    assert "rokka_syncrun" in report.one("schema.tables")["seen"]


def test_what_hangs_is_given_up() -> None:
    with pytest.raises(TimeoutError, match=r"no answer in 0\.1 seconds"):
        within(0.1, lambda: time.sleep(1))
    assert within(5, lambda: 3) == 3
    with pytest.raises(KeyError):
        within(5, lambda: {}["x"])


def test_a_probe_changes_nothing(site: Emulator) -> None:
    probe = Probe(get_config())

    with pytest.raises(api.Refused):
        probe.delete_source_image("a" * 40)

    assert site.calls == []


@pytest.mark.parametrize("key", [KEY, "wrong-key-that-nobody-must-see"])
def test_no_key_shows(
    site: Emulator, doctor: Doctor, configure: Configure, capsys: Any, key: str
) -> None:
    configure(API_KEY=key, SIGNING_KEY=SIGNING_KEY, STACKS={"hero": HERO})
    article() if key == KEY else None
    echo = json.dumps({"code": 500, "message": f"{key} {SIGNING_KEY}"})
    for path in ("", "^/organizations", "^/stacks", "^/render/"):
        site.add_fault(Fault(status=500, path=path, body=echo))
        text = doctor().text
        assert key not in text
        assert SIGNING_KEY not in text
        site.clear_faults()
        site.add_fault(Fault(status=500, path=path, body=echo))
        with pytest.raises(SystemExit):
            call_command("rokka_doctor", "--timeout=2")
        said = capsys.readouterr().out
        assert key not in said
        assert SIGNING_KEY not in said
        site.clear_faults()
    site.add_fault(Fault(status=500, path="", body=echo))
    assert not [item for item in examine(seconds=2) if SIGNING_KEY in repr(item)]


def test_longer_secrets_are_hidden_first() -> None:
    assert hidden({"", "abc", "abcdef"}, "xabcdefx abc") == "x…x …"


# --- Schema -----------------------------------------------------------------------------------


def test_a_migration_that_is_not_applied(doctor: Doctor) -> None:
    ((app, last),) = MigrationLoader(connection).graph.leaf_nodes("rokka")
    recorder = MigrationRecorder(connection)
    recorder.record_unapplied(app, last)
    try:
        report = doctor()
    finally:
        recorder.record_applied(app, last)

    assert f"rokka.{last}" in report.one("schema.unapplied")["seen"]
    assert report.one("schema.unapplied")["advice"].endswith("migrate --database=default")
    assert report.code == 1


# --- Schedule ---------------------------------------------------------------------------------


def test_a_schedule_that_does_not_run(
    site: Emulator, doctor: Doctor, settings: Any, tmp_path: Any
) -> None:
    long_ago = django_timezone.now() - timedelta(days=8)
    SyncRun.objects.create(organization="acme", kind="full", complete=True, finished=long_ago)
    row = article()
    image = row.photo.source_image
    operation = operations.create("lock", SourceImage.objects.filter(pk=image.pk))
    BulkOperation.objects.filter(pk=operation.pk).update(heartbeat=long_ago, state="running")
    SourceImage.objects.filter(pk=image.pk).update(unreferenced=long_ago)
    file = ContentFile(picture(), name="a.jpg")
    waiting = RokkaStorage().defer("a.jpg", file)
    rows = Snapshot.objects.bulk_create([Snapshot(photo=waiting), Snapshot(photo=waiting)])
    Snapshot.objects.filter(pk=rows[0].pk).update(photo="deferred/x/lost.jpg")
    path = tmp_path / "media" / waiting
    os.utime(path, (long_ago.timestamp(), long_ago.timestamp()))

    report = doctor()

    assert report.codes("schedule") == [
        "schedule.sync",
        "schedule.uploads",
        "schedule.lost",
        "schedule.deletions",
        "schedule.bulk",
    ]
    assert "deferred/x/lost.jpg" in report.one("schedule.lost")["seen"]
    assert SourceImage.objects.get(pk=image.pk).locked is False
    assert not Lock.objects.exists()
