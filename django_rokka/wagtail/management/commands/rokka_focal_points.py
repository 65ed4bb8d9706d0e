"""``manage.py rokka_focal_points``: make Wagtail's focal points the subject areas at rokka."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand
from wagtail.images import get_image_model

from django_rokka.wagtail import focal_point


class Command(BaseCommand):
    """Calls `django_rokka.wagtail.focal_point`, and reports."""

    help = (
        "Make the focal point of every image of Wagtail's library its subject area at rokka, where it is "
        "not that yet: after deferred uploads, after trouble, or when a library was moved to rokka. "
        "Ends with exit code 1 if that failed for an image."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        """Publish, and tell of how many images."""
        changed = failed = total = 0
        for image, outcome in focal_point.publish_all(get_image_model()):
            total += 1
            if isinstance(outcome, Exception):
                failed += 1
                self.stderr.write(f"image {image.pk} ({image}): {outcome}")
            else:
                changed += outcome
        self.stdout.write(f"{changed} of {total} focal points were not at rokka yet and are now.")
        if failed:
            sys.exit(1)
