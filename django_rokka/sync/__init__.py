"""Keeping the mirror true, for an organization of any size.

`run` walks through a listing, in the order of the hashes, one page after the other; `runs` sees to it
that one run at a time goes on where an interrupted one stopped; `pages` fetches ahead, `items` reads what
rokka sends, `store` writes what is new. Memory does not grow with the organization.
"""

from .run import run_sync, sync_image, sync_organization
from .runs import Busy

__all__ = ["Busy", "run_sync", "sync_image", "sync_organization"]
