"""Signed tokens for chat sessions: all that a browser holds, and all that is known of a session anywhere."""

import hashlib
from datetime import UTC, datetime

from itsdangerous import BadData, URLSafeSerializer

from processors.ingress.chat import BadSession, ChatSession

MAX_TOKEN = 4096  # characters


class SignedSessions:
    """Sessions as tokens signed with HMAC-SHA256 by itsdangerous. The token is readable: it holds no secret."""

    def __init__(self, secret: str) -> None:
        signing = {"key_derivation": "hmac", "digest_method": hashlib.sha256}
        self._serializer = URLSafeSerializer(secret, salt="sluice.chat-session.1", signer_kwargs=signing)

    def sign(self, session: ChatSession) -> str:
        """The token of a session; its end is cut to whole seconds."""
        expires = int(session.expires_at.timestamp())
        token: str = self._serializer.dumps([session.account, session.conversation, session.customer, expires])
        return token

    def read(self, token: str, now: datetime) -> ChatSession:
        """The session of a token.

        Raises:
            BadSession: it was not signed with this secret, or has expired.
        """
        try:
            if len(token) > MAX_TOKEN:
                raise BadSession("this session is unknown")
            account, conversation, customer, expires = self._serializer.loads(token)
        except (BadData, UnicodeError):
            raise BadSession("this session is unknown") from None
        session = ChatSession(account, conversation, customer, datetime.fromtimestamp(expires, UTC))
        if now >= session.expires_at:
            raise BadSession("this session has expired: open a new one")
        return session
