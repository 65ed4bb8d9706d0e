"""`SyncRunAdmin`: how the mirror was synced."""

from __future__ import annotations

from django.contrib import admin
from django.http import HttpRequest


class SyncRunAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Look at sync runs. Nothing can be changed here."""

    list_display = [
        "organization",
        "kind",
        "started",
        "finished",
        "complete",
        "seen",
        "created_images",
        "changed",
        "deleted",
        "malformed",
    ]
    list_filter = ["kind", "complete"]
    ordering = ["-started"]
    date_hierarchy = None

    @admin.display(description="created")
    def created_images(self, run: object) -> int:
        """How many images were new."""
        return int(run.created)  # type: ignore[attr-defined]

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody: runs are started by commands, tasks and actions."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Nobody."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Nobody."""
        return False
