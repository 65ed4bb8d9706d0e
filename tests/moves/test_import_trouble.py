"""Trouble at rokka, and runs that are stopped: what is done is known, and the next run does the rest."""

from __future__ import annotations

import re
import threading
import time
from itertools import pairwise
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from django_rokka import api
from django_rokka.conf import get_client
from django_rokka.emulator import Emulator, Fault
from django_rokka.models import MovedFile, SourceImage
from django_rokka.moves import Import, columns, move
from tests.library.models import Attachment

from .living_site import (
    FILE,
    PHOTO,
    at_rokka,
    binary_hash,
    calls,
    content,
    names,
    path,
    put,
    row,
    run,
    uploads,
    with_settings,
)

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("emulator")]


def rows(count: int) -> None:
    for number in range(count):
        row(f"{number}.jpg", content(number))


def all_are_right() -> bool:
    """Whether every row shows its own picture from rokka."""
    return [at_rokka(name) for name in names()] == [
        binary_hash(content(number)) for number in range(len(names()))
    ]


def limited(seconds: float) -> dict[str, Any]:
    headers = {"X-RateLimit-Retry-After": str(time.time() + seconds)}
    return {"status": 429, "method": "POST", "headers": headers}


# --- Trouble at rokka -------------------------------------------------------------------------


