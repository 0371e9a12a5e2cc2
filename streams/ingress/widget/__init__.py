"""The chat widget: the script that a page loads, and a page to try it on."""

import hashlib
from functools import cache
from pathlib import Path
from uuid import uuid4

from fastapi import APIRouter, Request, Response

from processors.ingress.api import ApiKey
from processors.ingress.chat import SessionRequest, open_session
from streams.ingress.chat import InChat, Opened
from streams.ingress.doors import ChatDoor, InDoors, problems
from streams.ingress.problem import Refused

HERE = Path(__file__).parent
DEMO_ACCOUNT = "widget-demo"
# The widget runs under a policy as strict as this one: no inline code, no eval, no styles but its own sheet object.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)

routes = APIRouter(tags=["chat"])


@routes.get("/widget.js", response_class=Response, responses=problems(404))
async def get_widget(request: Request, chat: InChat) -> Response:
    """The widget, for one script tag on any page."""
    script, tag = _file("widget.js")
    headers = {
        "ETag": tag,
        "Cache-Control": "public, max-age=300",
        "X-Content-Type-Options": "nosniff",
        "Cross-Origin-Resource-Policy": "cross-origin",
        "Access-Control-Allow-Origin": "*",  # a page may load it with `integrity`
    }
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(script, media_type="text/javascript", headers=headers)


@routes.get("/widget-demo", response_class=Response, include_in_schema=False)
async def get_demo(chat: InChat) -> Response:
    """A page with the widget on it, where anybody may chat without a name."""
    _demo(chat)
    headers = {"Content-Security-Policy": POLICY, "Referrer-Policy": "no-referrer", "Cache-Control": "no-store"}
    return Response(_file("demo.html")[0], media_type="text/html", headers=headers)


@routes.get("/widget-demo.css", response_class=Response, include_in_schema=False)
async def get_demo_style(chat: InChat) -> Response:
    """What the page looks like."""
    _demo(chat)
    return Response(_file("demo.css")[0], media_type="text/css")


@routes.post("/widget-demo/session", status_code=201, include_in_schema=False)
async def post_demo_session(doors: InDoors, chat: InChat) -> Opened:
    """What a site's own backend would do: open a session for its visitor, here for nobody in particular."""
    _demo(chat)
    key = ApiKey(DEMO_ACCOUNT, "customer")
    expires_at = doors.clock.now() + chat.lasts
    session = open_session(SessionRequest(), key=key, random_id=uuid4(), expires_at=expires_at)
    return Opened(session=chat.sessions.sign(session), conversation=session.conversation, expires_at=expires_at)


def _demo(chat: ChatDoor) -> None:
    if not chat.demo:
        raise Refused(404, "the demo page is not served here: set SLUICE_CHAT_DEMO=true")


@cache
def _file(name: str) -> tuple[bytes, str]:
    """A file beside this one, with its entity tag."""
    content = (HERE / name).read_bytes()
    return content, f'"{hashlib.sha256(content).hexdigest()[:16]}"'
