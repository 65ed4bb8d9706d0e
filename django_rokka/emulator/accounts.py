"""Who may do what: organizations, API keys and tokens, and the rights of each.

Source: the authentication guide and the users chapter of rokka's documentation. Keys are compared in
constant time and never shown.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from werkzeug.wrappers import Request

from .answers import Refusal

Right = Literal["read", "write"]


@dataclass(frozen=True)
class Account:
    """The rights of one key or token: organization → ``read`` or ``write``."""

    rights: Mapping[str, Right] = field(default_factory=dict)

    def may_write(self, organization: str) -> bool:
        """Whether this account may change things there."""
        return self.rights.get(organization) == "write"


class Accounts:
    """All organizations, keys and tokens of an emulator."""

    def __init__(self, organizations: tuple[str, ...]) -> None:
        self.organizations = organizations
        #: Organizations that pay, and so may purge caches, detect faces and describe images.
        self.paying: set[str] = set(organizations)
        self._keys: dict[str, Account] = {}
        self._tokens: dict[str, Account] = {}

    def add_key(self, key: str, rights: Mapping[str, Right]) -> None:
        """Let ``key`` do this in these organizations."""
        self._keys[key] = Account(dict(rights))

    def add_token(self, token: str, rights: Mapping[str, Right]) -> None:
        """The same for a token that is sent as ``Authorization: Bearer``."""
        self._tokens[token] = Account(dict(rights))

    def of(self, request: Request) -> Account:
        """The account a call is made with. The key wins over a token. Raises a 403 or 401 `Refusal`."""
        key = request.headers.get("Api-Key")
        token = request.headers.get("Authorization", "").removeprefix("Bearer ").strip()
        if key is None and token:
            account = _look_up(self._tokens, token)
            status, message = 401, "The token is wrong or has expired."
        else:
            account = _look_up(self._keys, key or "")
            status, message = 403, "The API key is missing or wrong."
        if account is None:
            raise Refusal(status, message, invalid_authentication=True)
        return account

    def check(self, account: Account, organization: str, *, write: bool) -> None:
        """Raise a 404 for an unknown organization (Choice), a 403 without the right."""
        if organization not in self.organizations:
            raise Refusal(404, f"No organization {organization!r}.")
        if organization not in account.rights or (write and not account.may_write(organization)):
            raise Refusal(403, f"Not allowed in the organization {organization!r}.")

    def check_paying(self, organization: str) -> None:
        """Raise a 403 for an organization that does not pay."""
        if organization not in self.paying:
            raise Refusal(403, "This is only available to paying customers.")


def _look_up(accounts: Mapping[str, Account], secret: str) -> Account | None:
    found = None
    for known, account in accounts.items():
        if hmac.compare_digest(known.encode(), secret.encode()):
            found = account
    return found
