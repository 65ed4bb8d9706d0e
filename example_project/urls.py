"""The gallery's addresses."""

from django.contrib import admin
from django.urls import path

from .gallery import views

urlpatterns = [
    path("", views.gallery, name="gallery"),
    path("photo/<int:pk>/", views.photo, name="photo"),
    path("admin/", admin.site.urls),
]
