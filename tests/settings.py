"""Settings for our own tests: SQLite, rokka at the emulator (see `django_rokka.testing`)."""

import os
import tempfile

SECRET_KEY = "only for tests"
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "django_rokka",
    "tests.library",
    "example_project.gallery",
]
# A file for each process: all threads of a live server would share one connection to a database in memory,
# and so stand in each other's transactions. Its real name too is a file: the server looks at that.
folder = tempfile.TemporaryDirectory(prefix="rokka-tests-")
DATABASES = {
    name: {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.path.join(folder.name, name),
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            "timeout": 30,
            "init_command": "PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF",
        },
        "TEST": {"NAME": os.path.join(folder.name, f"{name}-test")},
    }
    for name in ("default", "other")
}
LIBRARY_COVER_MODEL = "library.Jacket"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
ROOT_URLCONF = "example_project.urls"
STATIC_URL = "/static/"
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
USE_TZ = True
TIME_ZONE = "Europe/Zurich"
# Port 9 discards: a test that does not use the emulator must not reach anything.
ROKKA = {
    "default": {
        "ORGANIZATION": "acme",
        "API_KEY": "unused",
        "BASE_URL": "http://127.0.0.1:9",
        "RENDER_URL": "http://127.0.0.1:9/render/{organization}",
        "REFERENCES": ["library.Page.hero", "library.Page.data__blocks__0__image"],
        "RICH_TEXT": ["library.Page.body"],
        # Tests may ask the other one only if they say so.
        "DATABASES": ["default"],
    },
    "stage": {
        "ORGANIZATION": "acme-stage",
        "API_KEY": "unused",
        "BASE_URL": "http://127.0.0.1:9",
        "DATABASES": ["default"],
    },
}
# Tasks run at once, in the test's own process.
CELERY_TASK_ALWAYS_EAGER = True
CELERY_TASK_EAGER_PROPAGATES = True
