"""Keys, tokens and signing keys: not in logs, reprs, tracebacks with locals, pickles, tasks, rows or pages."""

from __future__ import annotations

import copy
import io
import json
import logging
import pickle
import pprint
import socket
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest
from django.apps import apps
from django.core import mail, serializers
from django.core.exceptions import ImproperlyConfigured
from django.core.files.base import ContentFile
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import path
from django.utils.log import AdminEmailHandler

from django_rokka import api, bulk, checks, sync, tasks
from django_rokka.api import RenderClient, RenderURL, RokkaClient, sign_url
from django_rokka.api.secret import Secret
from django_rokka.api.signing import sign_again, sign_with_options
from django_rokka.conf import get_client, get_config
from django_rokka.emulator import Emulator, Fault
from django_rokka.models import BulkOperation, SourceImage
from django_rokka.storage import RokkaStorage
from example_project.gallery.models import Photo
from tests.pictures import picture

from . import secrets
from .secrets import API_KEY, SIGNING_KEY, TOKEN, leaks, raised, reports

if TYPE_CHECKING:
    from celery import Celery

pytestmark = pytest.mark.django_db(transaction=True)

HASH = "a" * 40
#: A server that says what it was sent.
ECHO = json.dumps({"code": 403, "message": f"no account has the key {API_KEY}"})


def _save(**options: Any) -> str:
    return RokkaStorage(**options).save("dog.jpg", ContentFile(picture()))


def _fail(*args: Any, **kwargs: Any) -> None:
    raise socket.gaierror(-2, "Name or service not known")


class Interrupted(BaseException):
    """What a signal raises wherever the program is, such as Celery's time limit."""


def _interrupt(*args: Any, **kwargs: Any) -> None:
    raise Interrupted


# --- Tracebacks with locals -----------------------------------------------------------------------

#: What goes wrong at rokka, and the error that tells of it.
FAULTS = {
    "500": (Fault(status=500), api.ServerError),
    "no such key": (Fault(status=403, body=ECHO), api.NotAllowed),
    "too many": (Fault(status=429, body=ECHO), api.RateLimited),
    "redirect": (
        Fault(status=302, headers={"Location": "http://127.0.0.1:9/"}),
        api.UnexpectedAnswer,
    ),
    "cut": (Fault(kind="cut"), api.RokkaConnectionError),
    "timeout": (Fault(kind="hang", seconds=10), api.RokkaTimeout),
    "no JSON": (Fault(status=200, body="{"), api.UnexpectedAnswer),
    "another shape": (Fault(status=200, body='["x"]'), api.UnexpectedAnswer),
    "a page": (
        Fault(status=200, body="<html>", headers={"Content-Type": "text/html"}),
        api.UnexpectedAnswer,
    ),
    "half": (Fault(kind="truncate"), api.RokkaConnectionError),
}


@pytest.mark.parametrize("alias", ["default", "token"])
@pytest.mark.parametrize("name", FAULTS)
def test_no_trouble_at_rokka_shows_a_key(
    site: Emulator, settings: Any, name: str, alias: str
) -> None:
    fault, expected = FAULTS[name]
    if alias == "token":
        fault = replace(fault, body=fault.body.replace(API_KEY, TOKEN))
    if name == "timeout":
        changed = {**settings.ROKKA[alias], "TIMEOUT": 0.2}
        settings.ROKKA = {**settings.ROKKA, alias: changed}
    site.add_fault(fault)

    for debug in (True, False):
        settings.DEBUG = debug
        error = raised(lambda: _save(alias=alias))
        site.clear_faults()
        site.add_fault(fault)

        assert type(error) is expected
        assert leaks(reports(error)) == []


