from __future__ import annotations

import hashlib
import io
import json
from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import quote

import pytest
import requests

from django_rokka.emulator import Emulator
from tests.pictures import HEIC, PDF, SVG, animation, halves, opened, picture, rotated

RED, BLUE = (255, 0, 0), (0, 0, 255)


@pytest.mark.parametrize(
    ("config", "size"),
    [
        ("noop", (100, 50)),
        ("resize-width-50", (50, 25)),
        ("resize-height-100", (200, 100)),
        ("resize-width-60-height-60", (60, 30)),
        ("resize-width-60-height-60-mode-fill", (120, 60)),
        ("resize-width-60-height-60-mode-absolute", (60, 60)),
        ("resize-upscale-false-width-500", (100, 50)),
        ("resize-width-50--o-dpr-2", (100, 50)),
        ("resize-upscale-false-width-80/o-dpr-2", (160, 80)),
        ("resize-upscale-false-upscale_dpr-false-width-80--options-dpr-2", (100, 50)),
        ("crop-width-30-height-20", (30, 20)),
        ("crop-width-1-height-1-mode-ratio", (50, 50)),
        ("crop-height-1-mode-ratio-scale-50-width-1", (25, 25)),
        ("crop-width-300-height-20", (100, 20)),
        ("rotate-angle-90", (50, 100)),
        ("autorotate-width-10-height-20", (50, 100)),
        ("grayscale--blur-sigma-2--sepia--sharpen", (100, 50)),
    ],
)
def test_sizes(upload: Any, render: Any, config: str, size: tuple[int, int]) -> None:
    answer = render(f"dynamic/{config}/{upload(halves(), 'a.png')['hash']}.png")

    assert answer.status_code == 200, answer.text
    assert opened(answer.content).size == size


def test_what_operations_do_to_pixels(upload: Any, render: Any) -> None:
    hash = upload(halves(), "a.png")["hash"]

    def pixel(config: str, at: tuple[int, int] = (2, 2)) -> Any:
        return opened(render(f"dynamic/{config}/{hash}.png").content).convert("RGB").getpixel(at)

    assert pixel("crop-anchor-left_top-width-20-height-20") == RED
    assert pixel("crop-anchor-right_bottom-width-20-height-20") == BLUE
    assert pixel("crop-anchor-70_0-width-20-height-20") == BLUE
    assert pixel("rotate-angle-180") == BLUE
    assert pixel("rotate-angle-90") == RED
    assert len(set(pixel("grayscale"))) == 1
    assert pixel("grayscale-levels-3") == (128, 128, 128)
    assert pixel("modulate-brightness-0") == (0, 0, 0)
    assert pixel("multiply-factor_color-0000FF") == (0, 0, 0)


def test_a_crop_follows_the_subject_area_also_after_a_resize(
    api: Any, upload: Any, render: Any
) -> None:
    link = upload(halves((200, 100)), "a.png")["link"]
    path = f"{link}/meta/dynamic/subject_area"
    new = api("PUT", path, json={"x": 170, "y": 40, "width": 10, "height": 10}).json()["hash"]
    percent = api("PUT", path, json={"x": 85, "y": 40, "percentage": True}).json()["hash"]

    for hash in (new, percent):
        for config in ("", "resize-width-100--"):
            answer = render(f"dynamic/{config}crop-width-20-height-20/{hash}.png")
            colors = opened(answer.content).convert("RGB").getcolors()
            assert colors == [(400, BLUE)], config
    centered = render(f"dynamic/crop-anchor-center_center-width-20-height-20/{new}.png")
    assert len(opened(centered.content).convert("RGB").getcolors()) == 2


def test_named_areas(api: Any, upload: Any, render: Any) -> None:
    areas = {"left": {"crop_area": {"x": 0, "y": 0, "width": 40, "height": 30}}}
    link = upload(halves((200, 100)), "a.png")["link"]
    hash = api("PUT", f"{link}/meta/dynamic/multi_areas", json=areas).json()["hash"]

    box = render(f"dynamic/crop-area-left-height-1-mode-box-width-1/{hash}.png")
    square = render(f"dynamic/crop-area-left-height-1-mode-area-width-1/{hash}.png")

    assert opened(box.content).size == (40, 30)
    assert opened(square.content).size == (40, 40)
    assert opened(box.content).convert("RGB").getcolors() == [(1200, RED)]


