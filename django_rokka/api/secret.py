"""`Secret`: a key or token that does not show where values are shown.

Django's debug page, its error mails and error trackers show the local variables of all frames by their
`repr`, those of requests and urllib3 as well. So a key hides its own.
"""

from __future__ import annotations

from typing import Any


class Secret(str):
    """A text that is used as it is, but has no `repr`, and is not pickled."""

    __slots__ = ()

    def __new__(cls, value: str | None = "") -> Secret:
        return super().__new__(cls, value or "")

    def __repr__(self) -> str:
        return "'…'" if self else "''"

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: object) -> Secret:
        return self

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise TypeError("a key or token is not pickled; pass the alias instead")
