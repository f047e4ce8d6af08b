"""Links that nobody can guess or alter: signed, for one conversation, with two valid secrets during a rotation."""

from collections.abc import Sequence

import msgspec
from itsdangerous import BadSignature, URLSafeSerializer

_SALT = "choice page"


class Link(msgspec.Struct, frozen=True):
    """Whose page a link opens. It holds no personal data, but it is a key: it is never logged."""

    order_id: str
    conversation_id: str


class Links:
    """`secrets` are oldest first; the last one signs, all of them open."""

    def __init__(self, secrets: Sequence[str], public_url: str) -> None:
        self._serializer = URLSafeSerializer(list(secrets), salt=_SALT)
        self._public_url = public_url.rstrip("/")

    def url(self, link: Link) -> str:
        return f"{self._public_url}/c/{self.token(link)}"

    def token(self, link: Link) -> str:
        token = self._serializer.dumps([link.order_id, link.conversation_id])
        return token if isinstance(token, str) else token.decode()

    def open(self, token: str) -> Link | None:
        """None for anything that we did not sign."""
        try:
            order_id, conversation_id = self._serializer.loads(token)
        except (BadSignature, ValueError, TypeError):
            return None
        return Link(order_id, conversation_id)