@pytest.mark.parametrize(
    ("place", "function", "expected"),
    [
        ("socket.getaddrinfo", _fail, api.RokkaConnectionError),
        ("urllib3.connection.HTTPConnection.connect", _interrupt, Interrupted),
        ("socket.socket.sendall", _interrupt, Interrupted),
        ("http.client.HTTPResponse.begin", _interrupt, Interrupted),
        ("http.client.HTTPConnection.putheader", _interrupt, Interrupted),
    ],
)
def test_no_trouble_on_the_way_shows_a_key(
    site: Emulator, monkeypatch: Any, settings: Any, place: str, function: Any, expected: Any
) -> None:
    settings.DEBUG = True
    get_client().close()
    with monkeypatch.context() as patch:
        patch.setattr(place, function)
        errors = [raised(get_client(alias).get_organization) for alias in ("default", "token")]

    assert {type(error) for error in errors} == {expected}
    for error in errors:
        assert "frame" in reports(error)
        assert leaks(reports(error)) == []


def _signed(until: Any = None, url: str = "https://acme.rokka.io/dynamic/c1b110.jpg") -> str:
    return sign_url(url, SIGNING_KEY, until=until)


#: Calls with arguments that are refused, by where the key is when that is found out.
WRONG: dict[str, Callable[[], object]] = {
    "a dead host": lambda: get_client("dead").get_source_image(HASH),
    "a hash": lambda: get_client().get_source_image("../x"),
    "a list's filter": lambda: get_client().list_source_images(filters={"name": "\ud800"}),
    "a client's organization": lambda: RokkaClient("no!", api_key=API_KEY, token=TOKEN),
    "a client's base URL": lambda: RokkaClient("acme", api_key=API_KEY, base_url="ftp://x"),
    "a key with its line end": lambda: RokkaClient("acme", api_key=f"{API_KEY}\n"),
    "a key with letters": lambda: RokkaClient("acme", api_key=f"{API_KEY}é"),
    "a token in two lines": lambda: RokkaClient("acme", token=f"{TOKEN}\r\nX: y"),
    "a time limit": lambda: _signed(datetime(2050, 1, 1)),
    "a signed URL": lambda: _signed(url="https://acme.rokka.io/x"),
    "a URL signed again": lambda: sign_again("https://acme.rokka.io/x", SIGNING_KEY, base=""),
    "options": lambda: sign_with_options("https://acme.rokka.io/x", SIGNING_KEY, {"a": "b"}),
    "a URL as a value": lambda: RenderURL.parse("https://acme.rokka.io/dynamic/c1b110.jpg").sign(
        SIGNING_KEY, until=datetime(2050, 1, 1)
    ),
    "a file": lambda: get_client().create_source_image(io.BytesIO()),
}


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("debug", [True, False])
def test_no_wrong_argument_shows_a_key(
    site: Emulator, settings: Any, name: str, debug: bool
) -> None:
    settings.DEBUG = debug

    error = raised(WRONG[name])

    assert isinstance(error, api.RokkaError), reports(error)
    assert leaks(reports(error)) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"NOPE": 1},
        {"ORGANIZATION": "no!"},
        {"ORGANIZATION": ""},
        {"BASE_URL": "http://["},
        {"RENDER_URL": 7},
        {"STACKS": {"x": {"operations": 3}}},
        {"API_KEY": f"{API_KEY}\n"},
        {"API_TOKEN": [TOKEN]},
        {"SIGNING_KEY": SIGNING_KEY.encode()},
    ],
)
def test_no_wrong_setting_shows_a_key(
    site: Emulator, settings: Any, changes: dict[str, Any]
) -> None:
    settings.DEBUG = True
    settings.ROKKA = {"default": {**settings.ROKKA["default"], "API_TOKEN": TOKEN, **changes}}

    error = raised(get_client)
    messages = checks.check_settings()

    assert type(error) is ImproperlyConfigured
    assert leaks(reports(error)) == []
    assert messages
    assert leaks(repr(messages)) == []


# --- Django's own page and mail -------------------------------------------------------------------


def failing(request: HttpRequest) -> HttpResponse:
    """A view that uploads."""
    return HttpResponse(_save(alias=request.GET["alias"]))


urlpatterns = [path("fail/", failing)]


@pytest.fixture
def mailed(settings: Any) -> Iterator[None]:
    """Errors of views are mailed with everything that Django has to say of them."""
    settings.ADMINS = [("Admin", "admin@example.com")] if _names_admins() else ["admin@example.com"]
    handler = AdminEmailHandler(include_html=True)
    logger = logging.getLogger("django.request")
    logger.addHandler(handler)
    yield
    logger.removeHandler(handler)


