"""The calls on source images, on the wire. S1-S17 are the numbers of the API document's table."""

from __future__ import annotations

import hashlib
import json
from functools import partial
from typing import Any

import pytest

from django_rokka.emulator import Emulator

from . import shapes
from .wire import Header, Wire, fits, refused, tiny_picture

NOBODY = "0" * 40


# --- Credentials ----------------------------------------------------------------------------


def test_a_wrong_key_is_a_403_and_a_wrong_token_a_401(wire: Wire) -> None:
    for credentials, status in (
        (Header("X-Nothing", ""), 403),
        (Header("Api-Key", "0" * 32), 403),
        (Header("Authorization", "Bearer nonsense"), 401),
    ):
        answer = wire("GET", wire.at(), auth=credentials)
        assert answer.status_code == status
        assert fits(answer.json(), shapes.UNKNOWN_USER)["code"] == status


def test_the_name_of_the_header_has_no_case(wire: Wire) -> None:
    answer = wire("GET", wire.at(), auth=Header("API-KEY", wire.key))

    assert answer.status_code == 200


def test_who_may_not_is_told_so_without_invalid_authentication(
    emulated: Wire, rokka_emulator: Emulator
) -> None:
    rokka_emulator.add_key("reader", {emulated.organization: "read"})

    answer = emulated("POST", emulated.at(NOBODY, "restore"), auth=Header("Api-Key", "reader"))

    refused(answer, 403)


# --- Upload, get, list, download ------------------------------------------------------------


def test_create(wire: Wire) -> None:
    """S2."""
    content = tiny_picture()

    answer = wire.upload(content, meta_user={"title": "A"}, options={"protected": False})

    # Official clients take both.
    assert answer.status_code in (200, 201)
    body = fits(answer.json(), shapes.UPLOADED)
    (image,) = body["items"]
    assert body["total"] == 1
    assert image["binary_hash"] == hashlib.sha1(content).hexdigest()  # noqa: S324
    assert image["hash"].startswith(image["short_hash"])
    assert (image["name"], image["format"]) == (f"{wire.prefix}.png", "png")
    assert (image["mimetype"], image["size"]) == ("image/png", len(content))
    assert (image["width"], image["height"], image["opaque"]) == (16, 12, True)
    assert image["organization"] == wire.organization
    assert image["link"] == wire.at(image["hash"])
    assert image["user_metadata"] == {"title": "A"}


def test_create_with_dynamic_metadata_by_its_name(wire: Wire) -> None:
    """S2, as the PHP and the Go client send it."""
    area = {"x": 1, "y": 2, "width": 3, "height": 4}

    image = wire.image(data={"meta_dynamic[0][subject_area]": json.dumps(area)})

    assert fits(image, shapes.IMAGE)["dynamic_metadata"] == {"subject_area": area}


def test_create_with_another_name_for_the_part(wire: Wire) -> None:
    """S2, as the Go client sends it."""
    content = tiny_picture()

    answer = wire.upload(content, part="filename")

    assert answer.json()["items"][0]["hash"] == wire.image(content)["hash"]


def test_create_from_a_url(wire: Wire) -> None:
    """S2: the bytes count, and not where they come from."""
    image = wire.image()
    original = wire.stack(operations=[], options={"source_file": True})
    url = wire.render(f"/{original}/{image['hash']}.png").url

    answer = wire("POST", wire.at(), files={"url[0]": (None, url)})

    assert answer.status_code in (200, 201)
    (again,) = fits(answer.json(), shapes.UPLOADED)["items"]
    assert again["hash"] == image["hash"]


@pytest.mark.parametrize(
    ("mode", "wanted", "format"),
    [("RGB", "true", "png"), ("RGB", "png", "png"), ("RGB", "jpg", "jpg"), ("RGBA", "jpg", "webp")],
)
def test_optimizing_keeps_the_binary_hash(wire: Wire, mode: str, wanted: str, format: str) -> None:
    """S2."""
    tiff = tiny_picture("TIFF", mode)

    image = fits(wire.image(tiff, data={"optimize_source": wanted}), shapes.IMAGE)

    assert image["format"] == format
    assert image["binary_hash"] == hashlib.sha1(tiff).hexdigest()  # noqa: S324


