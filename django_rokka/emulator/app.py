"""The WSGI program: routes, credentials, faults, and the log of calls.

The API is at the root. Renders are at ``/render/{organization}/…``, and at the root of the host
``{organization}.localhost``. What drives the emulator itself is below ``/_emulator``.
"""

from __future__ import annotations

import re
import threading
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote

from werkzeug.exceptions import HTTPException
from werkzeug.routing import BaseConverter, Map, Rule
from werkzeug.wrappers import Request, Response

from . import metadata, sourceimages, stacks, uploads
from .accounts import Accounts
from .answers import Refusal, answer, nothing
from .context import Context, Location
from .faults import Fault, Faults, cut, replaced, truncated
from .renders import Renderer
from .state import State

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment


#: How many calls the log holds.
_LOGGED = 100_000


@dataclass(frozen=True)
class Call:
    """One request the emulator answered; ``authenticated`` tells whether it carried credentials."""

    method: str
    path: str
    query: str
    status: int
    authenticated: bool


class _HashConverter(BaseConverter):
    regex = "[0-9a-f]{6,40}"


class _AliasConverter(BaseConverter):
    regex = "[A-Za-z0-9_]+"


def _rules() -> list[Rule]:
    images, image = "/sourceimages/<organization>", "/sourceimages/<organization>/<hash:hash>"
    alias = f"{images}/alias/<alias:alias>"
    user, dynamic = f"{image}/meta/user", f"{image}/meta/dynamic/<name>"
    stack = "/stacks/<organization>/<name>"
    table: list[tuple[str, str, Callable[..., Response]]] = [
        ("POST", images, uploads.create),
        ("GET", images, sourceimages.list_),
        ("DELETE", images, sourceimages.delete_by_binary_hash),
        ("POST", f"{images}/copy", sourceimages.copy_many),
        ("GET", f"{images}/binaryhash/<binary_hash>", sourceimages.by_binary_hash),
        ("GET", alias, sourceimages.get_alias),
        ("PUT", alias, sourceimages.set_alias),
        ("DELETE", alias, sourceimages.delete_alias),
        ("DELETE", f"{alias}/cache", sourceimages.purge_alias),
        ("GET", image, sourceimages.get),
        ("DELETE", image, sourceimages.delete),
        ("COPY", image, sourceimages.copy),
        ("POST", f"{image}/copy", sourceimages.copy),
        ("GET", f"{image}/download", sourceimages.download),
        ("POST", f"{image}/restore", sourceimages.restore),
        ("PUT", f"{image}/name", sourceimages.rename),
        ("PUT", f"{image}/options/locked", sourceimages.set_locked),
        ("PUT", f"{image}/options/protected", metadata.set_protected),
        ("POST", f"{image}/autodescription", sourceimages.autodescribe),
        ("DELETE", f"{image}/cache", sourceimages.purge),
        ("PUT", dynamic, metadata.set_dynamic_metadata),
        ("DELETE", dynamic, metadata.delete_dynamic_metadata),
        ("GET", user, metadata.read_user_metadata),
        ("PUT", user, metadata.replace_user_metadata),
        ("PATCH", user, metadata.patch_user_metadata),
        ("DELETE", user, metadata.delete_user_metadata),
        ("GET", f"{user}/<field>", metadata.read_user_metadata_field),
        ("PUT", f"{user}/<field>", metadata.set_user_metadata_field),
        ("DELETE", f"{user}/<field>", metadata.delete_user_metadata_field),
        ("GET", "/stacks/<organization>", stacks.list_),
        ("GET", stack, stacks.get),
        ("PUT", stack, stacks.save),
        ("DELETE", stack, stacks.delete),
        ("DELETE", f"{stack}/cache", stacks.purge),
        ("GET", "/organizations/<organization>", stacks.organization),
        ("GET", "/operations", stacks.operations),
        ("GET", "/stackoptions", stacks.stack_options),
    ]
    return [Rule(path, methods=[method], endpoint=function) for method, path, function in table]


_URLS = Map(
    _rules(),
    converters={"hash": _HashConverter, "alias": _AliasConverter},
    strict_slashes=False,
    merge_slashes=False,
)


