"""The gallery and the page of one picture."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render

from .models import Photo


def gallery(request: HttpRequest) -> HttpResponse:
    """All pictures."""
    return render(request, "gallery/gallery.html", {"photos": Photo.objects.all()})


def photo(request: HttpRequest, pk: int) -> HttpResponse:
    """One picture, large, and some of its looks."""
    return render(request, "gallery/photo.html", {"photo": get_object_or_404(Photo, pk=pk)})
