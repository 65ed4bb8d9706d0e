"""Status codes, headers and bodies, as the documentation and recordings of the service show them."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
import requests

from django_rokka.emulator import Emulator
from tests.pictures import HEIC, PDF, SVG, animation, opened, picture, rotated


def test_credentials(emulator: Emulator, api: Any) -> None:
    url = f"{emulator.api_url}/sourceimages/acme"
    for headers, status in (
        ({}, 403),
        ({"Api-Key": "wrong"}, 403),
        ({"Authorization": "Bearer wrong"}, 401),
        ({"api-key": "test-key", "Authorization": "Bearer wrong"}, 200),
    ):
        answer = requests.get(url, headers=headers, timeout=30)
        assert answer.status_code == status
        assert answer.json().get("invalid_authentication", False) == (status != 200)
    emulator.add_key("reader", {"acme": "read"})
    answer = requests.post(f"{url}/{'a' * 40}/restore", headers={"Api-Key": "reader"}, timeout=30)
    assert (answer.status_code, "invalid_authentication" in answer.json()) == (403, False)
    assert api("GET", "/sourceimages/nowhere").status_code == 404


def test_an_image_has_the_keys_of_the_recordings(api: Any, upload: Any) -> None:
    image = upload()

    assert set(image) == {
        *("hash", "short_hash", "binary_hash", "created", "name", "mimetype", "format"),
        *("size", "width", "height", "organization", "link", "opaque"),
    }
    assert image["link"] == f"/sourceimages/acme/{image['hash']}"
    assert api("GET", image["link"]).json() == image
    assert api("GET", f"/sourceimages/acme/{image['short_hash']}").json() == image


@pytest.mark.parametrize(
    ("content", "name", "expected"),
    [
        (picture((80, 60)), "a.jpg", ("jpg", "image/jpeg", 80, 60, True)),
        (rotated((80, 60)), "a.jpg", ("jpg", "image/jpeg", 60, 80, True)),
        (picture(format="PNG", color=(1, 2, 3, 99)), "a", ("png", "image/png", 80, 60, False)),
        (picture(format="PNG", color=(1, 2, 3, 255)), "a", ("png", "image/png", 80, 60, True)),
        (picture(format="WEBP"), "x.jpg", ("webp", "image/webp", 80, 60, True)),
        (picture(format="TIFF"), "x.tif", ("tif", "image/tiff", 80, 60, True)),
        (SVG, "a.svg", ("svg", "image/svg+xml", 200, 100, False)),
        (PDF, "a.pdf", ("pdf", "application/pdf", 595, 842, True)),
        (HEIC, "a.heic", ("heic", "image/heic", 1024, 768, True)),
    ],
)
def test_every_kind_of_file_is_recognised_by_its_content(
    upload: Any, content: bytes, name: str, expected: tuple[Any, ...]
) -> None:
    image = upload(content, name)

    assert (
        tuple(image[key] for key in ("format", "mimetype", "width", "height", "opaque")) == expected
    )


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"text",
        picture()[:300],
        b"<svg",
        b'<!DOCTYPE svg [<!ENTITY a "b">]><svg/>',
        b"<a><svg/></a>",
    ],
)
def test_what_is_no_picture_is_a_400(api: Any, content: bytes) -> None:
    answer = api("POST", "/sourceimages/acme", files={"filedata": ("a.jpg", content)})

    assert answer.status_code == 400
    assert answer.json()["code"] == 400


def test_metadata_is_matched_in_every_notation(api: Any, upload: Any) -> None:
    area = {"x": 1, "y": 2}
    by_index = upload(meta_user="[]", **{"meta_dynamic[0][subject_area]": json.dumps(area)})
    by_order = upload(**{"meta_dynamic[]": json.dumps({"subject_area": area})})

    assert by_index["hash"] == by_order["hash"]
    assert by_index["dynamic_metadata"] == {"subject_area": {**area, "width": 1, "height": 1}}
    files = [
        ("filedata[0]", ("a.png", picture(format="PNG"))),
        ("filedata[1]", ("b.gif", animation())),
    ]
    data = {"meta_user[1]": '{"n": "second"}', "options[0]": '{"protected": true}'}
    first, second = api("POST", "/sourceimages/acme", files=files, data=data).json()["items"]
    assert (first["protected"], second["animated"]) == (True, True)
    assert second["user_metadata"] == {"n": "second"}


@pytest.mark.parametrize(
    ("name", "value", "status"),
    [
        ("title", "Dog", 204),
        ("int:year", 2024, 204),
        ("double:x", 1.5, 204),
        ("date:d", "2024-01-02T03:04:05Z", 204),
        ("latlon:place", "47.38,8.52", 204),
        ("array:tags", ["a", "b"], 204),
        ("int:year", "soon", 400),
        ("int:year", True, 400),
        ("date:d", "tomorrow", 400),
        ("latlon:place", "here", 400),
        ("array:tags", "a", 400),
        ("Title", "x", 400),
        ("a" * 55, "x", 400),
        ("bad:title", "x", 400),
    ],
)
def test_user_metadata_is_checked_by_its_type(
    api: Any, upload: Any, name: str, value: Any, status: int
) -> None:
    path = upload()["link"]

    assert api("PUT", f"{path}/meta/user/{name}", json=value).status_code == status
    assert api("PATCH", f"{path}/meta/user", json={name: value}).status_code == status


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("subject_area", {"x": 1}),
        ("subject_area", {"x": -1, "y": 0}),
        ("subject_area", {"x": 1, "y": 1, "z": 1}),
        ("crop_area", {"x": 1, "y": 1}),
        ("multi_areas", {"a-b": {"crop_area": {"x": 1, "y": 1, "width": 1, "height": 1}}}),
        ("multi_areas", {"a": {}}),
        ("version", {"text": 1}),
        ("subject_area", "x"),
        ("unknown", {}),
    ],
)
def test_wrong_dynamic_metadata_is_a_400(api: Any, upload: Any, name: str, value: Any) -> None:
    assert api("PUT", f"{upload()['link']}/meta/dynamic/{name}", json=value).status_code == 400


def test_a_rehash_answers_as_recorded(api: Any, upload: Any) -> None:
    image = upload()
    path = f"{image['link']}/meta/dynamic/subject_area"

    answer = api("PUT", path, json={"x": 1, "y": 2})
    new = answer.json()

    assert answer.status_code == 201
    assert answer.headers["Location"] == f"/sourceimages/acme/{new['hash']}"
    assert "link" not in new
    again = api(
        "PUT", f"/sourceimages/acme/{new['hash']}/meta/dynamic/subject_area", json={"x": 1, "y": 2}
    )
    assert (again.status_code, again.content) == (204, b"")
    both = api(
        "PUT", path, json={"x": 1, "y": 2}, params={"deletePrevious": "true", "keepHash": "true"}
    )
    assert both.status_code == 400
    kept = api("PUT", path, json={"x": 9, "y": 9}, params={"keepHash": "true"})
    assert (kept.json()["hash"], kept.headers["Warning"][:3]) == (image["hash"], "299")


def test_an_existing_target_is_used_as_it_is_and_a_deleted_one_lives_again(
    api: Any, upload: Any
) -> None:
    image = upload(**{"meta_user[0]": '{"a": "old"}'})
    path = f"{image['link']}/meta/dynamic/version"
    new = api("PUT", path, json={"text": "x"}).json()["hash"]
    api("PATCH", f"{image['link']}/meta/user", json={"a": "new"})
    api("DELETE", f"/sourceimages/acme/{new}")

    answer = api("PUT", path, json={"text": "x"}, params={"deletePrevious": "true"})

    assert answer.json()["user_metadata"] == {"a": "old"}
    assert api("GET", f"/sourceimages/acme/{new}").status_code == 200
    assert api("GET", image["link"]).status_code == 404


def test_soft_deletion(api: Any, upload: Any) -> None:
    image = upload()
    assert api("DELETE", image["link"]).status_code == 204
    assert api("DELETE", image["link"]).status_code == 404
    assert api("GET", image["link"]).status_code == 404
    assert api("GET", image["link"], params={"deleted": "true"}).json()["deleted"] is True
    assert api("GET", "/sourceimages/acme").json()["total"] == 0
    assert api("GET", "/sourceimages/acme", params={"deleted": "true"}).json()["total"] == 1
    restored = api("POST", f"{image['link']}/restore").json()
    assert restored["deleted"] is False
    assert upload()["hash"] == image["hash"]


def test_copy_with_both_verbs(api: Any, upload: Any) -> None:
    path = upload()["link"]
    for method, target in (("COPY", path), ("POST", f"{path}/copy")):
        stage = {"Destination": "acme-stage"}
        first = api(method, target, headers=stage)
        assert first.status_code == (201 if method == "COPY" else 204)
        assert api(method, target, headers={**stage, "Overwrite": "F"}).status_code == 412
        assert api(method, target, headers={"Destination": "nowhere"}).status_code == 400
    wrong = api("POST", "/sourceimages/acme/copy", json=["x"] * 101, headers=stage)
    assert wrong.status_code == 400


def test_download_has_the_name_and_the_bytes(api: Any, upload: Any) -> None:
    answer = api("GET", f"{upload(name='Hündchen.jpg')['link']}/download")

    assert answer.content == picture()
    assert "filename*=UTF-8''H%C3%BCndchen.jpg" in answer.headers["Content-Disposition"]


def test_stacks_answer_as_recorded(api: Any) -> None:
    body = {
        "operations": [{"name": "resize", "options": {"width": 10}}],
        "options": {"jpg.quality": 7},
    }
    path = "/stacks/acme/thumb"
    created = api("PUT", path, json=body)
    assert created.status_code == 201
    assert set(created.json()) == {
        *("name", "organization", "created"),
        *("stack_operations", "stack_options", "stack_expressions", "stack_variables"),
    }
    assert api("PUT", path, json=body).status_code == 409
    assert api("PUT", f"{path}?overwrite=true", json=body).status_code == 200
    assert api("DELETE", path).status_code == 204
    for name in ("dynamic", "_x", "a.b"):
        assert api("PUT", f"/stacks/acme/{name}", json=body).status_code == 400
    for wrong in ({"operations": [{"name": "x"}]}, {"options": {"x": 1}}, {"operations": "x"}, []):
        assert api("PUT", path, json=wrong).status_code == 400


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("POST", "/operations", 405),
        ("GET", "/sourceimages/acme/xyz", 404),
        ("PUT", "/sourceimages/acme/alias/a-b", 404),
        ("GET", "/sourceimages/acme?limit=2001", 400),
        ("GET", "/sourceimages/acme?offset=10001", 400),
        ("GET", "/sourceimages/acme?offset=?", 400),
        ("GET", "/sourceimages/acme?sort=nothing", 400),
        ("GET", "/sourceimages/acme?size=[a,}", 400),
        ("GET", "/sourceimages/acme?facets=size", 400),
    ],
)
def test_wrong_calls_have_a_code_and_a_message(
    api: Any, method: str, path: str, status: int
) -> None:
    answer = api(method, path)

    assert answer.status_code == status
    assert answer.json()["code"] == status
    assert answer.json()["message"]


@pytest.mark.parametrize(("kind", "format"), [("true", "png"), ("png", "png"), ("jpg", "jpg")])
def test_optimizing_replaces_a_tiff_and_keeps_its_binary_hash(
    api: Any, upload: Any, kind: str, format: str
) -> None:
    tiff = picture(format="TIFF")

    image = upload(tiff, "a.tif", optimize_source=kind)
    again = upload(tiff, "a.tif")

    assert image["format"] == format
    assert image["binary_hash"] == hashlib.sha1(tiff).hexdigest()  # noqa: S324
    assert again == image
    content = api("GET", f"{image['link']}/download").content
    assert (opened(content).format, len(content)) == (
        {"jpg": "JPEG"}.get(format, "PNG"),
        image["size"],
    )
    wrong = api(
        "POST", "/sourceimages/acme", files={"filedata": tiff}, data={"optimize_source": "gif"}
    )
    assert wrong.status_code == 400


def test_a_description_can_be_asked_for_at_upload(api: Any, upload: Any) -> None:
    wanted = {"auto_description": {"languages": ["en"]}}
    image = upload(**{"meta_static[0]": json.dumps(wanted)})

    assert image["user_metadata"]["text:auto_description_en"].startswith("An image named dog.jpg")
    path = f"{image['link']}/autodescription"
    assert api("POST", path, json={"languages": ["xx"]}).status_code == 400
    assert api("POST", path, json={}).status_code == 400


def test_locked_images_refuse_deletion_by_binary_hash_too(api: Any, upload: Any) -> None:
    image = upload()
    api("PUT", f"{image['link']}/options/locked", json=True)

    target = f"/sourceimages/acme?binaryHash={image['binary_hash']}"
    assert api("DELETE", target).status_code == 423
    assert api("PUT", f"{image['link']}/options/locked", json="yes").status_code == 400
    assert api("DELETE", "/sourceimages/acme?binaryHash=" + "a" * 40).status_code == 404


def test_bodies_that_are_no_json_are_a_400(api: Any, upload: Any) -> None:
    link = upload()["link"]

    for method, path in (
        ("PUT", f"{link}/name"),
        ("PUT", f"{link}/meta/user"),
        ("POST", "/sourceimages/acme/copy"),
    ):
        headers = {"Destination": "acme-stage"}
        assert api(method, path, data="{", headers=headers).status_code == 400
        assert api(method, path, json=5, headers=headers).status_code == 400
