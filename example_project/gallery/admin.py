"""The gallery in the admin: the field brings its own widget with a preview."""

from django.contrib import admin

from django_rokka.admin import rokka_thumbnail

from .models import Photo

_picture = rokka_thumbnail("image", description="picture")


@admin.register(Photo)
class PhotoAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Add, replace and sort pictures."""

    list_display = [_picture, "title", "dimensions", "position"]
    list_display_links = [_picture, "title"]
    list_editable = ["position"]
    search_fields = ["title", "alt"]

    @admin.display(description="size")
    def dimensions(self, photo: Photo) -> str:
        """Width and height in pixels."""
        return f"{photo.width} × {photo.height}" if photo.width else "–"
