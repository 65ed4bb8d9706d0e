"""Placeholders: what they show, what they cost, and what happens when there is none to be had."""

from __future__ import annotations

import base64
import io
import json
import logging
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
import responses
from celery import Celery
from celery.signals import before_task_publish
from django.core.files.base import ContentFile
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from PIL import Image, ImageDraw

from django_rokka import api, lifecycle, placeholders, rehash, sync, tasks
from django_rokka.changes import Change
from django_rokka.conf import get_client, get_config
from django_rokka.emulator import Emulator, Fault
from django_rokka.models import SourceImage
from tests.library.models import Article
from tests.pictures import HEIC, PDF, SVG, animation, halves, opened, picture

pytestmark = pytest.mark.django_db(transaction=True)

RED = "#c8102e"
COLUMNS = ("blurhash", "placeholder", "color", "placeholder_tries")


@pytest.fixture(autouse=True)
def emulator(rokka_emulator: Emulator, settings: Any) -> Emulator:
    configure(settings, ATTEMPTS=2, RETRY_BUDGET=2)
    return rokka_emulator


def configure(settings: Any, **values: Any) -> None:
    settings.ROKKA = {**settings.ROKKA, "default": {**settings.ROKKA["default"], **values}}


def upload(content: bytes = b"", name: str = "a.jpg", **options: Any) -> SourceImage:
    content = content or picture((80, 60), color=RED)
    hash = get_client().create_source_image(ContentFile(content, name=name), **options).hash
    return SourceImage.objects.get(hash=hash)


def filled(image: SourceImage) -> SourceImage:
    """The image after its task, with nothing left to do."""
    assert tasks.fill_placeholder("default", image.hash)
    image.refresh_from_db()
    return image


def run(**options: Any) -> placeholders.Run:
    *_, last = placeholders.fill_missing("default", **options)
    return last


def tiny(image: SourceImage) -> Image.Image:
    """The picture in the data URI, decoded."""
    head, _, data = image.placeholder.partition(",")
    assert head == "data:image/webp;base64"
    return opened(base64.b64decode(data, validate=True)).convert("RGB")


def rgb(color: str) -> tuple[int, ...]:
    assert re.fullmatch("#[0-9a-f]{6}", color), color
    return tuple(int(color[at : at + 2], 16) for at in (1, 3, 5))


def is_near(one: Any, other: Any, *, by: int = 12) -> bool:
    return all(abs(a - b) <= by for a, b in zip(one, other, strict=True))


def drawn(size: tuple[int, int], ground: Any, box: tuple[int, int, int, int], color: Any) -> bytes:
    image = Image.new("RGBA", size, ground)
    ImageDraw.Draw(image).rectangle(box, fill=color)
    target = io.BytesIO()
    image.save(target, "PNG")
    return target.getvalue()


# --- What they show ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "expected"),
    [((80, 60), (24, 18)), ((60, 80), (18, 24)), ((64, 64), (24, 24)), ((1, 1), (24, 24))],
)
def test_a_red_picture_is_red_and_has_its_ratio(
    size: tuple[int, int], expected: tuple[int, int]
) -> None:
    image = filled(upload(picture(size, color=RED)))

    assert is_near(rgb(image.color), rgb(RED))
    assert tiny(image).size == expected
    # The corners of a BlurHash are a little brighter.
    assert all(is_near(color, rgb(RED), by=24) for _, color in tiny(image).getcolors() or [])
    assert 6 <= len(image.blurhash) <= 166
    assert len(image.placeholder) < 1000
    assert image.placeholder_tries is None


def test_a_line_is_a_line() -> None:
    assert tiny(filled(upload(picture((2000, 10))))).size == (24, 1)


def test_a_placeholder_shows_what_is_where() -> None:
    small = tiny(filled(upload(halves((100, 50)), "a.png")))

    left: Any = small.getpixel((2, 5))
    right: Any = small.getpixel((21, 5))
    assert left[0] > 200 > 100 > left[2]
    assert right[2] > 200 > 100 > right[0]


def test_a_picture_of_many_colours_stays_small() -> None:
    image = filled(upload(noise(), "a.png"))

    assert len(image.placeholder) < 1000


def noise() -> bytes:
    raw = Image.effect_noise((8, 8), 120)
    picture = Image.merge("RGB", [raw, raw.rotate(90), raw.rotate(180)])
    target = io.BytesIO()
    picture.resize((640, 640), Image.Resampling.BICUBIC).save(target, "PNG")
    return target.getvalue()


