"""Drawings with scripts in them, in Chromium: no page of the site runs them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest
from django.core.files.base import ContentFile

from django_rokka.api import Stack, StackOperation
from django_rokka.conf import get_client
from django_rokka.deferred import upload_pending
from django_rokka.emulator import Emulator, Fault
from example_project.gallery.models import Photo
from tests.admin.conftest import open_page
from tests.library.models import Snapshot

__all__ = ["open_page"]

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.urls("tests.security.urls"),
]

#: It would mark the window that it runs in, and the one that opened it.
MARK = "window.hacked = 1; try { top.hacked = 1; opener.hacked = 1 } catch (e) {} alert(1)"
SCRIPT = (
    f'<svg xmlns="http://www.w3.org/2000/svg" width="300" height="200" onload="{MARK}">'
    f'<script>{MARK}</script><foreignObject width="9" height="9"><body xmlns="http://www.w3.org/1999/xhtml">'
    f'<img src="x" onerror="{MARK}"/></body></foreignObject><rect width="300" height="200" fill="#c00"/></svg>'
).encode()


@pytest.fixture
def show(open_page: Callable[..., Any], live_server: Any) -> Callable[..., Any]:
    """Go to an address, wait until all of it is there, and see whether scripts ran: none, unless ``runs``."""
    page = open_page("/admin/login/")
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))

    def show(address: str, *, runs: bool = False) -> Any:
        page.goto(urljoin(live_server.url, address), wait_until="networkidle")
        assert (page.evaluate("window.hacked") is not None) is runs
        assert bool(dialogs) is runs
        return page

    return show


def test_a_script_in_a_drawing_runs_on_no_page_of_the_site(
    rokka_emulator: Emulator, show: Callable[..., Any]
) -> None:
    photo = Photo(title="<script>window.hacked = 1</script>", alt="<img src=x onerror=alert(1)>")
    photo.image.save('"><img src=x onerror=window.hacked=1>.svg', ContentFile(SCRIPT))
    image = photo.image.source_image
    for stack in ("card", "lead", "mono", "tall", "thumbnail"):
        resize = StackOperation("resize", {"width": 60})
        get_client().save_stack(Stack(name=stack, operations=(resize,)))

    for address in (
        "/",
        f"/photo/{photo.pk}/",
        "/admin/gallery/photo/",
        "/admin/rokka/sourceimage/",
        f"/admin/rokka/sourceimage/{image.pk}/change/",
        f"/admin/gallery/photo/{photo.pk}/change/",
    ):
        page = show(address)
        drawn = page.evaluate("[...document.images].filter(i => i.naturalWidth).length")
        assert drawn > 0, address
    page.click(".rokka-image-input__pick")
    page.wait_for_selector(".rokka-picker__choice img")
    assert page.evaluate("window.hacked") is None


def test_nor_where_it_is_opened_by_itself(
    rokka_emulator: Emulator, show: Callable[..., Any]
) -> None:
    photo = Photo(title="Drawing")
    photo.image.save("drawing.svg", ContentFile(SCRIPT))
    source = photo.image.render_url("dynamic", options={"source_file": True})

    for address in (photo.image.url, source):
        page = show(address)
        assert page.evaluate("document.documentElement.tagName") == "svg"


def test_nor_while_it_waits_on_the_sites_own_host(
    rokka_emulator: Emulator, show: Callable[..., Any], settings: Any, tmp_path: Path
) -> None:
    settings.MEDIA_ROOT, settings.MEDIA_URL = tmp_path, "/media/"
    rokka_emulator.add_fault(Fault(status=500, times=99, method="POST"))
    settings.ROKKA = {"default": {**settings.ROKKA["default"], "ATTEMPTS": 1}}
    row = Snapshot.objects.create(photo=ContentFile(SCRIPT, "drawing.svg"))
    row.refresh_from_db()
    assert row.photo.deferred

    page = show(f"/admin/library/snapshot/{row.pk}/change/")
    with page.expect_download() as download:
        page.evaluate(f"location.href = {row.photo.url!r}")
    assert Path(download.value.path()).read_bytes() == SCRIPT
    # The same file under the name that it came with is what this is about.
    naked = tmp_path / "drawing.svg"
    naked.write_bytes(SCRIPT)
    show("/media/drawing.svg", runs=True)

    rokka_emulator.clear_faults()
    upload_pending("default")
    row.refresh_from_db()
    assert row.photo.name.endswith("/drawing.svg")
