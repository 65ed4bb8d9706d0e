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


# What the gallery shows, as code: ``manage.py rokka_stacks diff`` compares it with the organization.
STACKS = {
    "thumbnail": {"operations": _cropped(1, 1, 320), "options": {"autoformat": True}},
    "hero": {"operations": _cropped(16, 9, 1600), "options": {"autoformat": True}},
    "mono": {
        "operations": [
            {"name": "grayscale"},
            {"name": "resize", "options": {"width": 400}},
        ],
        "options": {"autoformat": True},
    },
    # The first picture of the gallery, on wide screens and on phones.
    "lead": {
        "operations": _cropped(5, 2, 1600),
        "options": {"autoformat": True},
        "widths": [640, 960, 1280, 1600, 2400],
        "sizes": "(min-width: 90rem) 84.6rem, 94vw",
    },
    "lead-tall": {
        "operations": _cropped(4, 5, 800),
        "options": {"autoformat": True},
        "widths": [360, 480, 640, 800, 1100],
        "sizes": "94vw",
    },
    "card": {
        "operations": [{"name": "resize", "options": {"width": 640}}],
        "options": {"autoformat": True},
        "widths": [240, 320, 480, 640, 960, 1280],
        "sizes": "(min-width: 90rem) 27.4rem, (min-width: 64rem) 30vw, (min-width: 40rem) 46vw, 94vw",
    },
    # Rendered only for URLs that are signed.
    "members": {"operations": _cropped(1, 1, 320), "options": {"protected": True}},
}
ROKKA = {
    "default": {
        **_WHERE,
        "ORGANIZATION": _ORGANIZATION,
        "STACKS": STACKS,
        "SIGNING_KEY": os.environ.get("ROKKA_SIGNING_KEY", ""),
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
