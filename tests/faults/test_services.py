"""Every service that speaks to rokka against every fault."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from django_rokka.api import RokkaClient
from django_rokka.conf import get_client, get_config
from django_rokka.models import BulkItem, BulkOperation, Claim, SourceImage, SyncRun
from django_rokka.spool import is_deferred, spool_of
from tests.library.models import Article, Captioned, Snapshot

from .grid import Grid
from .methods import METHODS
from .scenarios import Scenario
from .services import SERVICES, SILENT

pytestmark = pytest.mark.django_db(transaction=True)

_ROWS = (Article, Captioned, Snapshot)
#: What we know of rokka; a model stands before those that it points at.
_KNOWN = (BulkItem, BulkOperation, SyncRun, Claim, SourceImage)
#: What a row of the mirror says, without dates and counters.
_SAID = (
    "hash", "name", "user_metadata", "dynamic_metadata", "locked", "protected", "broken",
    "replaced_by__hash", "placeholder", "color",
)  # fmt: skip


class ServiceGrid(Grid):
    """The same with a database, and with the client that records."""

    def client(self) -> RokkaClient:
        self.pauses.hasty = [get_client(mirrors=False), get_client()]
        return get_client()

    def clean(self) -> None:
        super().clean()
        for model in (*_ROWS, *_KNOWN):
            model._base_manager.all()._raw_delete("default")

    def state(self) -> dict[str, Any]:
        mirror = SourceImage.objects.order_by("hash").values_list("deleted", "unreferenced", *_SAID)
        return {
            **super().state(),
            "rows": [_said(model) for model in _ROWS],
            "mirror": [
                (deleted is not None, unreferenced is not None, *said)
                for deleted, unreferenced, *said in mirror
            ],
            "items": list(BulkItem.objects.order_by("pk").values_list("state", flat=True)),
            "operations": list(BulkOperation.objects.values_list("state", flat=True)),
        }

    def check_nothing_is_lost(self, scenario: Scenario) -> None:
        """Every row shows a picture that is there."""
        live, spool = self.live(), spool_of(get_config())
        names = [name for model in _ROWS for name in model.objects.values_list("photo", flat=True)]
        for name in names if not scenario.breaks else ():
            there = spool.exists(name) if is_deferred(name) else name.partition("/")[0] in live
            assert there, f"a row shows {name}, which is gone"


def _said(model: Any) -> list[list[Any]]:
    """What the rows of a model hold; a file that waits in the spool has a name by chance."""
    names = [field.name for field in model._meta.concrete_fields if not field.primary_key]
    return [
        ["waits" if is_deferred(str(value)) else value for value in row]
        for row in model.objects.values_list(*names)
    ]


@pytest.fixture
def grid(parts: Any, settings: Any, tmp_path: Path) -> ServiceGrid:
    """The site has a stack of its own, and a spool."""
    settings.MEDIA_ROOT = tmp_path
    hero = {"operations": [{"name": "resize", "options": {"width": 20}}]}
    default = {**settings.ROKKA["default"], "STACKS": {"hero": hero}, "ENVIRONMENT": "live"}
    settings.ROKKA = {**settings.ROKKA, "default": default}
    return ServiceGrid(*parts)


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_meets_every_fault(
    name: str, grid: ServiceGrid, fill: Callable[..., None]
) -> None:
    fill(grid, name, SERVICES[name])


@pytest.mark.parametrize("module", SILENT)
def test_no_service_is_left_out(module: str) -> None:
    found = import_module(f"django_rokka.{module}")
    offered = {
        name
        for name, function in inspect.getmembers(found, inspect.isfunction)
        if not name.startswith("_") and function.__module__.startswith(found.__name__)
    }
    covered = {
        name.partition(",")[0].partition(".")[2]
        for name in SERVICES
        if name.startswith(f"{module}.")
    }

    assert covered | SILENT[module] == offered
    assert not covered & SILENT[module]


def test_what_is_unlike_the_rule_is_explained() -> None:
    scenarios = {**METHODS, **SERVICES}.items()

    assert [
        name for name, scenario in scenarios if bool(scenario.unlike) != bool(scenario.why)
    ] == []


def test_every_kind_of_bulk_operation_is_there() -> None:
    kinds = {
        name.removeprefix("bulk ").partition(",")[0]
        for name in SERVICES
        if name.startswith("bulk ")
    }

    assert kinds == set(BulkOperation.Kind.values)
