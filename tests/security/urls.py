"""The example site, with an admin for the library and its uploads served by the site itself."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import include, path
from django.views.static import serve

from tests.admin.widget_site import site


def media(request: HttpRequest, name: str) -> Any:
    """As a web server does it that goes by the file's name."""
    from django.conf import settings

    return serve(request, name, document_root=settings.MEDIA_ROOT)


urlpatterns = [
    path("admin/", site.urls),
    path("favicon.ico", lambda request: HttpResponse(status=204)),
    path("media/<path:name>", media),
    path("", include("example_project.urls")),
]
