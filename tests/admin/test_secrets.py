"""The key of an organization is in no page of the admin."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from django_rokka import bulk
from django_rokka.admin.actions import ACTIONS
from django_rokka.emulator import Emulator
from django_rokka.emulator.faults import Fault
from django_rokka.models import BulkOperation, SourceImage
from django_rokka.testing import API_KEY
from example_project.gallery.models import Photo

pytestmark = pytest.mark.django_db(transaction=True)

TOKEN = "token-of-this-test"


@pytest.fixture
def pages(photos: list[Photo], rokka_emulator: Emulator, settings: Any) -> dict[str, str]:
    """Every kind of page that the admin has, with what a wrong key led to as well."""
    settings.ROKKA = {
        alias: {**values, "API_TOKEN": TOKEN, "ATTEMPTS": 1}
        for alias, values in settings.ROKKA.items()
    }
    user = get_user_model().objects.create_superuser("boss")
    client = Client()
    client.force_login(user)
    image = SourceImage.objects.latest("pk")
    body = f'{{"code": 403, "message": "wrong key {API_KEY}", "invalid_authentication": true}}'
    rokka_emulator.add_fault(Fault(status=403, times=1, body=body))
    operation = bulk.create(BulkOperation.Kind.LOCK, SourceImage.objects.all(), user=user)
    bulk.start(operation)
    selected = {"index": "0", "select_across": "0", "_selected_action": [image.pk]}
    addresses = [
        "/admin/",
        "/admin/rokka/sourceimage/",
        f"/admin/rokka/sourceimage/{image.pk}/change/",
        f"/admin/rokka/sourceimage/{image.pk}/history/",
        *(f"/admin/rokka/sourceimage/{image.pk}/action/{kind}/" for kind in ACTIONS),
        "/admin/rokka/bulkoperation/",
        f"/admin/rokka/bulkoperation/{operation.pk}/change/",
        f"/admin/rokka/bulkoperation/{operation.pk}/change/?live=1",
        "/admin/rokka/syncrun/",
        f"/admin/gallery/photo/{photos[0].pk}/change/",
    ]
    found = {address: client.get(address) for address in addresses}
    for action in ACTIONS.values():
        data = {**selected, "action": action.name}
        found[action.name] = client.post("/admin/rokka/sourceimage/?state=all", data)
    assert {response.status_code for response in found.values()} == {200}
    return {name: response.content.decode() for name, response in found.items()}


def test_no_page_has_a_key_or_a_token(pages: dict[str, str]) -> None:
    shown = [name for name, page in pages.items() if API_KEY in page or TOKEN in page]

    assert shown == []
    assert any("does not accept this site" in page for page in pages.values())
