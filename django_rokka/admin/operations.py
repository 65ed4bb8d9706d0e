"""`BulkOperationAdmin`: how far bulk operations are, and what became of each image."""

from __future__ import annotations

from django.contrib import admin


class BulkOperationAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Follow, cancel and take up bulk operations."""