@pytest.mark.parametrize(
    ("format", "mimetype", "kind"),
    [
        ("jpg", "image/jpeg", "JPEG"),
        ("jpeg", "image/jpeg", "JPEG"),
        ("png", "image/png", "PNG"),
        ("webp", "image/webp", "WEBP"),
        ("avif", "image/avif", "AVIF"),
        ("gif", "image/gif", "GIF"),
    ],
)
def test_formats(upload: Any, render: Any, format: str, mimetype: str, kind: str) -> None:
    content = picture((40, 30), "PNG", (10, 20, 30, 0))
    answer = render(f"dynamic/noop/{upload(content, 'a.png')['hash']}/slug.{format}")

    assert answer.headers["Content-Type"] == mimetype
    assert opened(answer.content).format == kind
    if kind == "JPEG":
        assert min(opened(answer.content).getpixel((1, 1))) > 250  # type: ignore[type-var]


def test_sources_that_are_no_plain_picture(upload: Any, render: Any) -> None:
    gif = render(f"dynamic/resize-width-20/{upload(animation(), 'a.gif')['hash']}.webp")
    svg = upload(SVG, "a.svg")["hash"]
    drawn = render(f"dynamic/resize-width-50/{svg}.svg")

    assert getattr(opened(gif.content), "n_frames", 1) == 3
    assert opened(render(f"dynamic/resize-width-400/{svg}.png").content).size == (400, 200)
    assert 'width="50" height="25"' in drawn.text
    assert "sandbox" in drawn.headers["Content-Security-Policy"]
    assert render(f"dynamic/grayscale/{svg}.svg").status_code == 400
    pdf = upload(PDF, "a.pdf")["hash"]
    assert render(f"dynamic/noop/{pdf}.pdf").content == PDF
    assert opened(render(f"dynamic/resize-width-59/{pdf}.jpg").content).size == (59, 83)
    assert render(f"dynamic/noop/{upload(HEIC, 'a.heic')['hash']}.heic").content == HEIC
    turned = upload(rotated((80, 60)))["hash"]
    assert opened(render(f"dynamic/noop/{turned}.jpg").content).size == (60, 80)


def test_a_blurhash_is_text(upload: Any, render: Any) -> None:
    answer = render(f"dynamic/noop/{upload(halves(), 'a.png')['hash']}.blur")

    assert answer.headers["Content-Type"].startswith("text/plain")
    assert len(answer.text) == 28


def test_stacks_overrides_variables_and_basestacks(api: Any, upload: Any, render: Any) -> None:
    hash = upload(halves(), "a.png")["hash"]
    steps = [{"name": "resize", "options": {"height": 9}, "expressions": {"width": "$w"}}]
    stack = {"operations": steps, "variables": {"w": 30}, "options": {"autoformat": True}}
    api("PUT", "/stacks/acme/small", json=stack)
    api("PUT", "/stacks/acme/top", json={"operations": [{"name": "rotate", "options": {"angle": 90}}],
                                         "options": {"basestack": "small"}})  # fmt: skip

    def size(path: str) -> Any:
        return opened(render(path).content).size

    assert size(f"small/{hash}.png") == (18, 9)
    assert size(f"small/resize-height-20/{hash}.png") == (30, 15)
    assert size(f"small/v-w-10/{hash}.png") == (10, 5)
    assert size(f"small/{hash}.png?v={quote(json.dumps({'w': 12}))}") == (12, 6)
    assert size(f"top/{hash}.png") == (9, 18)
    negotiated = render(f"small/{hash}.png", headers={"Accept": "image/webp,*/*"})
    assert (negotiated.headers["Content-Type"], negotiated.headers["Vary"]) == (
        "image/webp",
        "Accept",
    )
    api("PUT", "/stacks/acme/original", json={"operations": [], "options": {"source_file": True}})
    assert render(f"original/{hash}.png").content == halves()


def test_aliases_and_hosts_and_short_hashes(
    api: Any, upload: Any, emulator: Emulator, render: Any
) -> None:
    image = upload(halves(), "a.png")
    api("PUT", "/sourceimages/acme/alias/logo", json={"hash": image["hash"]})

    assert render("dynamic/noop/-_logo_-.png").status_code == 200
    assert render(f"dynamic/noop/{image['short_hash']}/any_slug.x-v2.png").status_code == 200
    host = {"Host": "acme.localhost"}
    url = f"{emulator.api_url}/dynamic/resize-width-10/{image['hash']}.png"
    assert opened(requests.get(url, headers=host, timeout=30).content).size == (10, 5)


