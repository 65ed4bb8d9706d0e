"""An admin of django-unfold, as its users write it, with pictures in forms and in inlines."""

from __future__ import annotations

from django.contrib import admin
from django.http import HttpResponse
from django.urls import path
from unfold.admin import ModelAdmin, StackedInline, TabularInline

from example_project.gallery.models import Photo
from tests.library.models import Article, Figure, Headline


class StackedFigures(StackedInline):
    """One below the other."""

    model = Figure
    extra = 1


class TabularFigures(TabularInline):
    """In a table."""

    model = Figure
    extra = 1


@admin.register(Article)
class ArticleAdmin(ModelAdmin):
    """An article and its figures."""

    inlines = [StackedFigures]


@admin.register(Headline)
class HeadlineAdmin(ModelAdmin):
    """The same rows, as a table."""

    inlines = [TabularFigures]


admin.site.unregister(Photo)


@admin.register(Photo)
class PhotoAdmin(ModelAdmin):
    """A photo."""


urlpatterns = [
    path("admin/", admin.site.urls),
    # A browser asks for it on its own account.
    path("favicon.ico", lambda request: HttpResponse(status=204)),
]
