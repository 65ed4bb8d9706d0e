"""Wagtail's admin, its image server, and the pages."""

from django.http import HttpResponse
from django.urls import include, path, re_path
from wagtail import urls as wagtail_urls
from wagtail.admin import urls as wagtailadmin_urls
from wagtail.documents import urls as wagtaildocs_urls
from wagtail.images.views.serve import ServeView

urlpatterns = [
    path("favicon.ico", lambda request: HttpResponse(status=204)),
    path("admin/", include(wagtailadmin_urls)),
    path("documents/", include(wagtaildocs_urls)),
    re_path(
        r"^images/([^/]*)/(\d*)/([^/]*)/.*$",
        ServeView.as_view(action="redirect"),
        name="wagtailimages_serve",
    ),
    path("", include(wagtail_urls)),
]