def test_caching(upload: Any, render: Any, api: Any) -> None:
    path = f"dynamic/noop/{upload()['hash']}.jpg"
    first = render(path)

    assert first.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert render(path, headers={"If-None-Match": first.headers["ETag"]}).status_code == 304
    api("PUT", "/stacks/acme/_preview_x", json={"operations": []})
    assert render(path.replace("dynamic/noop", "_preview_x")).headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("dynamic/noop/ffffff.jpg", 404),
        ("nothing/{hash}.jpg", 404),
        ("dynamic/noop/-_none_-.jpg", 404),
        ("dynamic/noop/{hash}", 404),
        ("{hash}.jpg", 404),
        ("dynamic/nope/{hash}.jpg", 400),
        ("dynamic/resize/{hash}.jpg", 400),
        ("dynamic/resize-width/{hash}.jpg", 400),
        ("dynamic/resize-width-x/{hash}.jpg", 400),
        ("dynamic/resize-width-0/{hash}.jpg", 400),
        ("dynamic/resize-width-20000/{hash}.jpg", 400),
        ("dynamic/resize-size-5/{hash}.jpg", 400),
        ("dynamic/crop-anchor-up_left-height-1-width-1/{hash}.jpg", 400),
        ("dynamic/noop--o-dpr-2/{hash}.jpg", 400),
        ("dynamic/resize-width-10--o-dpr-20/{hash}.jpg", 400),
        ("dynamic/text-text-x/{hash}.jpg", 400),
        ("dynamic/resize-width-[$w]/{hash}.jpg", 400),
        ("dynamic/resize-width-[image.entropy]/{hash}.jpg", 400),
        ("dynamic/noop/{hash}.tga", 400),
        ("dynamic/noop/{hash}.jpg?v=x", 400),
    ],
)
def test_wrong_urls_are_refused_with_a_message(
    upload: Any, render: Any, path: str, status: int
) -> None:
    answer = render(path.format(hash=upload()["hash"]))

    assert answer.status_code == status
    assert answer.json()["message"]


def test_a_deleted_image_renders_404_even_if_it_was_rendered(
    upload: Any, render: Any, api: Any
) -> None:
    image = upload()
    path = f"dynamic/noop/{image['hash']}.jpg"
    assert render(path).status_code == 200
    api("DELETE", image["link"])
    assert render(path).status_code == 404


def test_protected_images_and_stacks_need_a_signature(
    upload: Any, render: Any, api: Any, emulator: Emulator
) -> None:
    image = upload(**{"options[0]": '{"protected": true}'})
    plain = upload(picture(color="#fff"))
    api("PUT", "/stacks/acme/secret", json={"operations": [], "options": {"protected": True}})

    def signed(path: str, query: str = "", signed_path: str = "") -> int:
        text = f"/{signed_path or path}" + (f"?{query}" if query else "")
        sig = hashlib.sha256(f"{text}:{emulator.signing_key}".encode()).hexdigest()[:16]
        return int(render(f"{path}?{query}&sig={sig}".replace("?&", "?")).status_code)

    def until(minutes: int) -> str:
        moment = datetime.now(timezone.utc) + timedelta(minutes=minutes)
        return "sigopts=" + quote(json.dumps({"until": moment.isoformat()}))

    for path in (f"dynamic/noop/{image['hash']}/dog.jpg", f"secret/{plain['hash']}/dog.jpg"):
        assert render(path).status_code == 403
        assert render(f"{path}?sig=0123456789abcdef").status_code == 403
        assert signed(path) == 200
        assert signed(path, signed_path=path.replace("/dog", "")) == 200
        assert signed(path, until(5)) == 200
        assert signed(path, until(-5)) == 403
        assert signed(path, "sigopts=x") == 403


def test_trim_and_alpha(upload: Any, render: Any) -> None:
    framed = opened(picture((60, 40), "PNG", "#ffffff"))
    framed.paste(RED, (10, 10, 30, 20))
    target = io.BytesIO()
    framed.save(target, "PNG")
    hash = upload(target.getvalue(), "a.png")["hash"]
    glass = upload(picture((8, 8), "PNG", (255, 0, 0, 128)), "b.png")["hash"]

    def shown(config: str, of: str) -> Any:
        return opened(render(f"dynamic/{config}/{of}.png").content)

    assert shown("trim", hash).size == (20, 10)
    assert shown("alpha-mode-remove", glass).mode == "RGB"
    assert shown("alpha-mode-mask", glass).convert("RGB").getpixel((1, 1)) == (128, 128, 128)
    assert shown("alpha-mode-apply-opacity-50", glass).getpixel((1, 1))[3] == 64
    assert shown("resize-enabled-false-width-2", glass).size == (8, 8)
    assert shown("modulate-hue-120", hash).size == (60, 40)
