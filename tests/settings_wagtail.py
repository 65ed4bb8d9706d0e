"""A site of Wagtail: ``pytest --ds=tests.settings_wagtail tests/wagtail``."""

import os

from tests.settings import *  # noqa: F403
from tests.settings import INSTALLED_APPS, folder

INSTALLED_APPS = [
    *INSTALLED_APPS,
    "django_rokka.wagtail",
    "tests.wagtail.pages",
    "wagtail.users",
    "wagtail.images",
    "wagtail.documents",
    "wagtail.snippets",
    "wagtail.sites",
    "wagtail.search",
    "wagtail.admin",
    "wagtail",
    "modelcluster",
    "taggit",
]
ROOT_URLCONF = "tests.wagtail.urls"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
MEDIA_ROOT = os.path.join(folder.name, "media")
WAGTAIL_SITE_NAME = "Pictures"
WAGTAILADMIN_BASE_URL = "http://localhost"
WAGTAILIMAGES_IMAGE_MODEL = "rokka_wagtail.RokkaImage"
WAGTAILIMAGES_EXTENSIONS = ["avif", "gif", "heic", "jpg", "jpeg", "png", "svg", "webp"]
# Nothing is asked of anybody else.
WAGTAIL_GRAVATAR_PROVIDER_URL = None
WAGTAIL_ENABLE_UPDATE_CHECK = False
WAGTAIL_ENABLE_WHATS_NEW_BANNER = False