def test_the_colour_is_the_most_frequent_one_and_no_average() -> None:
    content = drawn((90, 60), "#0000ff", (0, 0, 35, 60), "#ff0000")

    assert is_near(rgb(filled(upload(content, "a.png")).color), (0, 0, 255))


def test_a_transparent_picture_has_a_colour_alone(emulator: Emulator) -> None:
    content = drawn((90, 60), (0, 0, 0, 0), (40, 20, 60, 40), (0, 200, 0, 255))

    image = filled(upload(content, "a.png"))

    assert is_near(rgb(image.color), (0, 200, 0))
    assert (image.placeholder, image.blurhash, image.placeholder_tries) == ("", "", None)
    assert len(emulator.renders) == 1


def test_a_hole_too_small_to_be_seen_counts_as_rokka_says() -> None:
    image = filled(upload(drawn((4000, 40), RED, (2000, 20, 2000, 20), (0, 0, 0, 250)), "a.png"))

    assert image.opaque is False
    assert image.placeholder == ""


def test_transparency_that_rokka_does_not_tell_is_seen() -> None:
    image = upload(picture((80, 60), "PNG", (200, 0, 0, 128)), "a.png")
    SourceImage.objects.update(opaque=None)

    assert (filled(image).placeholder, rgb(image.color)[0] > 190) == ("", True)


def test_a_picture_of_nothing_has_nothing() -> None:
    image = filled(upload(picture((80, 60), "PNG", (200, 0, 0, 0)), "a.png"))

    assert [getattr(image, name) for name in COLUMNS] == ["", "", "", None]


def test_a_drawing_has_its_colour() -> None:
    image = filled(upload(SVG, "a.svg"))

    assert is_near(rgb(image.color), (0xCC, 0, 0))
    assert image.placeholder == ""  # any drawing may be transparent


@pytest.mark.parametrize(
    ("content", "name"), [(PDF, "a.pdf"), (HEIC, "a.heic"), (animation(), "a.gif")]
)
def test_what_rokka_renders_has_a_placeholder(content: bytes, name: str) -> None:
    image = filled(upload(content, name))

    assert tiny(image).size[0] > 0
    assert image.color


def test_a_file_that_is_no_picture_costs_no_call(emulator: Emulator) -> None:
    image = upload()
    SourceImage.objects.update(mimetype="application/msword")

    assert run().plain == 1
    image.refresh_from_db()
    assert (image.color, image.placeholder_tries) == ("", None)
    assert emulator.renders == []


# --- What they cost ---------------------------------------------------------------------------


def test_a_placeholder_costs_two_renders_and_no_call_of_the_api(emulator: Emulator) -> None:
    image = upload()
    emulator.application.calls.clear()

    filled(image)
    assert [call.status for call in emulator.renders] == [200, 200]
    assert [call.path.rpartition(".")[2] for call in emulator.renders] == ["png", "blur"]
    with CaptureQueriesContext(connection) as queries:
        filled(image)

    assert len(emulator.renders) == 2
    assert len(queries) == 2  # one is the test's own
    assert emulator.calls == []


def test_a_run_asks_for_a_portion_at_once_and_writes_each_picture(
    emulator: Emulator, django_assert_num_queries: Any
) -> None:
    for number in range(6):
        upload(picture(color=f"#{number * 40:02x}0000"))

    with django_assert_num_queries(
        1 + 2 + 6
    ):  # the count; a portion, and none after it; each picture
        assert (run().filled, len(emulator.renders)) == (6, 12)
    with django_assert_num_queries(2):
        assert run() == placeholders.Run(0)
    assert len(emulator.renders) == 12


def test_what_is_missing_is_found_by_its_index() -> None:
    SourceImage.objects.bulk_create(
        SourceImage(organization="acme", hash=f"{number:040x}", placeholder_tries=None)
        for number in range(3000)
    )
    upload()
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")

    query = placeholders._missing(get_config("default"))

    assert "rokka_image_no_placeholder" in query.filter(pk__gt=0).order_by("pk")[:500].explain()
    assert "rokka_image_no_placeholder" in query.values("pk").explain()