def _names_admins() -> bool:
    import django

    return django.VERSION < (6, 0)


@pytest.mark.urls(__name__)
# Of Django 6.1: that a default mailer is not configured.
@pytest.mark.filterwarnings("ignore:.*default mailer")
@pytest.mark.parametrize("alias", ["default", "dead"])
def test_neither_the_debug_page_nor_a_mail_shows_a_key(
    site: Emulator, mailed: None, settings: Any, alias: str
) -> None:
    browser = Client(raise_request_exception=False)
    site.add_fault(Fault(status=500, times=2, body=ECHO))

    settings.DEBUG = True
    page = browser.get("/fail/", {"alias": alias}).content.decode()
    settings.DEBUG = False
    browser.get("/fail/", {"alias": alias})

    texts = [page]
    for message in mail.outbox:
        texts += [str(message.body), *(str(each[0]) for each in getattr(message, "alternatives"))]  # noqa: B009
    # The page, our two mails as text and as HTML, and the one that Django sends by itself.
    assert len(texts) == 6
    assert all("transport.py" in text for text in texts)
    assert "SIGNING_KEY" in page
    assert [leaks(text) for text in texts] == [[]] * 6


# --- Reprs, copies, pickles -----------------------------------------------------------------------


def _holders() -> list[Any]:
    client = get_client()
    transport: Any = client._transport
    config = get_config()
    return [
        client,
        get_client(mirrors=False),
        get_client("token"),
        transport,
        transport._session,
        transport._session.auth,
        config,
        config.api_key,
        get_config("token"),
        client.get_organization(),
        RokkaStorage(),
        RenderClient(config.render_base),
        RokkaClient("acme", api_key=API_KEY, token=TOKEN),
    ]


def test_no_repr_shows_a_key_however_deep_one_looks(site: Emulator) -> None:
    seen: set[int] = set()

    def look(value: Any, depth: int) -> Iterator[str]:
        if depth == 0 or id(value) in seen or isinstance(value, type(copy)):
            return
        seen.add(id(value))
        yield repr(value)
        inner = value if isinstance(value, dict) else getattr(value, "__dict__", {})
        for each in [*inner.values(), *(value if isinstance(value, list | tuple) else ())]:
            yield from look(each, depth - 1)

    texts = [text for holder in _holders() for text in look(holder, 5)]
    texts += [pprint.pformat(vars(holder)) for holder in _holders() if hasattr(holder, "__dict__")]
    texts += [repr(asdict(get_config())), repr(asdict(get_client()._transport._session.auth))]  # type: ignore[call-overload]

    assert len(texts) > 100
    assert leaks(" ".join(texts)) == []


def _pickled(holder: Any) -> str | None:
    try:
        return pickle.dumps(holder).decode("latin-1")
    except TypeError:
        return None


def test_no_pickle_has_a_key(site: Emulator) -> None:
    pickled = [_pickled(holder) for holder in _holders()]

    assert sum(data is None for data in pickled) > 5
    assert leaks(" ".join(filter(None, pickled))) == []
    photo = Photo(title="x")
    photo.image.save("dog.jpg", ContentFile(picture()))
    assert leaks(pickle.dumps([photo, photo.image.source_image]).decode("latin-1")) == []


def test_a_secret_is_a_text_all_the_same() -> None:
    secret = Secret(API_KEY)

    assert f"{secret}" == str(secret) == secret == API_KEY
    assert copy.copy(secret) is copy.deepcopy(secret) is secret
    assert (repr(secret), repr(Secret(None)), bool(Secret(None))) == ("'…'", "''", False)


# --- Logs, rows, pages ----------------------------------------------------------------------------