def test_all_threads_wait_as_long_as_rokka_asks(
    emulator: Emulator, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    rows(8)
    emulator.add_fault(Fault(**limited(1.5), skip=2))
    with with_settings(settings, ATTEMPTS=1):
        done = [time.monotonic() for _ in move(Import(columns(PHOTO)[0]), workers=2)]

    assert (uploads(emulator), all_are_right()) == (8, True)
    assert "rokka asks for fewer calls: going on in" in caplog.text
    gaps = [later - earlier for earlier, later in pairwise(done)]
    assert max(gaps) > 1
    # The beginning, the two that had passed, and what the other thread had under way.
    assert gaps.index(max(gaps)) <= 3


def test_the_command_goes_on_after_a_pause(emulator: Emulator, settings: Any) -> None:
    rows(3)
    emulator.add_fault(Fault(status=429, method="POST", headers={}))

    code, said = run("rokka_import", "--workers=2")

    assert (code, "3 files moved" in said, all_are_right()) == (0, True, True)


def test_a_run_that_is_left_while_it_waits_sends_nothing_more(
    emulator: Emulator, settings: Any
) -> None:
    rows(3)
    emulator.add_fault(Fault(**limited(600), skip=1))

    with with_settings(settings, ATTEMPTS=1):
        runs = move(Import(columns(PHOTO)[0]), workers=1)
        next(runs), next(runs)
        while not any(call.status == 429 for call in emulator.calls):
            time.sleep(0.01)
        before = time.monotonic()
        runs.close()

    assert time.monotonic() - before < 5
    assert uploads(emulator) == 1
    assert run("rokka_import")[0] == 0
    assert (uploads(emulator), all_are_right()) == (3, True)


@pytest.mark.parametrize("fault", [{"status": 500}, {"kind": "cut"}])
def test_a_run_ends_when_rokka_is_down_and_the_next_one_does_the_rest(
    emulator: Emulator, settings: Any, fault: dict[str, Any]
) -> None:
    rows(9)
    # Files that are missing, in between, say nothing about rokka.
    for number in (3, 5):
        path(f"{number}.jpg").unlink()
    emulator.add_fault(Fault(**fault, method="POST", skip=2, times=100))

    with with_settings(settings, ATTEMPTS=1), pytest.raises(CommandError) as error:
        run("rokka_import", "--workers=1")

    assert "The next run goes on from here." in str(error.value)
    assert error.value.returncode == 1
    posts = sum(call.method == "POST" for call in emulator.calls)
    assert posts in (7, 8)
    emulator.clear_faults()
    for number in (3, 5):
        put(f"{number}.jpg", content(number))

    assert run("rokka_import")[0] == 0
    assert (uploads(emulator), all_are_right()) == (9, True)


def test_some_trouble_with_successes_between_does_not_end_a_run(
    emulator: Emulator, settings: Any
) -> None:
    rows(12)
    # Every other call: a fault counts those that the faults before it let pass.
    for skip in range(6):
        emulator.add_fault(Fault(status=500, method="POST", skip=skip))

    with with_settings(settings, ATTEMPTS=1):
        code, said = run("rokka_import", "--workers=1")

    assert (code, " 6 failed" in said, "6 files moved" in said) == (1, True, True)
    assert set(MovedFile.objects.exclude(reason="").values_list("reason", flat=True)) == {"trouble"}
    assert run("rokka_import")[0] == 0
    assert (uploads(emulator), all_are_right()) == (12, True)


def test_an_upload_whose_answer_is_lost_is_not_sent_again_by_the_next_run(
    emulator: Emulator, settings: Any
) -> None:
    rows(2)
    emulator.add_fault(Fault(kind="cut", after_work=True, method="POST"))

    with with_settings(settings, ATTEMPTS=1):
        assert run("rokka_import", "--workers=1")[0] == 1
    posts = sum(call.method == "POST" for call in emulator.calls)
    code, said = run("rokka_import")

    assert (code, "1 were there already" in said) == (0, True)
    assert (posts, sum(call.method == "POST" for call in emulator.calls)) == (2, 2)
    assert all_are_right()


@pytest.mark.parametrize(
    ("status", "message"), [(401, "→ 401"), (403, "→ 403")], ids=["key", "rights"]
)
def test_what_stands_against_every_file_ends_the_run_at_once(
    emulator: Emulator, status: int, message: str
) -> None:
    rows(8)
    emulator.add_fault(Fault(status=status, method="POST", times=100))

    with pytest.raises(CommandError, match=message):
        run("rokka_import", "--workers=1")

    assert sum(call.method == "POST" for call in emulator.calls) <= 3
    assert names() == [f"{number}.jpg" for number in range(8)]
    assert not MovedFile.objects.exclude(state=MovedFile.State.BEGUN).exists()


def test_a_read_only_site_and_a_wrong_key_say_so_in_a_dry_run_as_well(
    emulator: Emulator, settings: Any
) -> None:
    rows(1)

    with with_settings(settings, API_KEY="wrong"):
        with pytest.raises(CommandError, match="Nothing was changed"):
            run("rokka_import", "--dry-run")
        with pytest.raises(CommandError, match="The next run goes on"):
            run("rokka_import")
    with with_settings(settings, READ_ONLY=True), pytest.raises(CommandError, match="READ_ONLY"):
        run("rokka_import")

    assert names() == ["0.jpg"]


# --- Runs that are stopped --------------------------------------------------------------------


def test_a_kill_between_upload_and_row_costs_a_question_and_no_upload(emulator: Emulator) -> None:
    rows(3)
    mover = Import(columns(PHOTO)[0])
    jobs = list(mover.jobs())
    mover.settle(jobs[0], mover.carry(jobs[0]))
    mover.carry(jobs[1])  # and here it is killed
    assert MovedFile.objects.filter(state=MovedFile.State.BEGUN).count() == 2

    code, said = run("rokka_import")

    assert (code, "2 files moved" in said, "1 were there already" in said) == (0, True, True)
    assert (uploads(emulator), all_are_right()) == (3, True)


def test_an_image_that_was_deleted_since_is_not_taken_for_the_file(emulator: Emulator) -> None:
    rows(1)
    mover = Import(columns(PHOTO)[0])
    (job,) = mover.jobs()
    image = mover.carry(job).image
    get_client(mirrors=False).delete_source_image(image.hash)

    assert run("rokka_import")[0] == 0

    assert all_are_right()
    assert SourceImage.objects.get().deleted is None


def test_an_image_that_is_deleted_between_upload_and_row_comes_back() -> None:
    rows(1)
    mover = Import(columns(PHOTO)[0])
    (job,) = mover.jobs()
    carried = mover.carry(job)
    get_client().get_source_image(carried.image.hash)
    get_client().delete_source_image(carried.image.hash)

    assert mover.settle(job, carried).rows == 1

    assert all_are_right()


def test_two_runs_at_the_same_time_harm_nothing(emulator: Emulator) -> None:
    rows(6)
    one, two = (move(Import(columns(PHOTO)[0]), workers=2) for _ in range(2))

    # In turns: each has files under way that the other one moves.
    next(one), next(two)
    for _ in zip(one, two, strict=False):
        pass
    for runs in (one, two):
        for _ in runs:
            pass

    assert all_are_right()
    assert run("rokka_import")[0] == 0
    assert not MovedFile.objects.exclude(state=MovedFile.State.DONE).exists()


def test_no_thread_and_no_connection_is_left(emulator: Emulator) -> None:
    rows(4)
    before = threading.active_count()

    run("rokka_import", "--workers=4")

    assert threading.active_count() == before


# --- Looking before ---------------------------------------------------------------------------


def test_a_dry_run_counts_weighs_and_estimates_and_changes_nothing(emulator: Emulator) -> None:
    rows(3)
    row("0.jpg"), row("gone.jpg"), row("empty.jpg", b""), row(f"{'a' * 40}/x.jpg", content(1))
    size = sum(len(content(number)) for number in range(3))
    before = names()

    code, said = run("rokka_import", "--dry-run", "--workers=2", "--mbits=0.001")

    assert code == 0
    assert "5 files of 6 rows" in said
    assert "(the largest " in said
    assert "3 cannot be moved" in said
    for reason in ("the file is missing", "the file is empty", "the name looks like one"):
        assert f"    1: {reason}" in said
    seconds = int(re.search(r"About (\d+) s with 2 at a time, at 0.001 Mbit/s", said).group(1))
    assert seconds == pytest.approx(size * 8 / 1000, abs=2)
    assert names() == before
    assert not MovedFile.objects.exists()
    assert {call.method for call in emulator.calls} == {"GET"}
    assert calls(emulator) == 2


def test_a_dry_run_after_a_kill_knows_what_is_left(emulator: Emulator) -> None:
    rows(3)
    runs = move(Import(columns(PHOTO)[0]), workers=1)
    next(runs), next(runs)
    runs.close()

    assert "2 files of 2 rows" in run("rokka_import", "--dry-run")[1]


def test_progress_has_rate_and_time_left(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    rows(3)
    monkeypatch.setattr("django_rokka.management.progress._EVERY", 0)

    call_command("rokka_import", PHOTO, "--workers=1")

    lines = capsys.readouterr().err.splitlines()
    assert [line.partition(",")[0] for line in lines] == [
        f"{seen} of 3 rows" for seen in (0, 1, 2, 3, 3)
    ]
    assert all(re.search(r", [\d.]+/s(, \d\d:\d\d left)?$", line) for line in lines)
    assert lines[1].endswith(" left")


def test_workers_are_bounded_and_respected(emulator: Emulator, settings: Any) -> None:
    rows(6)
    with with_settings(settings, POOL_SIZE=3, CONCURRENCY=2):
        for workers in ("0", "4", "-1"):
            with pytest.raises(CommandError, match=r"from 1 to 3, got .*raise ROKKA"):
                run("rokka_import", f"--workers={workers}")
        emulator.add_fault(Fault(kind="hang", seconds=0.2, method="POST", times=6))
        before = time.monotonic()
        run("rokka_import")
        # Six of them, two at a time.
        assert time.monotonic() - before > 0.6
        assert "with 2 at a time" in run("rokka_import", "--dry-run")[1]


def test_several_columns_are_moved_one_after_the_other(emulator: Emulator) -> None:
    rows(2)
    row("a.jpg", content(5), Attachment, "file")

    code, said = run("rokka_import", FILE)

    assert (code, f"{PHOTO}: 2 files" in said, f"{FILE}: 1 files" in said) == (0, True, True)


def test_an_error_that_stands_against_all_leaves_no_pool_behind(emulator: Emulator) -> None:
    rows(4)
    emulator.add_fault(Fault(status=401, method="POST", times=10))
    before = threading.active_count()

    with pytest.raises(api.BadCredentials):
        list(move(Import(columns(PHOTO)[0]), workers=4))

    assert threading.active_count() == before
