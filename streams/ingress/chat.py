"""Web chat: sessions for browsers, messages in, and a stream of what becomes of them.

POST /v1/chat/sessions   a session, by an API key
POST /v1/chat/messages   a message, by a session
GET  /v1/chat/events     statuses and answers as server-sent events, by a session
"""

import asyncio
from contextlib import suppress
from datetime import datetime
from typing import Annotated
from uuid import uuid4

from fastapi import APIRouter, Depends, Header, Query, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, Field
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from processors.ingress.chat import (
    MAX_TEXT,
    BadSession,
    ChatMessage,
    ChatSession,
    SessionRequest,
    open_session,
    receive_chat,
)
from streams.ingress.doors import (
    Accepted,
    Authenticated,
    ChatDoor,
    Doors,
    InDoors,
    accept,
    body_of,
    parsed,
    posting,
    problems,
)
from streams.ingress.feed import ChatStream, TooManyStreams
from streams.ingress.outcomes import Place
from streams.ingress.problem import Refused

JSON = "application/json"
MAX_BODY = 8 * MAX_TEXT  # bytes; a character takes six at most, written as an escape
PREFIX = "/v1/chat/"

routes = APIRouter(tags=["chat"])


class Opened(BaseModel):
    """A session for one conversation."""

    session: str = Field(description="The token. It is all that a browser needs, and the only thing it may hold.")
    conversation: str
    expires_at: datetime


# -- who asks


def chat_of(doors: InDoors) -> ChatDoor:
    """The chat's door.

    Raises:
        Refused: 404, there is none here.
    """
    if doors.chat is None:
        raise Refused(404, "web chat is not set up here: set SLUICE_CHAT_SECRET")
    return doors.chat


InChat = Annotated[ChatDoor, Depends(chat_of)]
_token = HTTPBearer(auto_error=False, scheme_name="ChatSession", description="The token of a chat session.")


def session_of(
    doors: InDoors,
    chat: InChat,
    bearer: Annotated[HTTPAuthorizationCredentials | None, Security(_token)],
) -> ChatSession:
    """The session that came with the request, before anything of its body is read.

    Raises:
        Refused: 401, there is none, it was not signed here, or it has expired.
    """
    return _read(bearer.credentials if bearer else None, chat, doors)


def streaming_session_of(
    doors: InDoors,
    chat: InChat,
    bearer: Annotated[HTTPAuthorizationCredentials | None, Security(_token)],
    session: Annotated[
        str | None, Query(description="The token, for a browser's EventSource, which can set no header.")
    ] = None,
) -> ChatSession:
    """As `session_of`, by the query too."""
    return _read(bearer.credentials if bearer else session, chat, doors)


def _read(token: str | None, chat: ChatDoor, doors: Doors) -> ChatSession:
    try:
        if token:
            return chat.sessions.read(token, doors.clock.now())
        detail = "send the session as Authorization: Bearer TOKEN"
    except BadSession as error:
        detail = str(error)
    raise Refused(401, detail, field="Authorization", headers={"WWW-Authenticate": "Bearer"})


# -- what they ask


@routes.post(f"{PREFIX}sessions", **posting(SessionRequest, JSON) | {"status_code": 201, "tags": []})
async def post_session(request: Request, doors: InDoors, chat: InChat, key: Authenticated) -> Opened:
    """Open a session. A key of scope service proves the customer it names; without one the session is anonymous."""
    asked = parsed(SessionRequest, await body_of(request, JSON, doors.limits.ticket_bytes))
    session = open_session(asked, key=key, random_id=uuid4(), expires_at=doors.clock.now() + chat.lasts)
    return Opened(session=chat.sessions.sign(session), conversation=session.conversation, expires_at=session.expires_at)