def test_a_run_can_be_limited_and_goes_on_where_it_was(emulator: Emulator) -> None:
    for number in range(5):
        upload(picture(color=f"#{number * 40:02x}0000"))

    assert (run(limit=2).filled, run(limit=2).total, placeholders.count_missing("default")) == (
        2,
        2,
        1,
    )
    assert tasks.fill_placeholders("default") == 0
    assert len(emulator.renders) == 10


def test_organizations_are_apart(emulator: Emulator) -> None:
    upload()
    get_client("stage").create_source_image(ContentFile(picture(), name="a.jpg"))

    assert run().filled == 1
    assert SourceImage.objects.without_placeholder().get().organization == "acme-stage"


# --- When there is none to be had -------------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=404, path="render", times=99),
        Fault(status=400, path="render", times=99),
        Fault(status=403, path="render", times=99),
        Fault(status=200, path="png", body="<html>", times=99),
        Fault(status=200, path="png", body="x" * 2_000_000, times=99),
        Fault(status=302, path="render", headers={"Location": "http://127.0.0.1:9/"}, times=99),
    ],
)
def test_a_picture_that_fails_is_not_tried_for_ever(emulator: Emulator, fault: Fault) -> None:
    image = upload()
    emulator.add_fault(fault)

    runs = [run() for _ in range(placeholders.TRIES + 2)]

    assert [one.failed for one in runs] == [1] * (placeholders.TRIES - 1) + [0] * 3
    assert [one.given_up for one in runs] == [0] * (placeholders.TRIES - 1) + [1, 0, 0]
    assert len(emulator.renders) == placeholders.TRIES
    image.refresh_from_db()
    assert [getattr(image, name) for name in COLUMNS] == ["", "", "", None]

    emulator.clear_faults()
    assert placeholders.try_again("default") == 1
    assert run().filled == 1
    assert placeholders.try_again("default") == 0


@pytest.mark.parametrize("body", ["", "LGF5", "L" * 2000, "not a hash of any kind", "é"])
def test_what_is_no_blurhash_is_not_kept(emulator: Emulator, body: str) -> None:
    image = upload()
    emulator.add_fault(Fault(status=200, path="blur", body=body))

    assert tasks.fill_placeholder("default", image.hash) is False
    image.refresh_from_db()
    assert (image.blurhash, image.placeholder, image.placeholder_tries) == ("", "", 1)
    assert image.color  # this much is known


def test_a_render_of_another_size_is_not_looked_at(caplog: pytest.LogCaptureFixture) -> None:
    image = upload()
    with responses.RequestsMock() as mock:  # the emulator never answers so
        mock.get(re.compile(r".*\.png"), body=picture((65, 10), "PNG"))
        assert placeholders.fill("default", image.hash) is False

    assert "a picture of 65 × 10 pixels came" in caplog.text
    assert filled(image).placeholder


@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=503, times=99),
        Fault(status=500, times=99),
        Fault(status=429, times=99),
        Fault(kind="cut", times=99),
    ],
)
def test_trouble_at_rokka_is_raised_by_the_task_and_not_held_against_the_picture(
    emulator: Emulator, fault: Fault
) -> None:
    image = upload()
    emulator.add_fault(fault)

    with pytest.raises(tuple(tasks.fill_placeholder.autoretry_for)):
        placeholders.fill("default", image.hash)
    emulator.clear_faults()

    image.refresh_from_db()
    assert image.placeholder_tries == 0
    assert filled(image).placeholder


def test_a_render_that_hangs_ends_in_time(emulator: Emulator, settings: Any) -> None:
    upload()
    emulator.add_fault(Fault(kind="hang", seconds=1, path="render"))
    configure(settings, TIMEOUT=(1, 0.2), ATTEMPTS=1)

    assert run().failed == 1
    configure(settings, TIMEOUT=60)
    assert run().filled == 1

    # The emulator notes the call that hung when it ends, which must not be in another test.
    ends = time.monotonic() + 10
    while len(emulator.renders) < 3 and time.monotonic() < ends:
        time.sleep(0.05)
    assert len(emulator.renders) == 3


def test_a_run_stops_when_rokka_is_in_trouble(emulator: Emulator, settings: Any) -> None:
    configure(settings, ATTEMPTS=1, CONCURRENCY=1)
    for number in range(12):
        upload(picture(color=f"#{number * 20:02x}0000"))
    emulator.add_fault(Fault(status=503, path="render", times=999))

    with pytest.raises(api.ServerError):
        run()

    assert 5 <= len(emulator.renders) <= 9
    assert list(SourceImage.objects.order_by("pk").values_list("placeholder_tries", flat=True)) == [
        1,
        *[0] * 11,
    ]
    emulator.clear_faults()
    assert run().filled == 12


