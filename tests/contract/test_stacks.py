"""Stacks, what they are made of, the organization, and renders, on the wire."""

from __future__ import annotations

import hashlib
from io import BytesIO

import pytest
from PIL import Image

from . import shapes
from .wire import Wire, fits, refused

NOBODY = "0" * 40
RESIZE = {"name": "resize", "options": {"width": 8, "height": 6}}


# --- Stacks ---------------------------------------------------------------------------------


def test_a_stack_from_its_making_to_its_end(wire: Wire) -> None:
    path = wire.owned(f"/stacks/{wire.organization}/{wire.prefix}")
    body = {"operations": [RESIZE], "options": {"jpg.quality": 77}}

    created = wire("PUT", path, json=body)
    assert created.status_code == 201
    stack = fits(created.json(), shapes.STACK)
    assert (stack["name"], stack["organization"]) == (wire.prefix, wire.organization)
    assert (stack["stack_operations"], stack["stack_options"]) == ([RESIZE], {"jpg.quality": 77})
    assert (stack["stack_expressions"], stack["stack_variables"]) == ([], {})

    refused(wire("PUT", path, json=body), 400, 409)
    overwritten = wire("PUT", path, json={**body, "options": {}}, params={"overwrite": "true"})
    assert overwritten.status_code == 200
    fits(overwritten.json(), shapes.STACK)

    got = wire("GET", path)
    assert got.status_code == 200
    assert fits(got.json(), shapes.ONE_STACK)["link"] == path
    listed = wire("GET", f"/stacks/{wire.organization}")
    assert listed.status_code == 200
    assert wire.prefix in [one["name"] for one in fits(listed.json(), shapes.STACKS)["items"]]

    deleted = wire("DELETE", path)
    assert (deleted.status_code, deleted.content) == (204, b"")
    refused(wire("GET", path), 404)
    refused(wire("DELETE", path), 404)


def test_a_stack_with_expressions_and_variables(wire: Wire) -> None:
    rule = {"expression": "options.dpr >= 2", "overrides": {"options": {"jpg.quality": 60}}}
    path = wire.owned(f"/stacks/{wire.organization}/{wire.prefix}")
    body = {
        "description": "Small",
        "operations": [{"name": "resize", "options": {}, "expressions": {"width": "$w"}}],
        "expressions": [rule],
        "variables": {"w": 8},
    }

    stack = fits(wire("PUT", path, json=body).json(), shapes.STACK)

    assert stack["stack_expressions"] == [rule]
    assert stack["stack_variables"] == {"w": 8}
    assert stack["stack_operations"][0]["expressions"] == {"width": "$w"}


def test_what_is_no_stack_is_refused(wire: Wire) -> None:
    path = wire.owned(f"/stacks/{wire.organization}/{wire.prefix}")

    refused(wire("PUT", path, json={"operations": [{"name": "no_such"}]}), 400)
    # The original goes out as it is, or it does not.
    refused(wire("PUT", path, json={"operations": [RESIZE], "options": {"source_file": True}}), 400)
    refused(wire("PUT", f"/stacks/{wire.organization}/dynamic", json={"operations": []}), 400)


def test_a_public_stack_cannot_become_protected(wire: Wire) -> None:
    path = f"/stacks/{wire.organization}/{wire.stack(operations=[RESIZE])}"
    body = {"operations": [RESIZE], "options": {"protected": True}}

    answer = wire("PUT", path, json=body, params={"overwrite": "true"})

    assert 400 <= answer.status_code < 500
    assert not wire("GET", path).json()["stack_options"]


def test_operations(wire: Wire) -> None:
    answer = wire("GET", "/operations")

    assert answer.status_code == 200
    operations = answer.json()
    recorded = {
        *("resize", "rotate", "autorotate", "dropshadow", "trim", "noop", "crop", "composition"),
        *("blur", "primitive", "grayscale", "sepia", "modulate", "alpha", "glitch", "addframes"),
    }
    assert recorded <= operations.keys()
    for operation in operations.values():
        fits(operation, shapes.OPERATION)
        assert operation["properties"]["enabled"]["type"] == "boolean"
    assert operations["resize"]["oneOf"] == ["width", "height"]
    assert "required" not in operations["resize"]
    assert operations["rotate"]["required"] == ["angle"]
    assert operations["crop"]["required"] == ["width", "height"]


def test_stack_options(wire: Wire) -> None:
    answer = wire("GET", "/stackoptions")

    assert answer.status_code == 200
    options = fits(answer.json(), shapes.STACK_OPTIONS)["properties"]
    for name, kind in (
        ("jpg.quality", "integer"),
        ("dpr", "number"),
        ("autoformat", "boolean"),
        ("source_file", "boolean"),
        ("jpg.transparency.autoformat", "string"),
        ("basestack", ["string", "null"]),
        ("autoformat.exclude", ["string", "null"]),
        ("remote_basepath", ["string", "null"]),
        ("remote_fullurl_allow", ["boolean", "null"]),
        ("remote_fullurl_whitelist", "array"),
        ("timestamp", ["string", "null"]),
    ):
        assert (name, options[name]["type"]) == (name, kind)
    assert options["basestack"]["default"] is None


