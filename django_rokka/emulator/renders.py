"""Render URLs: ``/{stack}[/{config}]/{id}[/{slug}].{format}``, caching headers and signatures.

Sources: the render, stacks and protected images chapters of rokka's documentation. Choices: a stack's
expressions other than a plain ``$variable`` are refused; a signature may cover the URL with or without
its slug, since the official clients differ.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any
from urllib.parse import unquote

from werkzeug.wrappers import Request, Response

from . import pipeline, stacks
from .answers import Refusal
from .catalogue import OPTION_ALIASES
from .formats import MIMETYPES
from .operations import flag
from .pipeline import Recipe, Step
from .state import Image, State

_ID = re.compile(r"(?P<hash>[0-9a-f]{6,40})|-_(?P<alias>[0-9A-Za-z_]+)_-")
_YEAR = "public, max-age=31536000, immutable"


@dataclass(frozen=True)
class RenderURL:
    """The parts of a render URL. ``path`` is what a signature covers, ``bare`` the same without the slug."""

    stack: str
    hash: str
    alias: str
    format: str
    path: str
    bare: str
    steps: tuple[Step, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    variables: Mapping[str, Any] = field(default_factory=dict)


def parse(path: str) -> RenderURL:
    """Take a path apart, from behind the organization. Raises a 404 `Refusal` if it is none."""
    segments = path.strip("/").split("/")
    found = [(index, _ID.fullmatch(part.split(".")[0])) for index, part in enumerate(segments)]
    ids = [(index, match) for index, match in found if match and index > 0]
    if not ids or len(segments) - ids[0][0] > 2 or "." not in segments[-1]:
        raise Refusal(404, "This is no render URL; expected /stack/hash/slug.format.")
    index, match = ids[0]
    format = segments[-1].rpartition(".")[2].lower()
    identifier = segments[index].split(".")[0]
    steps, options, variables = _parse_config(unquote("--".join(segments[1:index])))
    return RenderURL(
        stack=segments[0],
        hash=match["hash"] or "",
        alias=match["alias"] or "",
        format={"jpeg": "jpg"}.get(format, format),
        path="/" + "/".join(segments),
        bare="/" + "/".join([*segments[:index], f"{identifier}.{format}"]),
        steps=steps,
        options=options,
        variables=variables,
    )


def _parse_config(
    config: str,
) -> tuple[tuple[Step, ...], dict[str, Any], dict[str, Any]]:
    steps: list[Step] = []
    options: dict[str, Any] = {}
    variables: dict[str, Any] = {}
    for part in filter(None, config.split("--")):
        name, *tokens = part.split("-")
        if len(tokens) % 2:
            raise Refusal(400, f"{part!r} is not an operation with pairs of option and value.")
        values = dict(zip(tokens[::2], tokens[1::2], strict=True))
        if name in ("o", "options"):
            options |= {OPTION_ALIASES.get(key, key): value for key, value in values.items()}
        elif name in ("v", "variables"):
            variables |= values
        else:
            steps.append((name, values))
    return tuple(steps), options, variables


class Renderer:
    """Answers render URLs from the state; keeps what it rendered on disk."""

    def __init__(self, state: State, signing_key: str) -> None:
        self._state = state
        self._signing_key = signing_key

    def respond(self, request: Request, organization: str, path: str) -> Response:
        """Answer one render request. ``path`` is what follows the organization, as it was sent."""
        url = parse(path)
        image = self._image(organization, url)
        recipe = self._recipe(request, organization, url)
        if image.protected or flag(recipe.options.get("protected", False)):
            self._check_signature(request, url)
        response = self._deliver(image, recipe)
        if url.stack.startswith("_preview"):
            response.headers["Cache-Control"] = "no-store"
        return response

    def _image(self, organization: str, url: RenderURL) -> Image:
        with self._state.reading() as db:
            hash = url.hash
            if url.alias:
                row = db.execute(
                    "SELECT hash FROM aliases WHERE organization = ? AND alias = ?",
                    (organization, url.alias),
                ).fetchone()
                hash = row["hash"] if row else "-"
            image = self._state.find(db, organization, hash)
        if image is None:
            raise Refusal(404, f"No image {url.hash or url.alias!r} to render.")
        return image

    def _recipe(self, request: Request, organization: str, url: RenderURL) -> Recipe:
        variables = {**url.variables, **_query_variables(request)}
        steps, options = url.steps, dict(url.options)
        if url.stack != "dynamic":
            steps, options, variables = self._with_stack(organization, url, variables)
        steps = tuple((name, _filled(values, variables)) for name, values in steps)
        format = _autoformat(request, url.format, options)
        return Recipe(steps, format, _filled(options, variables))

    def _with_stack(
        self, organization: str, url: RenderURL, variables: Mapping[str, Any]
    ) -> tuple[tuple[Step, ...], dict[str, Any], dict[str, Any]]:
        stack = stacks.find(self._state, organization, url.stack)
        if stack["stack_expressions"]:
            raise Refusal(400, "The emulator does not support expressions of a stack.")
        options = {**stack["stack_options"], **url.options}
        steps = _steps_of(stack)
        variables = {**stack["stack_variables"], **variables}
        if name := stack["stack_options"].get("basestack"):
            base = stacks.find(self._state, organization, name)
            steps, variables = _steps_of(base) + steps, {**base["stack_variables"], **variables}
        return _overridden(steps, url.steps), options, variables

    def _deliver(self, image: Image, recipe: Recipe) -> Response:
        original = self._state.binary(image.binary_hash)
        if flag(recipe.options.get("source_file", False)):
            return _answer(original.read_bytes(), image.mimetype, recipe)
        body = self._cached(image, recipe)
        return _answer(body, MIMETYPES.get(recipe.format, "text/plain"), recipe)

    def _cached(self, image: Image, recipe: Recipe) -> bytes:
        plan = json.dumps([recipe.steps, recipe.options, recipe.format], sort_keys=True)
        key = hashlib.sha256(f"{image.organization}/{image.hash}/{plan}".encode()).hexdigest()
        path = self._state.renders / key[:2] / key
        if path.exists():
            return path.read_bytes()
        body = pipeline.render(image, self._state.binary(image.binary_hash), recipe)
        self._state.keep_render(path, body)
        return body

    def _check_signature(self, request: Request, url: RenderURL) -> None:
        """Refuse what is not signed. Compared in constant time."""
        raw = str(request.environ.get("REQUEST_URI", request.full_path))
        sent_path, _, query = raw.partition("?")
        rest = "&".join(part for part in query.split("&") if part and not part.startswith("sig="))
        # The path as sent has a prefix that the render host of the service has not.
        prefix = sent_path[: len(sent_path) - len(url.path)]
        paths = [url.path, url.bare, prefix + url.path, prefix + url.bare]
        expected = [self._signature(f"{path}?{rest}" if rest else path) for path in paths]
        given = request.args.get("sig", "")
        matches = [hmac.compare_digest(one.encode(), given.encode()) for one in expected]
        if not any(matches):
            raise Refusal(403, "This image needs a signed URL.")
        _check_expiry(request.args.get("sigopts"))

    def _signature(self, text: str) -> str:
        return hashlib.sha256(f"{text}:{self._signing_key}".encode()).hexdigest()[:16]


def _check_expiry(options: str | None) -> None:
    if options is None:
        return
    try:
        until = datetime.fromisoformat(json.loads(options)["until"].replace("Z", "+00:00"))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise Refusal(403, "The signature's options cannot be read.") from None
    until = until if until.tzinfo else until.replace(tzinfo=timezone.utc)
    if until < datetime.now(timezone.utc):
        raise Refusal(403, "The signed URL has expired.")


def _query_variables(request: Request) -> dict[str, Any]:
    try:
        variables = json.loads(request.args.get("v", "{}"))
    except ValueError:
        raise Refusal(400, "The query parameter v is not JSON.") from None
    return variables if isinstance(variables, dict) else {}


def _steps_of(stack: Mapping[str, Any]) -> tuple[Step, ...]:
    steps: list[Step] = []
    for operation in stack["stack_operations"]:
        expressions = operation.get("expressions") or {}
        values = {key: f"[{value}]" for key, value in dict(expressions).items()}
        steps.append((operation["name"], {**dict(operation.get("options") or {}), **values}))
    return tuple(steps)


def _overridden(steps: tuple[Step, ...], overrides: tuple[Step, ...]) -> tuple[Step, ...]:
    """Options in the URL replace those of the step with that name; a step that is lacking is added."""
    result = list(steps)
    for name, values in overrides:
        index = next((i for i, (own, _) in enumerate(result) if own == name), None)
        if index is None:
            result.append((name, values))
        else:
            result[index] = (name, {**result[index][1], **values})
    return tuple(result)


def _filled(values: Mapping[str, Any], variables: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _evaluated(value, variables) for key, value in values.items()}


def _evaluated(value: Any, variables: Mapping[str, Any]) -> Any:
    if not isinstance(value, str) or not (value.startswith("[") and value.endswith("]")):
        return value
    match = re.fullmatch(r"\[\$(\w+)\]", value)
    if match is None:
        raise Refusal(400, f"The emulator does not support the expression {value[1:-1]!r}.")
    if match[1] not in variables:
        raise Refusal(400, f"The variable {match[1]!r} has no value.")
    return variables[match[1]]


def _autoformat(request: Request, format: str, options: Mapping[str, Any]) -> str:
    """With the option ``autoformat``, WebP for browsers that take it, in place of JPEG and PNG."""
    if not flag(options.get("autoformat", False)) or format not in ("jpg", "png"):
        return format
    accept = request.headers.get("Accept", "")
    if "image/avif" in accept and "avif" in str(options.get("autoformat.include", "")):
        return "avif"
    return "webp" if "image/webp" in accept else format


def _answer(body: bytes, mimetype: str, recipe: Recipe) -> Response:
    response = Response(body, mimetype=mimetype)
    response.headers["Cache-Control"] = _YEAR
    response.headers["X-Content-Type-Options"] = "nosniff"
    if mimetype == MIMETYPES["svg"]:
        # A drawing opened by itself must not run scripts.
        policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox"
        response.headers["Content-Security-Policy"] = policy
    if flag(recipe.options.get("autoformat", False)):
        response.headers["Vary"] = "Accept"
    if recipe.options.get("content_disposition") == "attachment":
        response.headers["Content-Disposition"] = "attachment"
    response.add_etag()
    return response
