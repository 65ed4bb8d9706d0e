from __future__ import annotations

import pytest
from django.test import Client
from django.utils import timezone

from django_rokka.models import SyncRun

pytestmark = pytest.mark.django_db


def test_sync_runs_can_be_looked_at_and_not_changed(admin_client: Client) -> None:
    now = timezone.now()
    values = {"organization": "acme", "kind": "full"}
    states = {
        "running": SyncRun.objects.create(**values, running="acme", seen=1234),
        "interrupted": SyncRun.objects.create(**values),
        "complete": SyncRun.objects.create(**values, finished=now, complete=True, created=77),
        "given up": SyncRun.objects.create(**values, finished=now),
    }

    page = admin_client.get("/admin/rokka/syncrun/").content.decode()

    for state in states:
        assert f'field-state">{state}</td>' in page
    assert 'field-new_images">77</td>' in page
    detail = f"/admin/rokka/syncrun/{states['running'].pk}/change/"
    assert "1234" in admin_client.get(detail).content.decode()
    assert admin_client.post(detail, {"kind": "new"}).status_code == 403
    assert admin_client.get("/admin/rokka/syncrun/add/").status_code == 403
