"""Django's own tests, run with our field and our storage."""

#: The packages of Django's tests that are about fields of files, storages and files.
PACKAGES = ("model_fields", "file_storage", "files")
