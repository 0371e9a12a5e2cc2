"""A helpdesk as a server: takes signed webhooks, remembers them, answers for a key, fails and dawdles on demand.

POST   /webhook      a signed call; the same webhook-id again gets the first answer, with another body a 409
GET    /webhook?key= what was done under a key (signed too), 404 for nothing
GET    /deliveries   everything received, also repeated calls
PUT    /faults       {"status": 503, "times": 3, "delay": 0.5, "done": false}: how the next calls fail
"""

import asyncio
import binascii
import hashlib
import json
from dataclasses import dataclass, field

from pydantic import BaseModel, Field, ValidationError
from standardwebhooks import Webhook, WebhookVerificationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route


class Faults(BaseModel):
    """How the next calls fail."""

    status: int = Field(200, ge=200, le=599)  # 200: only the delay
    times: int = Field(1, ge=0)
    delay: float = Field(0.0, ge=0)  # seconds
    done: bool = False  # the call is remembered all the same, as when an answer is lost
    retry_after: int | None = None  # seconds


@dataclass
class Received:
    """What the server remembers."""

    deliveries: list[dict[str, object]] = field(default_factory=list)
    bodies: dict[str, str] = field(default_factory=dict)  # SHA-256 of the body, by webhook-id
    references: dict[str, str] = field(default_factory=dict)  # by webhook-id
    faults: Faults = field(default_factory=lambda: Faults(times=0))


def create_helpdesk(secret: str) -> Starlette:
    """The ASGI app; `app.state.received` is what it remembers. The two control routes are open: bind it to loopback."""
    verifier, received = Webhook(secret), Received()

    async def post(request: Request) -> Response:
        body = await request.body()
        if (refusal := _refusal(verifier, request, body)) is not None:
            return refusal
        fault = await _next_fault(received)
        if fault is not None and not fault.done:
            return _failure(fault)
        answer = _remember(received, request.headers["webhook-id"], body)
        return answer if fault is None else _failure(fault)

    async def find(request: Request) -> Response:
        if (refusal := _refusal(verifier, request, b"")) is not None:
            return refusal
        reference = received.references.get(request.query_params.get("key", ""))
        return JSONResponse({"id": reference}, 200 if reference else 404)

    async def deliveries(_: Request) -> Response:
        return JSONResponse(received.deliveries)

    async def faults(request: Request) -> Response:
        try:
            received.faults = Faults.model_validate_json(await request.body())
        except ValidationError as error:
            return JSONResponse({"faults": [fault["msg"] for fault in error.errors()]}, 422)
        return Response(status_code=204)

    routes = [
        Route("/webhook", post, methods=["POST"]),
        Route("/webhook", find, methods=["GET"]),
        Route("/deliveries", deliveries),
        Route("/faults", faults, methods=["PUT"]),
    ]
    app = Starlette(routes=routes)
    app.state.received = received
    return app


def _refusal(verifier: Webhook, request: Request, body: bytes) -> Response | None:
    """401 where the signature, its age or its form is wrong; over the raw bytes, before they are parsed."""
    try:
        verifier.verify(body, dict(request.headers), json_parse=False)
    except (WebhookVerificationError, ValueError, binascii.Error):
        return JSONResponse({"fault": "the signature does not verify"}, 401)
    return None


async def _next_fault(received: Received) -> Faults | None:
    fault = received.faults
    if fault.times == 0:
        return None
    received.faults = fault.model_copy(update={"times": fault.times - 1})
    await asyncio.sleep(fault.delay)
    return None if fault.status == 200 else fault


def _failure(fault: Faults) -> Response:
    headers = {} if fault.retry_after is None else {"retry-after": str(fault.retry_after)}
    return Response(status_code=fault.status, headers=headers)


def _remember(received: Received, key: str, body: bytes) -> Response:
    digest = hashlib.sha256(body).hexdigest()
    if received.bodies.setdefault(key, _content(body)) != _content(body):
        return JSONResponse({"fault": "this webhook-id came with another body"}, 409)
    reference = received.references.setdefault(key, f"helpdesk-{len(received.references) + 1}")
    received.deliveries.append({"key": key, "id": reference, "sha256": digest, "body": json.loads(body)})
    return JSONResponse({"id": reference})


def _content(body: bytes) -> str:
    """What must be the same when an id is used again: all but the time of the call."""
    told = json.loads(body)
    return json.dumps({name: told[name] for name in sorted(told) if name != "timestamp"})
