"""An admin as our users write it: pictures in forms, in inlines, deferred, shown read-only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import path

from django_rokka.admin import SourceImageAdmin
from django_rokka.models import SourceImage
from example_project.gallery.admin import PhotoAdmin
from example_project.gallery.models import Photo
from tests.library.models import (
    Article,
    Captioned,
    Figure,
    Headline,
    Portrait,
    Poster,
    Slide,
    Snapshot,
)

site = admin.AdminSite()


class StackedFigures(admin.StackedInline):  # type: ignore[type-arg]
    """One below the other."""

    model = Figure
    extra = 1


class TabularFigures(admin.TabularInline):  # type: ignore[type-arg]
    """In a table."""

    model = Figure
    extra = 1


@admin.register(Article, site=site)
class ArticleAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """An article and its figures."""

    inlines = [StackedFigures]


@admin.register(Headline, site=site)
class HeadlineAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """The same rows, as a table."""

    inlines = [TabularFigures]


site.register(Photo, PhotoAdmin)
site.register(SourceImage, SourceImageAdmin)
site.register([Captioned, Portrait, Poster, Slide, Snapshot])

urlpatterns = [
    path("admin/", site.urls),
    # A browser asks for it on its own account.
    path("favicon.ico", lambda request: HttpResponse(status=204)),
]


def strict(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[..., Any]:
    """A middleware: nothing inline, nothing from elsewhere but pictures."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        # What drives the browser evaluates expressions; our scripts do not.
        response["Content-Security-Policy"] = (
            "default-src 'none'; script-src 'self' 'unsafe-eval'; style-src 'self'; img-src * data:; "
            "connect-src 'self'; form-action 'self'; base-uri 'none'"
        )
        return response

    return middleware