class Application:
    """The emulator as a WSGI callable."""

    def __init__(self, state: State, accounts: Accounts, signing_key: str) -> None:
        self.state = state
        self.accounts = accounts
        self.faults = Faults()
        self.location: Location = "relative"
        self.revives = True
        self.allow_private = False
        # The latest only: an emulator may run for days.
        self.calls: deque[Call] = deque(maxlen=_LOGGED)
        self.renders: deque[Call] = deque(maxlen=_LOGGED)
        self._signing_key = signing_key
        self._renderer = Renderer(state, signing_key)
        self._lock = threading.Lock()
        self._resets = 0

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        request = Request(environ)
        if request.path.startswith("/_emulator/"):
            return self._control(request)(environ, start_response)
        resets = self._resets
        fault = self.faults.take(request)
        response = self._respond(request) if fault is None else self._faulty(request, fault, resets)
        # A call that hung since before a reset is nobody's any more.
        if resets == self._resets:
            self._log(request, response.status_code)
        request.close()  # drops the temporary files of an upload
        return response(environ, start_response)

    def _faulty(self, request: Request, fault: Fault, resets: int) -> Response:
        """Answer with the trouble that was asked for, before or after the work."""
        done = self._respond(request) if fault.after_work else None
        if done and fault.kind in ("status", "cut", "silence"):
            done.close()  # nobody gets it
        if fault.kind == "status":
            return _failure(fault)
        if fault.kind in ("cut", "silence"):
            self._log(request, 0)
            self.faults.wait(fault.seconds if fault.kind == "silence" else 0)
            raise cut()
        if fault.kind == "hang":
            self.faults.wait(fault.seconds)
            if resets != self._resets:
                raise cut()  # it must not work on what came after it
        response = done or self._respond(request)
        if fault.kind == "replace":
            return replaced(response, fault)
        if fault.kind == "slow":
            return self.faults.slowed(response, fault.seconds)
        return truncated(response) if fault.kind == "truncate" else response

    def _respond(self, request: Request) -> Response:
        try:
            render = _render_target(request)
            if render is not None:
                return self._render(request, *render)
            return self._answer(request)
        except Refusal as refusal:
            return refusal.response()
        except HTTPException as error:
            return Refusal(error.code or 500, error.description or error.name).response()

    def _answer(self, request: Request) -> Response:
        function, arguments = _URLS.bind_to_environ(request.environ).match()
        account = self.accounts.of(request)
        organization = arguments.get("organization", "")
        if organization:
            # Copying reads here and writes at the destination, which the call itself checks.
            copies = function in (sourceimages.copy, sourceimages.copy_many)
            write = request.method not in ("GET", "HEAD") and not copies
            self.accounts.check(account, organization, write=write)
        call = Context(
            request=request,
            account=account,
            accounts=self.accounts,
            state=self.state,
            organization=organization,
            signing_key=self._signing_key,
            location=self.location,
            revives=self.revives,
            allow_private=self.allow_private,
        )
        rest = {key: value for key, value in arguments.items() if key != "organization"}
        response: Response = function(call, **rest)
        return response

    def _render(self, request: Request, organization: str, path: str) -> Response:
        if request.method not in ("GET", "HEAD"):
            raise Refusal(405, "Renders can only be read.")
        if organization not in self.accounts.organizations:
            raise Refusal(404, f"No organization {organization!r}.")
        return self._renderer.respond(request, organization, path).make_conditional(request)

    def _log(self, request: Request, status: int) -> None:
        authenticated = "Api-Key" in request.headers or "Authorization" in request.headers
        query = re.sub(r"(^|&)sig=[^&]*", r"\1sig=…", request.query_string.decode("latin-1"))
        call = Call(request.method, request.path, query, status, authenticated)
        with self._lock:
            (self.calls if _render_target(request) is None else self.renders).append(call)

    # --- Driving the emulator -----------------------------------------------------------------

    def reset(self) -> None:
        """Forget images, stacks, aliases, calls and faults."""
        self.faults.clear()
        self.state.reset()
        self.state.listing_lag = 0.0
        self.location = "relative"
        self.revives = True
        with self._lock:
            self._resets += 1
            self.calls.clear()
            self.renders.clear()

    def _control(self, request: Request) -> Response:
        action = f"{request.method} {request.path.removeprefix('/_emulator/')}"
        try:
            return self._controlled(action, request)
        except (ValueError, TypeError) as error:
            return Refusal(400, str(error)).response()

    def _controlled(self, action: str, request: Request) -> Response:
        match action:
            case "GET calls":
                return answer([asdict(call) for call in self.calls])
            case "GET renders":
                return answer([asdict(call) for call in self.renders])
            case "POST faults":
                self.faults.add(Fault.from_json(request.get_json(force=True)))
            case "DELETE faults":
                self.faults.clear()
            case "PUT listing_lag":
                self.state.listing_lag = float(request.get_json(force=True))
            case "POST reset":
                self.reset()
            case _:
                return Refusal(404, f"No control {action!r}.").response()
        return nothing()


def _failure(fault: Fault) -> Response:
    if fault.body:
        return Response(fault.body, fault.status, headers=dict(fault.headers))
    return Refusal(fault.status, "This fault was asked for.", headers=fault.headers).response()


def _render_target(request: Request) -> tuple[str, str] | None:
    """Organization and path of a render request, as it was sent; ``None`` for an API call."""
    path = str(request.environ.get("REQUEST_URI", request.path)).partition("?")[0]
    host = request.host.partition(":")[0]
    if host.endswith(".localhost"):
        return host.removesuffix(".localhost"), path
    if match := re.fullmatch(r"/render/([^/]+)(/.*)", path):
        return unquote(match[1]), match[2]
    return None