def test_pictures_that_always_fail_do_not_stop_the_others_for_ever(
    emulator: Emulator, settings: Any
) -> None:
    configure(settings, ATTEMPTS=1, CONCURRENCY=1)
    bad = [upload(picture(color=f"#{number * 20:02x}0000")) for number in range(6)]
    good = upload(picture(color="#00ff00"))
    emulator.add_fault(
        Fault(status=504, path="|".join(image.hash for image in bad), method="GET", times=999)
    )

    for _ in range(2 * placeholders.TRIES + 1):
        with suppress(api.ServerError):
            run()

    good.refresh_from_db()
    assert good.placeholder


def test_a_limit_of_calls_stops_a_run_at_once(emulator: Emulator, settings: Any) -> None:
    configure(settings, ATTEMPTS=1, CONCURRENCY=1)
    upload()
    emulator.add_fault(Fault(status=429, path="render"))

    with pytest.raises(api.RateLimited):
        run()
    assert SourceImage.objects.get().placeholder_tries == 0


def test_a_protected_picture_needs_the_signing_key(
    emulator: Emulator, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="django_rokka")
    image = upload(protected=True)
    assert tasks.fill_placeholder("default", image.hash) is False
    assert "needs a signed URL" in caplog.text

    configure(settings, SIGNING_KEY=emulator.signing_key)

    assert filled(image).placeholder
    assert emulator.signing_key not in caplog.text
    assert "sig=" not in caplog.text


def test_a_deleted_picture_is_left_alone(emulator: Emulator) -> None:
    image = upload()
    assert lifecycle.delete_unreferenced(image)

    assert tasks.fill_placeholder("default", image.hash)
    assert run().seen == 0
    assert tasks.fill_placeholder("default", "f" * 40)  # one that was never there
    assert emulator.renders == []

    lifecycle.restore(image)
    assert filled(image).placeholder


def test_a_picture_that_was_deleted_behind_our_back_is_given_up(emulator: Emulator) -> None:
    image = upload()
    get_client(mirrors=False).delete_source_image(image.hash)

    assert tasks.fill_placeholder("default", image.hash) is False
    for _ in range(placeholders.TRIES):
        run()
    assert len(emulator.renders) == placeholders.TRIES


def test_a_picture_that_is_forgotten_meanwhile_is_no_error(emulator: Emulator) -> None:
    upload()
    runs = placeholders.fill_missing("default")
    emulator.add_fault(Fault(kind="hang", seconds=0.3, path="render"))
    with CaptureQueriesContext(connection):
        SourceImage.objects.all()._raw_delete(SourceImage.objects.db)

    assert [one.seen for one in runs][-1] == 0
    assert SourceImage.objects.count() == 0


def test_who_fails_late_does_not_overwrite_what_another_found(emulator: Emulator) -> None:
    image = upload()
    stale = SourceImage.objects.get()
    filled(image)
    failed = placeholders._Outcome(placeholders.Found(), api.NotFound("gone"))

    placeholders._record(stale, failed)

    before = image.placeholder
    image.refresh_from_db()
    assert (image.placeholder, image.placeholder_tries) == (before, None)


# --- What keeps them --------------------------------------------------------------------------


def values(image: SourceImage) -> list[Any]:
    return list(SourceImage.objects.values_list(*COLUMNS).get(pk=image.pk))


def test_a_sync_keeps_them_and_brings_images_that_have_none() -> None:
    image = filled(upload())
    kept = values(image)
    others = get_client(mirrors=False)
    new = others.create_source_image(ContentFile(picture(color="#fff"), name="b.jpg"))
    others.rename_source_image(image.hash, "renamed.jpg")
    SourceImage.objects.update(fingerprint=None)

    sync.sync_organization("default")
    get_client().get_source_image(image.hash)
    upload()

    image.refresh_from_db()
    assert (image.name, values(image)) == ("renamed.jpg", kept)
    found = SourceImage.objects.get(hash=new.hash)
    assert [getattr(found, name) for name in COLUMNS] == ["", "", "", 0]
    assert run().filled == 1


