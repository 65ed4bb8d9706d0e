"""An admin that does not have the images of rokka."""

from django.contrib import admin
from django.urls import path

urlpatterns = [path("admin/", admin.AdminSite().urls)]
