from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import pytest
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.utils import timezone

from django_rokka.checks import MESSAGES, check_cleanup, check_deployment
from django_rokka.conf import SETTINGS, Config, config_of, get_client, get_config
from django_rokka.models import SourceImage

# Running the checks looks into the databases on some versions of Django.
pytestmark = pytest.mark.django_db(databases=["default", "other"])

GOOD = {"ORGANIZATION": "acme", "API_KEY": "s3cret-key"}


def ids(settings: Any, rokka: Any, **other: Any) -> list[str]:
    settings.ROKKA = rokka
    for name, value in other.items():
        setattr(settings, name, value)
    return [
        str(message.id) for message in checks.run_checks() if str(message.id).startswith("rokka.")
    ]


@pytest.mark.parametrize(
    ("rokka", "expected"),
    [
        ({"default": GOOD}, []),
        (None, ["rokka.E001"]),
        ({}, ["rokka.E001"]),
        ("acme", ["rokka.E001"]),
        ({"default": {"API_KEY": "x"}}, ["rokka.E002"]),
        ({"default": {**GOOD, "ORGANIZATION": ""}}, ["rokka.E002"]),
        ({"default": {**GOOD, "ORGANISATION": "x"}}, ["rokka.E003"]),
        ({"default": "acme"}, ["rokka.E004"]),
        ({"default": {**GOOD, "ORGANIZATION": "a/b"}}, ["rokka.E004"]),
        ({"default": {**GOOD, "API_KEY": 12345}}, ["rokka.E004"]),
        ({"default": {**GOOD, "WIDTHS": [320, "x"]}}, ["rokka.E004"]),
        ({"default": {**GOOD, "TIMEOUT": (1, 2, 3)}}, ["rokka.E004"]),
        ({"default": {**GOOD, "ATTEMPTS": 0}}, ["rokka.E004"]),
        ({"default": {**GOOD, "BASE_URL": "api.rokka.io"}}, ["rokka.E005"]),
        ({"default": {**GOOD, "RENDER_URL": ""}}, ["rokka.E005"]),
        (
            {
                "default": {**GOOD, "RENDER_URL": "https://img.example"},
                "b": {**GOOD, "ORGANIZATION": "b", "RENDER_URL": "https://img.example"},
            },
            ["rokka.E006"],
        ),
        ({"default": {"ORGANIZATION": "acme"}}, ["rokka.W001"]),
        ({"default": {**GOOD, "ENVIRONMENT": "Production Site"}}, ["rokka.E004"]),
        ({"default": {**GOOD, "UNREFERENCED": "never"}}, ["rokka.E004"]),
        ({"default": {**GOOD, "UNREFERENCED": 7}}, []),
        ({"default": {**GOOD, "READ_ONLY": "yes"}}, ["rokka.E004"]),
        ({"default": {**GOOD, "REFERENCES": "library.Page.hero"}}, ["rokka.E004"]),
        ({"default": {**GOOD, "ISOLATE": True}}, ["rokka.E007"]),
        ({"default": {**GOOD, "ISOLATE": True, "ENVIRONMENT": "production"}}, []),
        ({"default": {**GOOD, "REFERENCES": ["library.Page.nothing"]}}, ["rokka.E008"]),
        ({"default": {**GOOD, "RICH_TEXT": ["library.Page.data__x"]}}, ["rokka.E008"]),
        ({"default": {**GOOD, "SPOOL": "nowhere"}}, ["rokka.E009"]),
        ({"default": {**GOOD, "DATABASES": ["default", "nowhere"]}}, ["rokka.E009"]),
        ({"default": {**GOOD, "CELERY": True}}, []),
        ({"default": {**GOOD, "STACKS": {"hero": {"widths": [320], "sizes": "50vw"}}}}, []),
        ({"default": {**GOOD, "STACKS": {"hero": {"widths": None}}}}, ["rokka.E004"]),
        ({"default": {**GOOD, "STACKS": {"hero": {"wdiths": [320]}}}}, ["rokka.E004"]),
        ({"default": {**GOOD, "STACKS": {"hero/wide": {}}}}, ["rokka.E004"]),
        ({"default": {**GOOD, "SIGNED_FOR": -1}}, ["rokka.E004"]),
    ],
)
def test_a_mistake_is_a_check_with_an_id(settings: Any, rokka: Any, expected: list[str]) -> None:
    assert ids(settings, rokka) == expected


def test_a_check_names_what_is_close_and_what_is_known(settings: Any) -> None:
    settings.ROKKA = {"default": {**GOOD, "ORGANISATION": "x"}}

    message = next(item for item in checks.run_checks() if item.id == "rokka.E003")

    assert "'ORGANISATION'" in message.msg
    assert str(message.hint).startswith(
        "Did you mean 'ORGANIZATION'? Known keys: ORGANIZATION, API_KEY"
    )


