"""The admin: the images at rokka, what is done to many of them, and how the mirror was synced.

For your own admins: ``list_display = [rokka_thumbnail("photo"), …]``.
"""

from django.contrib import admin

from ..models import BulkOperation, SourceImage, SyncRun
from .images import SourceImageAdmin
from .operations import BulkOperationAdmin
from .runs import SyncRunAdmin
from .thumbnails import rokka_thumbnail

admin.site.register(SourceImage, SourceImageAdmin)
admin.site.register(BulkOperation, BulkOperationAdmin)
admin.site.register(SyncRun, SyncRunAdmin)

__all__ = ["BulkOperationAdmin", "SourceImageAdmin", "SyncRunAdmin", "rokka_thumbnail"]
