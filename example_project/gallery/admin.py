"""The gallery in the admin: the field brings its own widget with a preview."""

from django.contrib import admin
from django.utils.html import format_html
from django.utils.safestring import SafeString

from .models import Photo


@admin.register(Photo)
class PhotoAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Add, replace and sort pictures."""

    list_display = ["thumbnail", "title", "dimensions", "position"]
    list_display_links = ["thumbnail", "title"]
    list_editable = ["position"]
    search_fields = ["title", "alt"]

    @admin.display(description="picture")
    def thumbnail(self, photo: Photo) -> SafeString:
        """A small render."""
        if not photo.image:
            return format_html("–")
        url = photo.image.render_url("thumbnail")
        return format_html('<img src="{}" width="60" height="60" alt="" loading="lazy">', url)

    @admin.display(description="size")
    def dimensions(self, photo: Photo) -> str:
        """Width and height in pixels."""
        return f"{photo.width} × {photo.height}" if photo.width else "–"
