"""Twilio's requests, let in only with its signature over our public URL and never by the Host header."""

from collections.abc import Awaitable, Callable, Sequence
from urllib.parse import parse_qsl

from starlette.requests import HTTPConnection, Request
from starlette.responses import Response

from connectors.edge.requests import BODY_BYTES_MAX, signed_by_twilio

Form = dict[str, str]
_SIGNATURE = "x-twilio-signature"


class Signed:
    """`tokens` are the valid auth tokens, two during a rotation; `public_url` is what Twilio was told."""

    def __init__(self, tokens: Sequence[str], public_url: str) -> None:
        self._tokens, self.public_url = tokens, public_url.rstrip("/")

    def checked(
        self, handle: Callable[[Request, Form], Awaitable[Response]]
    ) -> Callable[[Request], Awaitable[Response]]:
        """413 for a body that is too large, 403 for one that is not signed; else the handler's answer."""

        async def checked(request: Request) -> Response:
            body = b""
            async for part in request.stream():
                body += part
                if len(body) > BODY_BYTES_MAX:
                    return Response(status_code=413)
            form = dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
            return await handle(request, form) if self.fits(request, form) else Response(status_code=403)

        return checked

    def fits(self, request: HTTPConnection, form: Form, scheme: tuple[str, str] = ("", "")) -> bool:
        """Whether the request is signed; `scheme` is replaced in the URL, for sockets."""
        signature = request.headers.get(_SIGNATURE, "")
        return signed_by_twilio(self._tokens, self._url(request).replace(*scheme, 1), form, signature)

    def _url(self, request: HTTPConnection) -> str:
        """As it was signed: percent-encodings untouched."""
        path = request.scope.get("raw_path", b"").split(b"?")[0].decode("latin-1")
        query = request.scope.get("query_string", b"").decode("latin-1")
        return f"{self.public_url}{path}{'?' if query else ''}{query}"