@pytest.mark.parametrize(
    "change",
    [
        Change("subject_area", {"x": 1, "y": 2, "width": 1, "height": 1}),
        Change("version", {"text": "x"}),
        Change("protected", True),
    ],
)
def test_another_hash_of_the_same_picture_keeps_them(emulator: Emulator, change: Change) -> None:
    article = Article.objects.create(photo=ContentFile(picture(color=RED), name="a.jpg"))
    image = filled(SourceImage.objects.get())

    new = rehash.change_image(image, change)

    assert (new.pk != image.pk, values(new)) == (True, values(image))
    assert len(emulator.renders) == 2
    article.refresh_from_db()
    assert article.photo.hash == new.hash


def test_a_row_of_its_own_keeps_them(emulator: Emulator) -> None:
    article = Article.objects.create(photo=ContentFile(picture(color=RED), name="a.jpg"))
    image = filled(SourceImage.objects.get())

    article.photo.set_subject_area(3, 4)

    new = SourceImage.objects.exclude(pk=image.pk).get()
    assert values(new) == values(image)


def test_a_crop_area_is_looked_at_afresh(emulator: Emulator) -> None:
    image = filled(upload())
    area = {"x": 0, "y": 0, "width": 20, "height": 20}

    new = rehash.change_image(image, Change("crop_area", area))

    assert values(new) == ["", "", "", 0]
    assert filled(new).placeholder


def test_what_was_given_up_is_tried_for_the_new_hash(emulator: Emulator) -> None:
    image = upload()
    SourceImage.objects.update(placeholder_tries=None)

    new = rehash.change_image(image, Change("version", {"text": "x"}))

    assert values(new) == ["", "", "", 0]


def test_a_picture_that_others_rehashed_keeps_them(emulator: Emulator) -> None:
    image = filled(upload())
    others = get_client(mirrors=False)
    new = others.set_dynamic_metadata(image.hash, api.SubjectArea(1, 2), delete_previous=True)

    found = rehash.resolve(image)

    assert found is not None
    assert (found.hash, values(found)) == (new.hash, values(image))


def test_other_bytes_keep_nothing() -> None:
    old, new = filled(upload()), upload(picture(color="#fff"))
    stranger = SourceImage.objects.create(organization="acme", hash="e" * 40)

    placeholders.carry_over(old, new)
    SourceImage.objects.filter(pk=old.pk).update(binary_hash="")
    old.refresh_from_db()
    placeholders.carry_over(old, stranger)

    assert [values(image) for image in (new, stranger)] == [["", "", "", 0]] * 2


def test_what_the_new_one_has_is_not_overwritten() -> None:
    old, new = filled(upload()), filled(upload(picture(color="#fff")))
    before = values(new)

    placeholders.carry_over(old, new)

    assert values(new) == before


# --- After an upload --------------------------------------------------------------------------


@pytest.fixture
def queued(celery_app: Celery) -> Iterator[list[list[Any]]]:
    """Tasks that were sent to the broker, which keeps them, with their arguments."""
    celery_app.conf.update(task_always_eager=False, broker_url="memory://")
    sent: list[list[Any]] = []

    def note(sender: str, body: Any, **kwargs: Any) -> None:
        sent.append([sender.rpartition(".")[2], *body[0]])

    before_task_publish.connect(note)
    yield sent
    before_task_publish.disconnect(note)


def test_without_celery_an_upload_makes_no_render(emulator: Emulator) -> None:
    article = Article.objects.create(photo=ContentFile(picture(), name="a.jpg"))

    assert emulator.renders == []
    assert tasks.fill_placeholders("default") == 0
    assert SourceImage.objects.get(hash=article.photo.hash).placeholder


def test_with_celery_a_new_image_has_its_placeholder_at_once(
    celery_app: Celery, settings: Any
) -> None:
    configure(settings, CELERY=True)

    Article.objects.create(photo=ContentFile(picture(), name="a.jpg"))

    assert SourceImage.objects.get().placeholder


def test_a_task_starts_after_the_commit_once_for_each_new_image(
    queued: list[list[Any]], settings: Any
) -> None:
    configure(settings, CELERY=True)
    red, blue = picture(color=RED), picture(color="#00f")
    with transaction.atomic():
        for content in (red, red, blue):
            Article.objects.create(photo=ContentFile(content, name="a.jpg"))
        assert queued == []
    hashes = {image.hash for image in SourceImage.objects.all()}
    get_client().create_source_images(
        [api.Upload(file=io.BytesIO(red)), api.Upload(file=io.BytesIO(red))]
    )

    assert len(hashes) == len(queued) == 2
    assert {tuple(task) for task in queued} == {
        ("fill_placeholder", "default", hash) for hash in hashes
    }
    assert json.dumps(queued).count("test-key") == 0


