from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from django_rokka.emulator import Emulator
from tests.pictures import picture


@pytest.fixture
def images(upload: Any) -> list[dict[str, Any]]:
    return [
        upload(
            picture((10 + number, 20), "PNG"),
            f"plan{number}.png",
            **{"meta_user[0]": f'{{"int:n": {number}, "array:tags": ["t{number % 2}"]}}'},
        )
        for number in range(6)
    ]


def walk(api: Any, **query: Any) -> Iterator[dict[str, Any]]:
    page = api("GET", "/sourceimages/acme", params=query).json()
    while True:
        yield from page["items"]
        if not page["links"].get("next"):
            return
        page = api("GET", page["links"]["next"]["href"]).json()


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ({"width": 12}, [2]),
        ({"width": "[12,13]"}, [3, 2]),
        ({"width": "{12,15}"}, [4, 3]),
        ({"width": "[14,}"}, [5, 4]),
        ({"width": "{,11]"}, [1, 0]),
        ({"name": "plan3.png"}, [3]),
        ({"name": "plan*", "width": 15}, [5]),
        ({"name": "pl%n*"}, []),
        ({"name_text": "PLAN4"}, [4]),
        ({"user:int:n": 3}, [3]),
        ({"user:int:n": "[4,}"}, [5, 4]),
        ({"user:array:tags": "t1"}, [5, 3, 1]),
        ({"user:int:n": 0, "width": 15, "operator": "or"}, [5, 0]),
        ({"created": "['2017-01-01T00:00:00Z',}", "height": 20}, [5, 4, 3, 2, 1, 0]),
        ({"created": "{,'2017-01-01T00:00:00Z'}"}, []),
        ({"format": "jpg"}, []),
    ],
)
def test_filters(api: Any, images: Any, query: dict[str, Any], numbers: list[int]) -> None:
    answer = api("GET", "/sourceimages/acme", params={"sort": "width desc", **query}).json()

    assert [item["width"] - 10 for item in answer["items"]] == numbers
    assert answer["total"] == len(numbers)


@pytest.mark.parametrize(
    "sort", ["created desc", "width", "height desc,width asc", "user:int:n desc"]
)
def test_pages_neither_repeat_nor_miss(api: Any, images: Any, sort: str) -> None:
    everything = api("GET", "/sourceimages/acme", params={"sort": sort}).json()["items"]

    assert list(walk(api, sort=sort, limit=2)) == everything
    cursor = api("GET", "/sourceimages/acme", params={"sort": sort, "limit": 1}).json()["cursor"]
    assert list(walk(api, sort=sort, limit=2, offset=cursor)) == everything[1:]


def test_a_cursor_is_not_shaken_by_changes(api: Any, images: Any, upload: Any) -> None:
    first = api("GET", "/sourceimages/acme", params={"sort": "width", "limit": 3}).json()
    api("DELETE", first["items"][0]["link"])
    upload(picture((5, 20), "PNG"), "before.png")

    rest = walk(api, sort="width", limit=3, offset=first["cursor"])

    assert [item["width"] for item in rest] == [13, 14, 15]


def test_links_and_cursor(api: Any, images: Any) -> None:
    lone = api("GET", "/sourceimages/acme").json()
    middle = api("GET", "/sourceimages/acme", params={"limit": 2, "offset": 2}).json()

    assert lone["links"] == {}
    assert lone["cursor"]
    assert "offset=4" in middle["links"]["next"]["href"]
    assert middle["links"]["prev"]["href"] == "/sourceimages/acme?limit=2"
    assert api("GET", "/sourceimages/acme", params={"limit": 0}).json()["items"] == []
    wrong = api(
        "GET", "/sourceimages/acme", params={"sort": "width,height", "offset": lone["cursor"]}
    )
    assert wrong.status_code == 400


def test_facets_count(api: Any, images: Any) -> None:
    answer = api(
        "GET", "/sourceimages/acme", params={"facets": "user:array:tags", "limit": 0}
    ).json()

    assert answer["facets"]["user:array:tags"] == [
        {"value": "t0", "count": 3},
        {"value": "t1", "count": 3},
    ]


def test_listings_lag_behind_and_get_does_not(api: Any, upload: Any, emulator: Emulator) -> None:
    emulator.listing_lag = 0.4
    image = upload()

    assert api("GET", "/sourceimages/acme").json()["total"] == 0
    assert api("GET", image["link"]).status_code == 200
    time.sleep(0.5)
    assert api("GET", "/sourceimages/acme").json()["total"] == 1
    api("DELETE", image["link"])
    assert api("GET", "/sourceimages/acme").json()["total"] == 1
    time.sleep(0.5)
    assert api("GET", "/sourceimages/acme").json()["total"] == 0