def test_the_same_bytes_are_the_same_image_and_metadata_is_merged(wire: Wire) -> None:
    content = tiny_picture()
    first = wire.image(content, meta_user={"a": "1", "b": "2"})

    again = wire.image(content, meta_user={"b": "3"})

    assert again["hash"] == first["hash"]
    assert again["user_metadata"] == {"a": "1", "b": "3"}


def test_what_is_no_picture_is_refused(wire: Wire) -> None:
    refused(wire("POST", wire.at(), files={"filedata": ("a.jpg", b"no picture")}), 400)
    refused(wire("POST", wire.at(), data={"meta_user[0]": "{}"}), 400)


def test_get(wire: Wire) -> None:
    """S6."""
    image = wire.image()

    for hash in (image["hash"], image["short_hash"]):
        answer = wire("GET", wire.at(hash))
        assert answer.status_code == 200
        assert answer.headers["Content-Type"].startswith("application/json")
        assert fits(answer.json(), shapes.IMAGE)["hash"] == image["hash"]
    refused(wire("GET", wire.at(NOBODY)), 404)


def test_by_binary_hash(wire: Wire) -> None:
    """S7, in both of its forms."""
    image = wire.image()
    binary = image["binary_hash"]
    for path in (wire.at() + f"?binaryHash={binary}", wire.at("binaryhash", binary)):
        found = wire.eventually(partial(_some, wire, path))
        assert fits(found, shapes.FOUND)["total"] == 1
        assert found["items"][0]["hash"] == image["hash"]
    nothing = wire("GET", wire.at() + f"?binaryHash={NOBODY}")
    assert nothing.status_code == 200
    assert (nothing.json()["total"], nothing.json()["items"]) == (0, [])


def _some(wire: Wire, path: str, least: int = 1) -> Any:
    """The body of a listing that has so many images; ``None`` until then."""
    answer = wire("GET", path)
    assert answer.status_code == 200, answer.text
    return answer.json() if answer.json()["total"] >= least else None


def test_list_and_its_links(wire: Wire) -> None:
    """S15."""
    hashes = {wire.image()["hash"] for _ in range(3)}
    mine = wire.at() + f"?name={wire.prefix}*"

    everything = wire.eventually(lambda: _some(wire, mine, least=3))
    first = wire("GET", f"{mine}&limit=1").json()
    middle = wire("GET", f"{mine}&limit=1&offset=1").json()
    last = wire("GET", f"{mine}&limit=1&offset=2").json()

    for body in (everything, first, middle, last):
        assert fits(body, shapes.PAGE)["total"] == 3
    assert {item["hash"] for item in everything["items"]} == hashes
    assert everything["links"] in ({}, [])
    assert everything["cursor"]
    assert set(first["links"]) == {"next"}
    assert set(middle["links"]) == {"next", "prev"}
    assert set(last["links"]) == {"prev"}
    # The first page needs no offset; the last one that a number asked for has no cursor.
    assert "offset=" not in middle["links"]["prev"]["href"]
    assert "offset=1" in last["links"]["prev"]["href"]
    assert "cursor" not in last
    followed = wire("GET", middle["links"]["next"]["href"]).json()
    assert followed["items"] == last["items"]
    assert first["links"]["next"]["href"].startswith(wire.at() + "?")


def test_a_cursor_goes_on_where_it_was_given(wire: Wire) -> None:
    for _ in range(2):
        wire.image()
    mine = wire.at() + f"?name={wire.prefix}*&limit=1"
    first = wire.eventually(lambda: _some(wire, mine, least=2))

    second = wire("GET", mine, params={"offset": first["cursor"]}).json()

    assert len(fits(second, shapes.PAGE)["items"]) == 1
    assert second["items"] != first["items"]


def test_filters_facets_and_a_limit_of_zero(wire: Wire) -> None:
    wire.image(meta_user={"array:labels": [wire.prefix], "int:id": 42})
    mine = wire.at() + f"?name={wire.prefix}*&user:int:id=42&height=12&size=[1,}}"

    found = wire.eventually(lambda: _some(wire, mine))
    faceted = wire("GET", f"{mine}&facets=user:array:labels&limit=0").json()

    assert fits(found, shapes.PAGE)["total"] == 1
    assert fits(faceted, shapes.PAGE)["items"] == []
    assert faceted["facets"] == {"user:array:labels": [{"value": wire.prefix, "count": 1}]}
    refused(wire("GET", wire.at() + "?limit=2001"), 400)