def _trouble(site: Emulator, photo: Photo) -> None:
    """One call of every kind that fails, each logged by somebody."""
    hash = photo.image.hash
    for fault, _ in FAULTS.values():
        if fault.kind != "hang":
            site.add_fault(fault)
            raised(lambda: get_client().get_source_image(hash))
            site.clear_faults()
    raised(lambda: get_client("dead").get_source_image(hash))
    raised(lambda: tasks.sync_organization("dead"))
    site.add_fault(Fault(status=403, body=ECHO))
    operation = bulk.create(BulkOperation.Kind.LOCK, SourceImage.objects.all())
    bulk.start(operation)
    site.add_fault(Fault(status=403, body=ECHO, method="DELETE", times=5))
    photo.delete()


def _work(site: Emulator) -> Photo:
    """What a site does all day."""
    photo = Photo(title="Dog", alt="A dog")
    photo.image.save("dog.jpg", ContentFile(picture()))
    photo.image.source_image.set_subject_area(1, 1)
    photo.refresh_from_db()
    photo.image.source_image.set_protected(True)
    photo.refresh_from_db()
    assert "sig=" in photo.image.render_url("dynamic", width=10)
    sync.sync_organization("default")
    get_client("token").list_source_images()
    return photo


def test_no_log_has_a_key(site: Emulator, caplog: Any, admin_client: Client) -> None:
    for name in ["", *logging.root.manager.loggerDict]:
        caplog.set_level(logging.DEBUG, logger=name)

    photo = _work(site)
    _trouble(site, photo)
    admin_client.get("/admin/nowhere/")

    errors = [record.exc_info[1] for record in caplog.records if record.exc_info]
    texts = [f"{record.getMessage()} {record.__dict__!r}" for record in caplog.records]
    texts += [reports(error) for error in errors]
    names = {record.name.split(".")[0] for record in caplog.records}
    assert {"django_rokka", "urllib3", "django"} <= names
    assert leaks(" ".join(texts)) == []


def test_no_row_and_no_page_has_a_key(site: Emulator, admin_client: Client) -> None:
    _trouble(site, _work(site))

    models = [
        *apps.get_app_config("rokka").get_models(),
        *apps.get_app_config("admin").get_models(),
    ]
    rows = [row for model in models for row in model._base_manager.all()]
    pages = [
        admin_client.get(f"/admin/rokka/{row._meta.model_name}/{row.pk}/change/")
        for row in rows
        if row._meta.model_name in ("sourceimage", "bulkoperation", "syncrun")
    ]
    assert {type(row).__name__ for row in rows} >= {"SourceImage", "BulkOperation", "SyncRun"}
    assert len(pages) > 4
    assert leaks(serializers.serialize("json", rows)) == []
    assert leaks(" ".join(page.content.decode() for page in pages)) == []


def test_no_task_and_no_result_has_a_key(site: Emulator, settings: Any, celery_app: Celery) -> None:
    from celery.signals import before_task_publish

    sent: list[str] = []

    def note(**message: Any) -> None:
        sent.append(repr(message))

    settings.ROKKA = {**settings.ROKKA, "default": {**settings.ROKKA["default"], "CELERY": True}}
    celery_app.conf.update(
        task_always_eager=False,
        broker_url="memory://",
        result_backend="cache+memory://",
        task_store_eager_result=True,
    )
    before_task_publish.connect(note)
    try:
        _work(site).delete()
        tasks.sync_organization.delay("default")
    finally:
        before_task_publish.disconnect(note)
    celery_app.conf.update(task_always_eager=True, task_eager_propagates=False)
    site.add_fault(Fault(status=403, body=ECHO, times=10))
    results = [
        tasks.sync_organization.delay("default"),
        tasks.set_protected.delay("default", HASH, True),
        tasks.sync_organization.delay("dead"),
    ]

    kept = [celery_app.backend.get(celery_app.backend.get_key_for_task(one.id)) for one in results]
    assert len(sent) >= 2
    assert ['"FAILURE"' in str(one) for one in kept] == [True] * 3
    assert leaks(" ".join([*sent, *map(repr, kept)])) == []


def test_the_mask_is_what_hides_the_keys(monkeypatch: Any) -> None:
    """The other tests look in the right places: without it they would find what they look for."""
    monkeypatch.setattr(Secret, "__repr__", str.__repr__)

    error = raised(WRONG["a client's organization"])

    assert leaks(reports(error)) != []
    assert leaks(secrets.TOKEN[:20]) != []