def test_with_the_setting_off_no_task_makes_placeholders_and_the_command_does(
    queued: list[list[Any]], settings: Any, emulator: Emulator, capsys: Any
) -> None:
    configure(settings, CELERY=True, PLACEHOLDERS=False)
    image = upload()
    area = {"x": 0, "y": 0, "width": 20, "height": 20}
    new = rehash.change_image(image, Change("crop_area", area))

    assert "fill_placeholder" not in {name for name, *_ in queued}
    assert tasks.fill_placeholder("default", new.hash)
    assert tasks.fill_placeholders("default") == 1
    assert emulator.renders == []
    call_command("rokka_placeholders", "--alias=default")
    assert "default: 1 placeholders made" in capsys.readouterr().out


def test_a_rolled_back_upload_starts_nothing(queued: list[list[Any]], settings: Any) -> None:
    configure(settings, CELERY=True)
    with transaction.atomic():
        Article.objects.create(photo=ContentFile(picture(), name="a.jpg"))
        transaction.set_rollback(True)

    assert queued == []


def test_a_crop_area_starts_a_task_too(queued: list[list[Any]], settings: Any) -> None:
    image = filled(upload())
    configure(settings, CELERY=True)
    area = {"x": 0, "y": 0, "width": 20, "height": 20}

    new = rehash.change_image(image, Change("crop_area", area))

    assert ["fill_placeholder", "default", new.hash] in queued


def test_an_error_stays_out_of_the_save(
    celery_app: Celery, settings: Any, emulator: Emulator
) -> None:
    configure(settings, CELERY=True)
    emulator.add_fault(Fault(status=404, path="render", times=9))

    article = Article.objects.create(photo=ContentFile(picture(), name="a.jpg"))

    assert article.pk
    assert SourceImage.objects.get().placeholder_tries == 1


def test_a_task_may_be_delivered_twice(celery_app: Celery, emulator: Emulator) -> None:
    image = upload()

    answers = [tasks.fill_placeholder.delay("default", image.hash).get() for _ in range(2)]

    assert answers == [True, True]
    assert len(emulator.renders) == 2


# --- The command ------------------------------------------------------------------------------


def test_the_command_reports(emulator: Emulator, capsys: Any) -> None:
    upload()
    upload(picture((80, 60), "PNG", (200, 0, 0, 128)), "b.png")
    gone = upload(picture(color="#fff"))
    emulator.add_fault(Fault(status=404, path=gone.hash, times=placeholders.TRIES))
    get_client("stage").create_source_image(ContentFile(picture(), name="a.jpg"))

    with pytest.raises(SystemExit) as ended:
        call_command("rokka_placeholders")
    said = capsys.readouterr()

    assert ended.value.code == 1
    assert re.fullmatch(
        r"default: 1 placeholders made, 1 images cannot have one, 1 failed, 0 given up, 1 still to do, "
        r"in \d+\.\d s\.\n"
        r"stage: 1 placeholders made, 0 images .*\n",
        said.out,
    )
    for _ in range(placeholders.TRIES - 1):
        with pytest.raises(SystemExit):
            call_command("rokka_placeholders")
    assert "0 failed, 1 given up, 0 still to do" in capsys.readouterr().out
    call_command("rokka_placeholders", "--again", "--alias=default")
    assert "default: 1 placeholders made, 1 images cannot" in capsys.readouterr().out


def test_the_command_can_be_limited(capsys: Any) -> None:
    for number in range(3):
        upload(picture(color=f"#{number * 40:02x}0000"))

    call_command("rokka_placeholders", "--limit=2", "--alias", "default")

    assert "default: 2 placeholders made" in capsys.readouterr().out
    assert placeholders.count_missing("default") == 1
    with pytest.raises(CommandError, match="0 is no number above 0"):
        call_command("rokka_placeholders", "--limit=0")


def test_the_command_says_when_rokka_is_in_trouble(emulator: Emulator, settings: Any) -> None:
    configure(settings, ATTEMPTS=1)
    upload()
    emulator.add_fault(Fault(status=429, path="render", body='{"message": "slow down"}'))

    with pytest.raises(CommandError, match="slow down The next run goes on from here"):
        call_command("rokka_placeholders", "--alias=default")