def test_download(wire: Wire) -> None:
    """S14."""
    content = tiny_picture()
    image = wire.image(content)

    answer = wire("GET", wire.at(image["hash"], "download"))

    assert answer.status_code == 200
    assert answer.content == content
    assert answer.headers["Content-Type"] == "image/png"
    # The Go client takes the name from the end of the header, out of its quotes.
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{image["name"]}"'
    refused(wire("GET", wire.at(NOBODY, "download")), 404)


# --- Delete, restore, copy ------------------------------------------------------------------


def test_delete_and_restore(wire: Wire) -> None:
    """S8 and S17."""
    image = wire.image()
    path = wire.at(image["hash"])

    deleted = wire("DELETE", path)
    assert (deleted.status_code, deleted.content) == (204, b"")
    refused(wire("DELETE", path), 404)
    refused(wire("GET", path), 404)
    gone = wire("GET", path, params={"deleted": "true"})
    assert fits(gone.json(), shapes.IMAGE)["deleted"] is True
    for _ in range(2):  # also what is not deleted
        restored = wire("POST", f"{path}/restore")
        assert restored.status_code == 200
        assert fits(restored.json(), shapes.RESTORED)["deleted"] is False
    assert wire("GET", path).status_code == 200
    refused(wire("POST", wire.at(NOBODY, "restore")), 404)


def test_deleted_images_are_listed_by_themselves(wire: Wire) -> None:
    image = wire.image()
    wire("DELETE", wire.at(image["hash"]))

    gone = wire.eventually(lambda: _some(wire, wire.at() + f"?deleted=true&name={wire.prefix}*"))

    assert fits(gone, shapes.PAGE)["items"][0]["hash"] == image["hash"]


def test_delete_by_binary_hash(wire: Wire) -> None:
    image = wire.image()
    path = wire.at() + f"?binaryHash={image['binary_hash']}"

    answer = wire("DELETE", path)

    assert (answer.status_code, answer.content) == (204, b"")
    refused(wire("GET", wire.at(image["hash"])), 404)
    refused(wire("DELETE", path), 404)


@pytest.mark.parametrize(("method", "tail"), [("COPY", ()), ("POST", ("copy",))])
def test_copy(wire: Wire, method: str, tail: tuple[str, ...]) -> None:
    """S1: as the official clients send it, and as the API document names it."""
    to = _destination(wire)
    path = wire.at(wire.image()["hash"], *tail)

    first = wire(method, path, headers=to)
    second = wire(method, path, headers=to)
    third = wire(method, path, headers={**to, "Overwrite": "F"})

    assert first.status_code == 201
    fits(first.json(), shapes.NOTHING)
    assert (second.status_code, second.content) == (204, b"")
    assert third.status_code == 412
    fits(third.json(), shapes.NOTHING)
    refused(wire(method, wire.at(NOBODY, *tail), headers=to), 404)
    refused(wire(method, path, headers={"Destination": f"no-{wire.prefix}".replace("_", "-")}), 400)


def test_copy_many(wire: Wire) -> None:
    to = _destination(wire)
    there, new = wire.image()["hash"], wire.image()["hash"]
    wire("COPY", wire.at(there), headers=to)

    for headers in ({**to, "Overwrite": "F"}, to):
        answer = wire("POST", wire.at("copy"), json=[there, new, NOBODY], headers=headers)
        assert answer.status_code == 200
        body = fits(answer.json(), shapes.COPIED)
        assert set(body["created"]) | set(body["existing"]) == {there, new}
        assert body.get("notfound", [NOBODY]) == [NOBODY]
        assert there in body["existing"]
    refused(wire("POST", wire.at("copy"), json=[NOBODY], headers=to), 404)
    refused(wire("POST", wire.at("copy"), json=[NOBODY] * 101, headers=to), 400)


def _destination(wire: Wire) -> dict[str, str]:
    if not wire.destination:
        pytest.skip("ROKKA_LIVE_DESTINATION names no organization to copy to")
    return {"Destination": wire.destination}


# --- Name, lock, description, cache ---------------------------------------------------------


def test_rename(wire: Wire) -> None:
    image = wire.image()
    path = wire.at(image["hash"])

    answer = wire("PUT", f"{path}/name", json="renamed.png")

    assert (answer.status_code, answer.content) == (204, b"")
    assert wire("GET", path).json()["name"] == "renamed.png"
    refused(wire("PUT", wire.at(NOBODY, "name"), json="x.png"), 404)