@routes.post(f"{PREFIX}messages", **posting(ChatMessage, JSON) | {"tags": []})
async def post_message(
    request: Request, doors: InDoors, chat: InChat, session: Annotated[ChatSession, Depends(session_of)]
) -> Accepted:
    """Take a customer's message. Sent again under the same message_id, it is the same ticket."""
    message = parsed(ChatMessage, await body_of(request, JSON, min(MAX_BODY, doors.limits.ticket_bytes)))
    received_at, began = doors.clock.now(), doors.clock.monotonic()
    ticket = await asyncio.to_thread(
        receive_chat, message, session=session, received_at=received_at, language=doors.language
    )
    accepted = await accept(ticket, began, request, doors)
    chat.feed.progress(ticket.conversation, ticket.ticket_id, "received")
    return accepted


@routes.get(
    f"{PREFIX}events",
    response_class=Response,
    responses=problems(401, 404, 429, 503) | {200: {"content": {"text/event-stream": {}}}},
)
async def get_events(
    doors: InDoors,
    chat: InChat,
    session: Annotated[ChatSession, Depends(streaming_session_of)],
    last_event_id: Annotated[str | None, Header(description="The last event that was seen: goes on behind it.")] = None,
) -> Response:
    """Follow the session's conversation: `status`, `answer`, `handed_over`, `acknowledged`.

    Without a Last-Event-ID it begins with all that is still known of the conversation.
    """
    return EventStream(doors, chat, session, Place.parse(last_event_id))


# -- the stream


class EventStream(Response):
    """Server-sent events until the reader leaves, the session ends, the edge stops or the reader is too slow."""

    media_type = "text/event-stream"

    def __init__(self, doors: Doors, chat: ChatDoor, session: ChatSession, after: Place | None) -> None:
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._doors, self._chat, self._session, self._after = doors, chat, session, after

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one reader.

        Raises:
            Refused: 429 or 503, so many streams are open that this one is not.
        """
        stream = self._open()
        tasks = {asyncio.create_task(self._pump(stream, send)), asyncio.create_task(_gone(receive))}
        try:
            ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in ended:
                task.result()
        finally:
            self._chat.feed.leave(self._session.conversation, stream)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _open(self) -> ChatStream:
        try:
            return self._chat.feed.open(self._session.conversation, self._after)
        except TooManyStreams as error:
            raise Refused(429 if error.of_conversation else 503, str(error), headers={"Retry-After": "5"}) from None

    async def _pump(self, stream: ChatStream, send: Send) -> None:
        """A reader that does not take an event in time is left alone with a broken stream, and comes back."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        try:
            await self._write(send, f"retry: {self._chat.retry_ms}\n\n".encode())
            while not stream.ended and self._doors.clock.now() < self._session.expires_at:
                event = await stream.next(self._chat.heartbeat)
                await self._write(send, event.encoded if event else b":\n\n")
            if stream.too_slow:
                self._doors.metrics.chat_cut.inc()
        except TimeoutError:
            self._doors.metrics.chat_cut.inc()
            return
        with suppress(TimeoutError):
            await self._write(send, b"", more=False)

    async def _write(self, send: Send, chunk: bytes, *, more: bool = True) -> None:
        async with asyncio.timeout(self._chat.send_within):
            await send({"type": "http.response.body", "body": chunk, "more_body": more})


async def _gone(receive: Receive) -> None:
    """Return once the reader has left."""
    while (await receive())["type"] != "http.disconnect":
        pass


# -- other origins


class ChatCors:
    """Lets pages of the named origins use the chat, and nothing else of the edge."""

    def __init__(self, app: ASGIApp, origins: tuple[str, ...]) -> None:
        self._app = app
        self._chat = CORSMiddleware(
            app,
            allow_origins=origins,
            allow_methods=("GET", "POST"),
            allow_headers=("Authorization", "Content-Type", "Last-Event-ID"),
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        chat = scope["type"] == "http" and scope["path"].startswith(PREFIX)
        await (self._chat if chat else self._app)(scope, receive, send)
