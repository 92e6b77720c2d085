"""What may reach the workbench: the page itself, from this machine, with the token, in requests of bounded size."""

import json
import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.exceptions import HTTPException

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

# A head at a quarter of a millimetre, or a DICOM folder of some thousand slices.
MAX_BODY = 2**31

# What the page may load: nothing from elsewhere. The viewer makes pictures and files in memory.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self' data: blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = (
    (b"content-security-policy", _POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)


class Guard:
    """Wraps the app: refuses what the page would not send, and adds headers to every answer.

    Refused are names of other hosts (DNS rebinding), other origins, calls below `/api/` without the token, and bodies
    that are too large, whether they say so or not.
    """

    def __init__(self, app: App, *, token: str, port: int, max_body: int = MAX_BODY) -> None:  # noqa: D107
        self._app, self._token, self._max_body = app, token, max_body
        self._hosts = {f"{name}:{port}" for name in ("127.0.0.1", "localhost", "[::1]")}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102
        if scope["type"] == "lifespan":
            return await self._app(scope, receive, send)
        if scope["type"] != "http":  # a websocket, which has no use here
            return await send({"type": "websocket.close", "code": 1008})
        headers: dict[str, list[str]] = {}
        for name, value in scope["headers"]:
            headers.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
        status, reason = self._refusal(scope["path"], headers)
        if status:
            return await _answer(send, status, reason)
        received = 0

        async def bounded() -> MutableMapping[str, Any]:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._max_body:
                raise HTTPException(413, self._size())
            return message

        async def with_headers(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *_HEADERS]
            await send(message)

        await self._app(scope, bounded, with_headers)

    def _refusal(self, path: str, headers: dict[str, list[str]]) -> tuple[int, str]:
        """Status and reason; 0 if the request may pass."""
        if not set(headers.get("host", [""])) <= self._hosts:
            return 403, "this host is not the workbench, expected 127.0.0.1 or localhost"
        if not set(headers.get("origin", [])) <= {f"http://{host}" for host in self._hosts}:
            return 403, "requests from other pages are refused"
        lengths = headers.get("content-length", [])
        if any(not text.isdecimal() or int(text[:20]) > self._max_body for text in lengths):
            return 413, self._size()
        if path.startswith("/api/"):
            given = headers.get("authorization", [""])[-1].removeprefix("Bearer ")
            if not secrets.compare_digest(given.encode("latin-1"), self._token.encode()):
                return 401, "the token is missing or wrong, expected that of the address which the command printed"
        return 0, ""

    def _size(self) -> str:
        return f"is too large, expected at most {self._max_body} bytes"


async def _answer(send: Send, status: int, reason: str) -> None:
    headers = [(b"content-type", b"application/json"), (b"connection", b"close"), *_HEADERS]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps({"error": reason}).encode()})
