"""``rokka_copy``: a whole organization by batches, killed, interrupted, paused, refused, and resumed."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connections
from django.utils import timezone

from django_rokka import bulk
from django_rokka.bulk import copies
from django_rokka.conf import get_client, get_config
from django_rokka.emulator import Emulator, Fault
from django_rokka.emulator.state import Image
from django_rokka.models import BulkItem, BulkOperation, Claim, SourceImage, SyncRun
from tests.library.models import Article

pytestmark = pytest.mark.django_db(transaction=True)

USED, UNUSED = 250, 30
ROOT = Path(__file__).parents[1]
Kind, State, ItemState = BulkOperation.Kind, BulkOperation.State, BulkItem.State


def hash_of(number: int) -> str:
    return hashlib.sha1(str(number).encode()).hexdigest()  # noqa: S324


def image(number: int, organization: str = "acme") -> Image:
    hash = hash_of(number)
    return Image(
        organization=organization,
        hash=hash,
        short_hash=hash[:12],
        binary_hash=hash,
        created=1_700_000_000.0 + number,
        name=f"picture-{number}.jpg",
        mimetype="image/jpeg",
        format="jpg",
        size=1000,
        width=80,
        height=60,
        opaque=True,
        animated=False,
    )


def put(emulator: Emulator, *images: Image) -> None:
    with emulator.application.state.transaction() as db:
        for one in images:
            emulator.application.state.put(db, one)


@pytest.fixture(autouse=True)
def emulator(rokka_emulator: Emulator) -> Emulator:
    """An organization of which the mirror knows nothing yet; rows hold most of its pictures."""
    put(rokka_emulator, *map(image, range(USED + UNUSED)))
    rows = Article.objects.bulk_create(Article() for _ in range(USED))
    for number, row in enumerate(rows):
        row.photo = f"{hash_of(number)}/x.jpg"
    # Unlike a creation, it asks nothing about each picture.
    Article.objects.bulk_update(rows, ["photo"])
    return rokka_emulator


def hold_only(*numbers: int) -> None:
    """Let rows hold these pictures, and no others."""
    held = [f"{hash_of(number)}/x.jpg" for number in numbers]
    Article.objects.exclude(photo__in=held).update(photo="")


def copied(emulator: Emulator) -> int:
    """How many images the other organization has."""
    with emulator.application.state.reading() as db:
        found = db.execute("SELECT COUNT(*) FROM images WHERE organization = 'acme-stage'")
        return int(found.fetchone()[0])


def copy_calls(emulator: Emulator) -> list[int]:
    """The statuses of the copies so far."""
    return [call.status for call in emulator.calls if call.path.endswith("/copy")]


class Said:
    """What a command said, and its exit code."""

    def __init__(self, capsys: pytest.CaptureFixture[str], code: int, error: str = "") -> None:
        self.code, self.error = code, error
        self.out, self.err = capsys.readouterr()


Run = Callable[..., Said]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*options: str, to: str = "acme-stage") -> Said:
        try:
            call_command("rokka_copy", f"--to={to}", *options)
        except CommandError as error:
            return Said(capsys, error.returncode, str(error))
        except SystemExit as end:
            return Said(capsys, int(end.code or 0))
        return Said(capsys, 0)

    return run


def only_operation() -> BulkOperation:
    return BulkOperation.objects.get()


# --- Copying ------------------------------------------------------------------------------------


def test_the_pictures_of_rows_are_copied_by_the_hundred(run: Run, emulator: Emulator) -> None:
    said = run()

    assert said.code == 0
    assert said.out.startswith(
        "acme → acme-stage: 250 copied, 0 there already, 0 gone, 0 failed, in "
    )
    assert copy_calls(emulator) == [200] * 3
    assert copied(emulator) == USED
    assert only_operation().state == State.FINISHED


def test_pictures_that_no_row_holds_are_copied_on_demand(run: Run, emulator: Emulator) -> None:
    assert "250 copied" in run().out

    assert "30 copied, 250 there already" in run("--unused").out
    assert copied(emulator) == USED + UNUSED
    assert "280 copied, 0 there already" in run("--unused", "--overwrite").out


def test_the_mirror_is_synced_first_and_the_second_time_for_what_is_new(
    run: Run, emulator: Emulator
) -> None:
    run()
    put(emulator, image(1000))
    put(emulator, Image(**{**vars(image(1001)), "created": time.time()}))
    Article.objects.create(photo=f"{hash_of(1001)}/x.jpg")

    assert "1 copied, 250 there already" in run().out
    kinds = SyncRun.objects.order_by("pk").values_list("kind", "complete")
    assert list(kinds) == [("full", True), ("new", True)]


def test_the_mirror_can_be_taken_as_it_is(run: Run, emulator: Emulator) -> None:
    assert "0 copied, 0 there already" in run("--no-sync").out
    assert emulator.calls == []


def test_a_dry_run_counts_and_changes_nothing(run: Run, emulator: Emulator) -> None:
    call_command("rokka_sync")
    emulator.application.calls.clear()

    assert "250 pictures would be copied (nothing was written)" in run("--dry-run").out
    assert "280 pictures would be copied" in run("--dry-run", "--unused").out
    assert emulator.calls == []
    assert not BulkOperation.objects.exists()


def test_the_command_works_itself_with_celery_too(
    run: Run, emulator: Emulator, settings: Any
) -> None:
    settings.ROKKA = {alias: {**values, "CELERY": True} for alias, values in settings.ROKKA.items()}

    assert "250 copied" in run().out
    assert len(copy_calls(emulator)) == 3


# --- What is not copied -------------------------------------------------------------------------


def test_pictures_that_are_gone_are_counted_and_are_no_failure(
    run: Run, emulator: Emulator
) -> None:
    call_command("rokka_sync")
    for number in range(3):
        get_client(mirrors=False).delete_source_image(hash_of(number))

    said = run("--no-sync")

    assert said.code == 0
    assert "247 copied, 0 there already, 3 gone, 0 failed" in said.out
    assert said.err == ""


def test_a_picture_that_cannot_be_copied_is_a_failure_with_its_reason(
    run: Run, emulator: Emulator
) -> None:
    hold_only(6, 7, 8)
    # One call for all, then one for each.
    emulator.add_fault(Fault(status=500, path="/acme/copy"))
    emulator.add_fault(Fault(status=423, path=f"{hash_of(7)}/copy", body='{"message": "No."}'))

    said = run("--overwrite")

    assert said.code == 1
    assert "2 copied, 0 there already, 0 gone, 1 failed" in said.out
    assert said.err.startswith("1 failed: rokka refuses: No.")


def test_what_fails_for_every_picture_ends_the_copy_soon(run: Run, emulator: Emulator) -> None:
    emulator.add_fault(Fault(status=403, path="/copy$", times=10_000, body='{"message": "No."}'))

    said = run()

    assert said.code == 1
    assert "0 copied" in said.out
    assert "No." in said.err
    assert "--resume goes on from here" in said.err
    assert only_operation().state == State.STOPPED
    assert len(copy_calls(emulator)) < USED
    emulator.clear_faults()
    assert "250 copied" in run("--resume").out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--to=acme"], "'acme' is the organization of ROKKA['default'] itself"),
        (["--to=other"], "may not be copied to 'other', only to: 'acme-stage'; see DESTINATIONS"),
        (["--alias=nobody"], "There is no ROKKA['nobody']"),
        (["--overwrite"], "belong to the environment 'production'"),
        (["--resume"], "No copy to 'acme-stage' is unfinished"),
        (["--resume", "--unused"], "leave --unused and --overwrite out"),
        (["--resume", "--dry-run"], "not allowed with argument"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_done(
    run: Run, emulator: Emulator, options: list[str], message: str
) -> None:
    Claim.objects.create(organization="acme-stage", environment="production")

    said = run(*options)

    assert said.code == 1
    assert message in said.error
    assert emulator.calls == []


def test_destinations_and_read_only_are_respected(
    run: Run, emulator: Emulator, settings: Any
) -> None:
    default = settings.ROKKA["default"]
    settings.ROKKA = {**settings.ROKKA, "default": {**default, "DESTINATIONS": ["acme-backup"]}}
    assert "only to: 'acme-backup'" in run().error

    settings.ROKKA = {**settings.ROKKA, "default": {**default, "READ_ONLY": True}}
    assert "is READ_ONLY" in run().error

    settings.ROKKA = {**settings.ROKKA, "default": {**default, "API_KEY": ""}}
    assert "has no API_KEY" in run().error
    assert emulator.calls == []


def test_a_claim_of_another_environment_keeps_nothing_from_being_added(run: Run) -> None:
    Claim.objects.create(organization="acme-stage", environment="production")

    assert "250 copied" in run().out


def test_another_sync_that_is_under_way_is_an_exit_code(run: Run) -> None:
    SyncRun.objects.create(
        organization="acme", running="acme", kind="full", heartbeat=timezone.now()
    )

    said = run()

    assert (said.code, said.error[:40]) == (3, "A sync of 'acme' is under way: 0 images ")


# --- Interruptions ------------------------------------------------------------------------------


@pytest.fixture
def begun(
    emulator: Emulator, settings: Any, tmp_path: Path
) -> Callable[..., subprocess.Popen[str]]:
    """Start the command in a process of its own; its second batch is done at rokka, and gets no answer."""

    def begin(*options: str) -> subprocess.Popen[str]:
        emulator.add_fault(Fault("hang", path="/acme/copy", skip=1, seconds=20, after_work=True))
        databases = {name: connections[name].settings_dict["NAME"] for name in connections}
        (tmp_path / "copy_settings.py").write_text(
            f"from {os.environ['DJANGO_SETTINGS_MODULE']} import *\n"
            f"for alias, name in {databases!r}.items():\n"
            "    DATABASES[alias]['NAME'] = name\n"
            f"ROKKA = {json.loads(json.dumps(settings.ROKKA))!r}\n"
        )
        process = subprocess.Popen(  # noqa: S603 - our own command
            [sys.executable, "-m", "django", "rokka_copy", "--to=acme-stage", *options],
            env={
                **os.environ,
                "DJANGO_SETTINGS_MODULE": "copy_settings",
                "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}",
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        deadline = time.monotonic() + 60
        while copied(emulator) < 200:
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        return process

    return begin


def test_a_copy_that_was_killed_is_resumed_and_copies_nothing_twice_that_was_noted(
    begun: Callable[..., subprocess.Popen[str]], run: Run, emulator: Emulator
) -> None:
    process = begun()
    process.kill()
    process.communicate(timeout=30)
    assert bulk.progress(only_operation()).done == 100
    before = len(copy_calls(emulator))

    said = run()
    assert said.code == 1
    assert "is not finished: 150 of 250 images are left" in said.error
    assert "--resume goes on with it, --anew begins from the start" in said.error
    assert len(copy_calls(emulator)) == before

    said = run("--resume")

    assert said.code == 0
    # What the killed process had copied and not noted counts as copied.
    assert "250 copied, 0 there already, 0 gone, 0 failed" in said.out
    assert len(copy_calls(emulator)) - before in (2, 3)  # the call that hung may be logged late
    assert copied(emulator) == USED
    assert only_operation().state == State.FINISHED


def test_ctrl_c_stops_and_tells_how_to_go_on(
    begun: Callable[..., subprocess.Popen[str]], run: Run, emulator: Emulator
) -> None:
    process = begun()
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)

    assert process.returncode == 130
    assert "Interrupted. What was copied is noted; --resume goes on from here." in said
    assert only_operation().state == State.STOPPED
    assert "250 copied" in run("--resume").out
    assert copied(emulator) == USED


def test_an_unfinished_copy_can_be_dropped(
    begun: Callable[..., subprocess.Popen[str]], run: Run, emulator: Emulator
) -> None:
    process = begun()
    process.kill()
    process.communicate(timeout=30)

    assert "50 copied, 200 there already" in run("--anew").out
    states = BulkOperation.objects.order_by("pk").values_list("state", flat=True)
    assert list(states) == [State.STOPPED, State.FINISHED]
    # The last one is what counts.
    assert "No copy to 'acme-stage' is unfinished" in run("--resume").error


def test_trouble_at_rokka_ends_the_run_and_resuming_goes_on(
    run: Run, emulator: Emulator, settings: Any
) -> None:
    settings.ROKKA = {alias: {**values, "ATTEMPTS": 1} for alias, values in settings.ROKKA.items()}
    emulator.add_fault(Fault(status=500, path="/copy$", skip=1, times=4))

    said = run()

    assert said.code == 1
    assert "500" in said.error
    assert said.error.endswith("--resume goes on from here.")
    assert only_operation().state == State.STOPPED
    assert bulk.progress(only_operation()).done == 100
    assert "250 copied" in run("--resume").out


def test_a_long_pause_is_waited_for_and_told(run: Run, emulator: Emulator, settings: Any) -> None:
    settings.ROKKA = {
        alias: {**values, "RETRY_BUDGET": 0.1} for alias, values in settings.ROKKA.items()
    }
    until = time.time() + 2.5
    headers = {"X-RateLimit-Retry-After": str(until)}
    emulator.add_fault(Fault(status=429, path="/copy$", skip=1, headers=headers))

    said = run()

    assert "250 copied" in said.out
    moment = datetime.fromtimestamp(until, timezone.get_current_timezone())
    assert f"rokka asks for a pause until {moment:%Y-%m-%d %H:%M:%S}." in said.err
    assert time.time() >= until
    assert copy_calls(emulator) == [200, 429, 200, 200]


def test_a_pause_of_hours_is_waited_for_even_by_a_single_picture(emulator: Emulator) -> None:
    hold_only(0)
    call_command("rokka_sync")
    headers = {"X-RateLimit-Retry-After": str(time.time() + 3600)}
    emulator.add_fault(Fault(status=429, path="/copy$", headers=headers))
    operation = copies.begin(get_config(), "acme-stage")

    runs = copies.run(operation)
    assert next(runs) == copies.CopyRun(0, 1)
    paused = next(runs)
    assert paused.paused_until is not None
    assert paused.paused_until.timestamp() == pytest.approx(time.time() + 3600, abs=30)
    runs.close()

    operation.refresh_from_db()
    assert operation.state == State.STOPPED
    assert bulk.progress(operation).failed == 0


def test_who_is_stopped_in_a_pause_does_not_wait_for_its_end(
    emulator: Emulator,
) -> None:
    call_command("rokka_sync")
    headers = {"X-RateLimit-Retry-After": str(time.time() + 3600)}
    emulator.add_fault(Fault(status=429, path="/copy$", headers=headers))
    operation = copies.begin(get_config(), "acme-stage")

    started = time.monotonic()
    for run in copies.run(operation):
        if run.paused_until:
            bulk.stop(operation)

    assert time.monotonic() - started < 30
    assert copies.outcome(operation).left == USED


def test_a_process_waits_for_others_that_do_all_there_is_to_do(
    emulator: Emulator, settings: Any
) -> None:
    default = {**settings.ROKKA["default"], "CONCURRENCY": 1}
    settings.ROKKA = {**settings.ROKKA, "default": default}
    call_command("rokka_sync")
    operation = copies.begin(get_config(), "acme-stage")
    items = BulkItem.objects.filter(operation=operation).order_by("pk")
    other = [item.pk for item in items[:100]]
    items.filter(pk__in=other).update(state=ItemState.TAKEN, holder="another task")

    runs = copies.run(operation)
    assert next(runs) == copies.CopyRun(0, USED)
    assert next(runs) == copies.CopyRun(0, USED)
    while bulk.work(operation, "another task"):
        pass

    assert list(runs)[-1] == copies.CopyRun(USED, USED)
    assert copies.outcome(operation) == copies.Outcome(USED, 0, 0, 0, 0, ())


def test_an_editors_copy_is_none_of_ours(run: Run) -> None:
    call_command("rokka_sync")
    images = SourceImage.objects.filter(name__startswith="picture-1")
    bulk.create(Kind.COPY, images, options={"destination": "acme-stage", "overwrite": False})

    assert "is unfinished" in run("--resume").error
    assert "250 copied" in run().out
