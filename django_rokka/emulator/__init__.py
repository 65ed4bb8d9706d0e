"""A rokka API and renderer on a loopback port, for demos and tests: no account, no network.

It is a house of its own. It imports nothing of the rest of django_rokka, nor Django, nor requests, so
that it stays an independent check of the client. Its rooms, from the street in:

* ``__main__``: the command line; ``server``: `Emulator`, the same from Python, on a thread
* ``app``: routes and the log of calls; ``accounts``: who may do what; ``faults``: trouble on demand;
  ``context`` and ``answers``: what a call's function gets, and what it gives back
* ``sourceimages``, ``uploads``, ``metadata``, ``stacks``: the API's calls, one function each
* ``search``: listings, filters and cursors; ``state``: SQLite and the files
* ``renders``: render URLs, caching and signatures; ``expressions``: what stacks work out;
  ``pipeline``: a stack applied to a picture; ``operations``: what the steps of a stack do;
  ``catalogue``: which operations and options exist
* ``formats``: what an uploaded file is, and writing pictures in a format

What it answers is what rokka's documentation and recordings of the service show. Where those are
silent, the code says "Choice".
"""

from .faults import Fault
from .server import Call, Emulator

__all__ = ["Call", "Emulator", "Fault"]
