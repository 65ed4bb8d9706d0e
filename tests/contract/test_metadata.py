"""Dynamic and user metadata, and protection, on the wire."""

from __future__ import annotations

from typing import Any

import pytest

from . import shapes
from .wire import Wire, fits, refused

NOBODY = "0" * 40
AREA = {"x": 1, "y": 2, "width": 8, "height": 6}


# --- What changes the hash ------------------------------------------------------------------


def test_dynamic_metadata_gives_another_hash(wire: Wire) -> None:
    """S3 and S9."""
    image = wire.image(meta_user={"title": "A"})
    path = wire.at(image["hash"], "meta", "dynamic", "subject_area")

    set_ = wire("PUT", path, json=AREA, params={"deletePrevious": "false"})

    new = _rehashed(set_)
    assert new["hash"] != image["hash"]
    assert new["binary_hash"] == image["binary_hash"]
    assert new["dynamic_metadata"] == {"subject_area": AREA}
    assert new["user_metadata"] == {"title": "A"}
    assert wire("GET", wire.at(image["hash"])).status_code == 200

    removed = wire("DELETE", wire.at(new["hash"], "meta", "dynamic", "subject_area"))

    back = _rehashed(removed)
    assert back["hash"] == image["hash"]
    assert not back.get("dynamic_metadata")


def _rehashed(answer: Any) -> Any:
    """The new image: in the body, and at the end of the ``Location``."""
    assert answer.status_code == 201, answer.text
    body = fits(answer.json(), shapes.REHASHED)
    assert answer.headers["Location"].split("?")[0].rpartition("/")[2] == body["hash"]
    return body


def test_what_changes_nothing_is_a_204(wire: Wire) -> None:
    image = wire.image()
    path = wire.at(image["hash"], "meta", "dynamic", "subject_area")
    new = _rehashed(wire("PUT", path, json=AREA))

    again = wire("PUT", wire.at(new["hash"], "meta", "dynamic", "subject_area"), json=AREA)

    assert (again.status_code, again.content) == (204, b"")
    # The Go client reads it here as well.
    location = again.headers.get("Location", new["hash"])
    assert location.rpartition("/")[2] == new["hash"]


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_the_previous_image_may_go(wire: Wire, method: str) -> None:
    image = wire.image(meta_dynamic={"version": {"text": "old"}})
    path = wire.at(image["hash"], "meta", "dynamic", "version")
    body = {"text": "new"} if method == "PUT" else None

    new = _rehashed(wire(method, path, json=body, params={"deletePrevious": "true"}))

    assert new["hash"] != image["hash"]
    refused(wire("GET", wire.at(image["hash"])), 404)


def test_the_hash_may_stay(wire: Wire) -> None:
    image = wire.image()
    path = wire.at(image["hash"], "meta", "dynamic", "subject_area")

    kept = wire("PUT", path, json=AREA, params={"keepHash": "true"})

    assert kept.headers["Warning"].startswith("299")
    assert kept.headers["Location"].rpartition("/")[2] == image["hash"]
    now = wire("GET", wire.at(image["hash"])).json()
    assert now["dynamic_metadata"] == {"subject_area": AREA}
    both = {"keepHash": "true", "deletePrevious": "true"}
    refused(wire("PUT", path, json=AREA, params=both), 400)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("crop_area", AREA),
        ("version", {"text": "v1"}),
        ("multi_areas", {"wide": {"crop_area": AREA}}),
    ],
)
def test_kinds_of_dynamic_metadata(wire: Wire, name: str, values: dict[str, Any]) -> None:
    path = wire.at(wire.image()["hash"], "meta", "dynamic", name)

    assert name in _rehashed(wire("PUT", path, json=values))["dynamic_metadata"]


def test_an_unknown_image_has_no_dynamic_metadata(wire: Wire) -> None:
    path = wire.at(NOBODY, "meta", "dynamic", "subject_area")

    refused(wire("PUT", path, json=AREA), 404)
    refused(wire("DELETE", path), 404)


def test_protection_gives_another_hash(wire: Wire) -> None:
    image = wire.image()

    protected = wire("PUT", wire.at(image["hash"], "options", "protected"), json=True)

    new = _rehashed(protected)
    assert (new["hash"] == image["hash"], new["protected"]) == (False, True)
    back = wire("PUT", wire.at(new["hash"], "options", "protected"), json=False)
    assert _rehashed(back)["hash"] == image["hash"]


# --- User metadata --------------------------------------------------------------------------


def test_user_metadata_as_a_whole(wire: Wire) -> None:
    """S12, S16, S4, S10."""
    path = wire.at(wire.image(meta_user={"gone": "x", "stays": "y"})["hash"], "meta", "user")

    patched = wire("PATCH", path, json={"new": "z", "int:number": 0, "gone": None})
    assert (patched.status_code, patched.content) == (204, b"")
    got = wire("GET", path)
    assert got.status_code == 200
    assert got.json() == {"stays": "y", "new": "z", "int:number": 0}
    replaced = wire("PUT", path, json={"only": "this"})
    assert (replaced.status_code, replaced.content) == (204, b"")
    assert wire("GET", path).json() == {"only": "this"}
    deleted = wire("DELETE", path)
    assert (deleted.status_code, deleted.content) == (204, b"")
    assert wire("GET", path).json() in ({}, [])


def test_a_field_of_user_metadata(wire: Wire) -> None:
    """S5, S13, S11."""
    path = wire.at(wire.image()["hash"], "meta", "user", "title")

    refused(wire("GET", path), 404)
    set_ = wire("PUT", path, json="A title")
    assert (set_.status_code, set_.content) == (204, b"")
    got = wire("GET", path)
    assert (got.status_code, got.json()) == (200, "A title")
    deleted = wire("DELETE", path)
    assert (deleted.status_code, deleted.content) == (204, b"")
    refused(wire("GET", path), 404)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("text:about", "long"),
        ("int:year", 2024),
        ("double:ratio", 1.5),
        ("date:taken", "2024-01-02T03:04:05Z"),
        # As the PHP client writes it.
        ("date:taken", "2024-01-02T03:04:05.000Z"),
        ("latlon:place", "47.38,8.52"),
        ("array:tags", ["a", "b"]),
    ],
)
def test_types_of_user_metadata(wire: Wire, field: str, value: Any) -> None:
    image = wire.image()

    answer = wire("PATCH", wire.at(image["hash"], "meta", "user"), json={field: value})

    assert answer.status_code == 204, answer.text
    assert field in wire("GET", wire.at(image["hash"])).json()["user_metadata"]


def test_wrong_user_metadata_is_refused(wire: Wire) -> None:
    path = wire.at(wire.image()["hash"], "meta", "user")

    for wrong in ({"int:year": "soon"}, {"Title": "x"}, {"a" * 55: "x"}):
        refused(wire("PATCH", path, json=wrong), 400)


@pytest.mark.parametrize(
    ("method", "tail", "body"),
    [
        ("GET", (), None),
        ("PUT", (), {"a": "b"}),
        ("PATCH", (), {"a": "b"}),
        ("DELETE", (), None),
        ("GET", ("a",), None),
        ("PUT", ("a",), "b"),
        ("DELETE", ("a",), None),
    ],
)
def test_an_unknown_image_has_no_user_metadata(
    wire: Wire, method: str, tail: tuple[str, ...], body: Any
) -> None:
    refused(wire(method, wire.at(NOBODY, "meta", "user", *tail), json=body), 404)