def test_the_organization(wire: Wire) -> None:
    answer = wire("GET", f"/organizations/{wire.organization}")

    assert answer.status_code == 200
    assert fits(answer.json(), shapes.ORGANIZATION)["name"] == wire.organization


# --- Renders --------------------------------------------------------------------------------


def test_a_render_may_be_kept_for_a_year(wire: Wire) -> None:
    image = wire.image()
    stack = wire.stack(operations=[RESIZE])

    for path in (
        f"/{stack}/{image['hash']}.jpg",
        f"/{stack}/{image['short_hash']}/any-slug.jpg",
        f"/dynamic/resize-width-8-height-6/{image['hash']}.jpg",
    ):
        answer = wire.render(path)
        assert answer.status_code == 200, answer.text
        assert answer.headers["Content-Type"] == "image/jpeg"
        assert "max-age=31536000" in answer.headers["Cache-Control"]
        assert Image.open(BytesIO(answer.content)).size == (8, 6)


def test_an_overridden_step_and_a_variable(wire: Wire) -> None:
    image = wire.image()
    step = {"name": "resize", "options": {}, "expressions": {"width": "$w"}}
    stack = wire.stack(operations=[step], variables={"w": 8})

    for config, width in (("", 8), ("/v-w-4", 4), ("/options-dpr-2", 16)):
        answer = wire.render(f"/{stack}{config}/{image['hash']}.png")
        assert answer.headers["Content-Type"] == "image/png"
        assert Image.open(BytesIO(answer.content)).width == width


def test_variables_work_each_other_out(wire: Wire) -> None:
    """The width, the height or their ratio may be given: the way of rokka's own guide."""
    stack = wire.stack(
        operations=[
            {
                "name": "resize",
                "options": {"mode": "absolute"},
                "expressions": {"width": "$width", "height": "$height"},
            }
        ],
        variables={
            "usual": 8,
            "w": 0,
            "h": 0,
            "r": "$usual / 4",
            "width": "$w == 0 ? ($h == 0 ? $usual : $h * $r) : $w",
            "height": "$h == 0 ? $width / $r : $h",
        },
        expressions=[
            {"expression": "options.dpr >= 2", "overrides": {"options": {"dpr": 1}}},
        ],
    )
    hash = wire.image()["hash"]

    for config, size in (
        ("", (8, 4)),
        ("/v-w-12", (12, 6)),
        ("/v-h-6", (12, 6)),
        ("/v-w-10-h-6", (10, 6)),
        ("/v-r-1.6", (8, 5)),
        ("/options-dpr-2", (8, 4)),
    ):
        answer = wire.render(f"/{stack}{config}/{hash}.png")
        assert (config, Image.open(BytesIO(answer.content)).size) == (config, size)


def test_an_alias_and_the_original_render(wire: Wire) -> None:
    image = wire.image()
    wire("PUT", wire.owned(wire.at("alias", wire.prefix)), json={"hash": image["hash"]})
    stack = wire.stack(operations=[], options={"source_file": True})

    answer = wire.render(f"/{stack}/-_{wire.prefix}_-.png")

    assert answer.status_code == 200
    assert hashlib.sha1(answer.content).hexdigest() == image["binary_hash"]  # noqa: S324


def test_autoformat_goes_by_what_the_browser_takes(wire: Wire) -> None:
    image = wire.image()
    path = f"/dynamic/resize-width-8--options-autoformat-true/{image['hash']}.jpg"

    answer = wire.render(path, headers={"Accept": "image/webp,*/*"})

    assert answer.headers["Content-Type"] == "image/webp"
    assert "accept" in answer.headers["Vary"].lower()


def test_a_blurhash_is_text(wire: Wire) -> None:
    image = wire.image()

    answer = wire.render(f"/dynamic/noop/{image['hash']}.blur")

    assert answer.status_code == 200
    assert 6 <= len(answer.text.strip()) <= 100


def test_what_does_not_render(wire: Wire) -> None:
    image = wire.image()

    assert wire.render(f"/dynamic/noop/{NOBODY}.jpg").status_code == 404
    assert wire.render(f"/no_such_{wire.prefix}/{image['hash']}.jpg").status_code == 404
    # There is nothing to double.
    assert wire.render(f"/dynamic/options-dpr-2/{image['hash']}.jpg").status_code == 400
    wire("DELETE", wire.at(image["hash"]))
    assert wire.render(f"/dynamic/noop/{image['hash']}.jpg").status_code == 404


@pytest.mark.parametrize("protected", ["image", "stack"])
def test_what_is_protected_needs_a_signature(wire: Wire, protected: str) -> None:
    options = {"protected": True} if protected == "stack" else {}
    image = wire.image(options={"protected": protected == "image"})
    path = f"/{wire.stack(operations=[RESIZE], options=options)}/{image['hash']}.jpg"
    keys = wire("GET", f"/organizations/{wire.organization}").json().get("signing_keys")

    assert wire.render(path).status_code in (401, 403)

    assert keys, "the organization has no signing key"
    signature = hashlib.sha256(f"{path}:{keys[0]['key']}".encode()).hexdigest()[:16]
    assert wire.render(f"{path}?sig={signature}").status_code == 200
