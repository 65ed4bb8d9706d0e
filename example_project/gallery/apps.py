"""The gallery app."""

from django.apps import AppConfig


class GalleryConfig(AppConfig):
    """Photographs and drawings, each at rokka."""

    name = "example_project.gallery"
    default_auto_field = "django.db.models.BigAutoField"
