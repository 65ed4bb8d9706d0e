"""Settings of the example. The environment says where rokka and the data are."""

import os
from pathlib import Path

DATA = Path(os.environ.get("EXAMPLE_DATA", Path(__file__).parent / "var"))
# Only for a site that listens on this machine alone.
SECRET_KEY = os.environ.get("EXAMPLE_SECRET_KEY", "example")
DEBUG = True
ALLOWED_HOSTS = ["localhost", "127.0.0.1"]

# The settings that django_rokka needs. With a real organization, leave the two URLs out.
_WHERE = {
    "API_KEY": os.environ.get("ROKKA_API_KEY", "demo-key"),
    "BASE_URL": os.environ.get("ROKKA_BASE_URL", "http://127.0.0.1:8899"),
    "RENDER_URL": os.environ.get("ROKKA_RENDER_URL", "http://127.0.0.1:8899/render/{organization}"),
}
_ORGANIZATION = os.environ.get("ROKKA_ORGANIZATION", "acme")


def _cropped(width: int, height: int, pixels: int) -> list[dict[str, object]]:
    """The operations of a stack that crops to a ratio, and resizes."""
    ratio = {"width": width, "height": height, "mode": "ratio"}
    return [
        {"name": "crop", "options": ratio},
        {"name": "resize", "options": {"width": pixels}},
    ]


ROKKA = {
    "default": {
        **_WHERE,
        "ORGANIZATION": _ORGANIZATION,
        "STACKS": {
            "thumbnail": {"operations": _cropped(1, 1, 320), "options": {"autoformat": True}},
            "hero": {"operations": _cropped(16, 9, 1600), "options": {"autoformat": True}},
            "mono": {
                "operations": [
                    {"name": "grayscale"},
                    {"name": "resize", "options": {"width": 400}},
                ],
                "options": {"autoformat": True},
            },
        },
    },
    # Where the admin can copy pictures to.
    "stage": {**_WHERE, "ORGANIZATION": f"{_ORGANIZATION}-stage"},
}

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_rokka",
    "example_project.gallery",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "example_project.urls"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": DATA / "example.sqlite3"}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_TZ = True
STATIC_URL = "static/"
