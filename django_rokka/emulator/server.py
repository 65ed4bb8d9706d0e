"""`Emulator`: the WSGI program on a loopback port, on a thread of its own."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import tempfile
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path

from cheroot import wsgi
from cheroot.server import HTTPConnection

from .accounts import Accounts, Right
from .app import Application, Call
from .context import Location
from .faults import Fault
from .state import State

__all__ = ["Call", "Emulator"]

#: Calls answered at the same time; those that a fault makes hang take one each.
_THREADS = 24


class _Connection(HTTPConnection):
    def close(self) -> None:
        """Drop what a client that went away did not take: later it would be an error in a finaliser."""
        with contextlib.suppress(OSError):
            self.wfile.close()
        super().close()


class _Server(wsgi.Server):
    ConnectionClass = _Connection

    def error_log(self, msg: str = "", level: int = 20, traceback: bool = False) -> None:
        """Say what went wrong inside, but nothing of connections that break off."""
        if traceback:
            super().error_log(msg, level, traceback)


class Emulator:
    """A rokka API and renderer. Use it as a context manager, or with `start` and `stop`.

    ``data`` is the directory for its state (``None``: a temporary one), ``port`` 0 a free one. Raises
    `OSError` for a port that is taken. An upload by URL is fetched from public addresses only, unless
    ``allow_private``.

    >>> with Emulator(organizations=["acme"], api_key="test-key") as emulator:
    ...     emulator.api_url
    'http://127.0.0.1:41375'
    """

    def __init__(
        self,
        data: str | Path | None = None,
        *,
        organizations: Iterable[str] = ("acme",),
        api_key: str = "",
        host: str = "127.0.0.1",
        port: int = 0,
        allow_private: bool = False,
    ) -> None:
        self._temporary = data is None
        self._data = Path(data or tempfile.mkdtemp(prefix="rokka-emulator-"))
        self._accounts = Accounts(tuple(organizations))
        if api_key:
            self.add_key(api_key, dict.fromkeys(self._accounts.organizations, "write"))
        names = ",".join(self._accounts.organizations)
        #: The organizations' signing key: the same for the same organizations.
        self.signing_key = hashlib.sha256(f"signing {names}".encode()).hexdigest()[:32]
        self.application = Application(State(self._data), self._accounts, self.signing_key)
        self.application.allow_private = allow_private
        self._host, self._port = host, port
        self._server: wsgi.Server | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> Emulator:
        """Listen; answers are served from threads when this returns."""
        server = _Server(
            (self._host, self._port),
            self.application,
            numthreads=_THREADS,
            request_queue_size=128,
            timeout=60,
            shutdown_timeout=2,
        )
        # So many clients may keep their connection; beyond its own limit of 10, cheroot closes each after its answer.
        server.keep_alive_conn_limit = 128
        server.prepare()
        self._port = server.bind_addr[1]
        self._server = server
        self._thread = threading.Thread(target=server.serve, daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        """Stop listening; hanging calls are let go. A temporary data directory is removed."""
        self.application.faults.stopping.set()
        if self._server is not None and self._thread is not None:
            self._server.stop()
            self._thread.join()
            self._server = None
        if self._temporary:
            shutil.rmtree(self._data, ignore_errors=True)

    def __enter__(self) -> Emulator:
        return self.start()

    def __exit__(self, *exc: object) -> None:
        self.stop()

    @property
    def api_url(self) -> str:
        """The API's base URL."""
        return f"http://{self._host}:{self._port}"

    @property
    def render_url(self) -> str:
        """The template of render addresses: it holds a literal ``{organization}``."""
        return f"{self.api_url}/render/{{organization}}"

    # --- Accounts -----------------------------------------------------------------------------

    @property
    def organizations(self) -> tuple[str, ...]:
        """The organizations there are."""
        return self._accounts.organizations

    @property
    def paying(self) -> set[str]:
        """The organizations that pay: all, unless one is taken out of this set."""
        return self._accounts.paying

    def add_key(self, key: str, rights: Mapping[str, Right]) -> None:
        """Add an API key with rights: organization → ``"read"`` or ``"write"``."""
        self._accounts.add_key(key, rights)

    def add_token(self, token: str, rights: Mapping[str, Right]) -> None:
        """The same for a bearer token."""
        self._accounts.add_token(token, rights)

    # --- Trouble, and what happened -----------------------------------------------------------

    def add_fault(self, fault: Fault) -> None:
        """Let a fault happen to the next calls that match it."""
        self.application.faults.add(fault)

    def clear_faults(self) -> None:
        """Forget the faults that have not happened yet."""
        self.application.faults.clear()

    @property
    def listing_lag(self) -> float:
        """How many seconds listings are behind."""
        return self.application.state.listing_lag

    @listing_lag.setter
    def listing_lag(self, seconds: float) -> None:
        self.application.state.listing_lag = seconds

    @property
    def location(self) -> Location:
        """The form of ``Location`` headers: ``"relative"``, ``"absolute"`` or ``"missing"``."""
        return self.application.location

    @location.setter
    def location(self, form: Location) -> None:
        self.application.location = form

    @property
    def revives(self) -> bool:
        """Whether a deleted image lives again when it is the target of a change of hash."""
        return self.application.revives

    @revives.setter
    def revives(self, value: bool) -> None:
        self.application.revives = value

    @property
    def calls(self) -> list[Call]:
        """The API calls so far, the oldest first."""
        return list(self.application.calls)

    @property
    def renders(self) -> list[Call]:
        """The render requests so far."""
        return list(self.application.renders)

    def reset(self) -> None:
        """Forget images, stacks, aliases, calls and faults; organizations and keys stay."""
        self.application.reset()
