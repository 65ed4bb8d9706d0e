"""Images in Django, uploaded once to rokka.io and rendered at any size from a URL."""

__version__ = "0.1.0"
