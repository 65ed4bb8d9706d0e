"""The gallery and the page of one picture."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render

from django_rokka.prefetch import prefetch_source_images

from .models import Photo


def gallery(request: HttpRequest) -> HttpResponse:
    """All pictures, the first one large. Two queries: the rows, and what the mirror knows of their pictures."""
    lead, *photos = prefetch_source_images(Photo.objects.all()) or [None]
    return render(request, "gallery/gallery.html", {"lead": lead, "photos": photos})


def photo(request: HttpRequest, pk: int) -> HttpResponse:
    """One picture, large, and some of its looks."""
    photo = get_object_or_404(prefetch_source_images(Photo.objects.all()), pk=pk)
    return render(request, "gallery/photo.html", {"photo": photo})