@pytest.mark.parametrize(("alias", "expected"), [("default", []), ("x", ["rokka.E012"])])
def test_a_storage_names_an_alias(settings: Any, alias: str, expected: list[str]) -> None:
    storage = {"BACKEND": "django_rokka.storage.RokkaStorage", "OPTIONS": {"alias": alias}}
    storages = {**settings.STORAGES, "default": storage}

    assert ids(settings, {"default": GOOD}, STORAGES=storages) == expected


@pytest.mark.parametrize("app", ["django_cleanup", "django_cleanup.apps.CleanupSelectedConfig"])
def test_an_app_that_deletes_shared_files_is_warned_of(
    app: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The check reads the names alone, so the app need not be here.
    monkeypatch.setattr("django.conf.settings.INSTALLED_APPS", ["django_rokka", app])

    assert [message.id for message in check_cleanup()] == ["rokka.W002"]


def test_deploy_checks(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    good = {**GOOD, "ENVIRONMENT": "production"}
    settings.ROKKA = {"default": {**good, "BASE_URL": "http://x.example"}}
    assert [message.id for message in check_deployment()] == ["rokka.W020"]

    settings.ROKKA = {"default": GOOD}
    assert [message.id for message in check_deployment()] == ["rokka.W023"]
    settings.ROKKA = {"default": {**GOOD, "READ_ONLY": True}}
    assert check_deployment() == []
    settings.ROKKA = {"default": good}
    assert check_deployment() == []
    settings.IMAGE_SERVICE = "s3cret-key"
    assert [message.id for message in check_deployment()] == ["rokka.W021"]
    del settings.IMAGE_SERVICE

    settings.ROKKA = {"default": {**good, "API_KEY": "unused"}}
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "tests.settings")
    assert [message.id for message in check_deployment()] == ["rokka.W022"]
    # The settings may come from no file.
    monkeypatch.delenv("DJANGO_SETTINGS_MODULE")
    assert check_deployment() == []


def test_celery_that_is_missing(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("django_rokka.checks.find_spec", lambda name: None)

    assert ids(settings, {"default": {**GOOD, "CELERY": True}}) == ["rokka.E015"]


def test_pictures_that_are_gone_show_with_the_databases_checks() -> None:
    assert checks.run_checks(databases=["default"]) == []
    SourceImage.objects.create(
        organization="acme", hash="a" * 40, broken="gone", deleted=timezone.now()
    )

    (warning,) = checks.run_checks(databases=["default"])
    assert (warning.id, warning.msg) == (
        "rokka.W030",
        "Rows show 1 pictures that are gone at rokka.",
    )
    assert "rokka_broken" in str(warning.hint)
    assert checks.run_checks() == []


def test_no_check_repeats_the_key(settings: Any) -> None:
    settings.ROKKA = {
        "default": {**GOOD, "BASE_URL": "http://x", "TIMEOUT": "s"},
        "b": {"API_KEY": 99},
    }

    text = repr([*checks.run_checks(), *check_deployment()])

    assert "s3cret-key" not in text
    assert "99" not in text


def test_every_check_is_documented() -> None:
    assert all(key.startswith("rokka.") and value.endswith(".") for key, value in MESSAGES.items())


def test_settings_are_read_lazily_and_anew(settings: Any) -> None:
    settings.ROKKA = {"default": GOOD}
    first = get_client()
    assert get_client() is first

    settings.ROKKA = {"default": {**GOOD, "ORGANIZATION": "other", "TIMEOUT": 3}}

    assert get_client() is not first
    assert get_config().organization == "other"
    assert get_config().timeout == (3, 3)


def test_config_has_a_field_for_each_setting() -> None:
    assert {"alias", *(key.lower() for key in SETTINGS)} == set(Config.__dataclass_fields__)


def test_the_key_is_not_in_a_configs_repr(settings: Any) -> None:
    settings.ROKKA = {"default": {**GOOD, "API_TOKEN": "t0ken"}}

    assert "s3cret-key" not in repr(get_config())
    assert "t0ken" not in repr(get_config())


def test_misuse_raises_with_advice(settings: Any) -> None:
    settings.ROKKA = {"default": {"ORGANIZATION": "acme"}, "bad": {"X": 1}}

    with pytest.raises(ImproperlyConfigured, match="known aliases: 'default', 'bad'"):
        get_config("nope")
    with pytest.raises(ImproperlyConfigured, match="unknown key 'X'"):
        get_config("bad")
    with pytest.raises(ImproperlyConfigured, match="has no API_KEY"):
        get_client()
    with pytest.raises(ImproperlyConfigured, match="organization 'other'; known aliases:"):
        config_of("other")


def _client_id(_: int) -> tuple[int, int]:
    return os.getpid(), id(get_client())


def test_a_forked_worker_gets_a_client_of_its_own(settings: Any) -> None:
    settings.ROKKA = {"default": GOOD}
    mine = _client_id(0)
    with ProcessPoolExecutor(1, mp_context=get_context("fork")) as pool:
        theirs = pool.submit(_client_id, 0).result()

    assert theirs[0] != mine[0]
    assert theirs[1] != mine[1]