def test_lock(wire: Wire) -> None:
    path = wire.at(wire.image()["hash"])

    locked = wire("PUT", f"{path}/options/locked", json=True)

    assert locked.status_code == 200
    assert fits(locked.json(), shapes.LOCKED)["locked"] is True
    refused(wire("DELETE", path), 403, 423)
    refused(wire("PATCH", f"{path}/meta/user", json={"a": "b"}), 403, 423)
    unlocked = wire("PUT", f"{path}/options/locked", json=False)
    assert fits(unlocked.json(), shapes.LOCKED)["locked"] is False
    assert wire("DELETE", path).status_code == 204


def test_autodescription(wire: Wire) -> None:
    path = wire.at(wire.image()["hash"])

    answer = wire(
        "POST", f"{path}/autodescription", json={"languages": ["en", "de"], "force": False}
    )

    if not wire.pays and answer.status_code == 403:
        refused(answer, 403)
    else:
        assert answer.status_code == 200
        # The PHP client reads an image.
        assert fits(answer.json(), shapes.IMAGE)["user_metadata"]


def test_purges(wire: Wire) -> None:
    image = wire.image()
    alias = wire.at("alias", wire.prefix)
    wire("PUT", wire.owned(alias), json={"hash": image["hash"]})
    stack = f"/stacks/{wire.organization}/{wire.stack(operations=[])}"

    for path in (wire.at(image["hash"]), alias, stack):
        answer = wire("DELETE", f"{path}/cache")
        if not wire.pays and answer.status_code == 403:
            refused(answer, 403)
            continue
        assert answer.status_code == 200
        fits(answer.json(), shapes.PURGED)
        assert answer.headers["X-RateLimit-Limit"].isdigit()
        assert answer.headers["X-RateLimit-Remaining"].isdigit()


@pytest.mark.parametrize(("kind", "limit"), [("image", 5), ("alias", 10), ("stack", 5)])
def test_purges_are_few(emulated: Wire, kind: str, limit: int) -> None:
    """Not live: it would use up what the organization has for an hour."""
    hash = emulated.image()["hash"]
    emulated("PUT", emulated.at("alias", "few"), json={"hash": hash})
    path = {
        "image": emulated.at(hash),
        "alias": emulated.at("alias", "few"),
        "stack": f"/stacks/{emulated.organization}/{emulated.stack(operations=[])}",
    }[kind]

    answers = [emulated("DELETE", f"{path}/cache") for _ in range(limit + 1)]

    left = [answer.headers["X-RateLimit-Remaining"] for answer in answers]
    assert left == [*map(str, reversed(range(limit))), "0"]
    assert {answer.headers["X-RateLimit-Limit"] for answer in answers} == {str(limit)}
    assert answers[-1].status_code == 429
    assert int(answers[-1].headers["X-RateLimit-Retry-After"]) > 1_600_000_000
    assert fits(answers[-1].json(), shapes.TOO_MANY)["status"] == "too many requests"


# --- Aliases --------------------------------------------------------------------------------


def test_aliases(wire: Wire) -> None:
    first, second = wire.image()["hash"], wire.image()["hash"]
    path = wire.owned(wire.at("alias", wire.prefix))

    created = wire("PUT", path, json={"hash": first})
    assert created.status_code in (200, 201)
    fits(created.json(), shapes.ALIAS)
    got = wire("GET", path)
    assert got.status_code == 200
    assert fits(got.json(), shapes.ALIAS)["hash"] == first
    assert (got.json()["alias"], got.json()["organization"]) == (wire.prefix, wire.organization)
    refused(wire("PUT", path, json={"hash": second}), 409)
    over = wire("PUT", path, json={"hash": second}, params={"overwrite": "true"})
    assert over.status_code == 200
    assert wire("GET", path).json()["hash"] == second
    deleted = wire("DELETE", path)
    assert (deleted.status_code, deleted.content) == (204, b"")
    refused(wire("GET", path), 404)
    refused(wire("DELETE", path), 404)


def test_an_alias_has_letters_digits_and_underscores(wire: Wire) -> None:
    assert wire("GET", wire.at("alias", "a-b")).status_code == 404
