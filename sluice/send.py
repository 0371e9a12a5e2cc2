"""`sluice send`: hand a ticket to the edge, as text or as a raw e-mail."""

import sys
import time
from pathlib import Path
from typing import Annotated
from uuid import uuid4

import httpx
import typer
from rich import text as rich_text

from sluice.reach import api_keys, edge_url
from sluice.terminal import DOWN, USAGE, WRONG, AsJson, console, fail, print_json, read_settings, verbatim

POLL = 0.25  # seconds

Text = Annotated[str | None, typer.Argument(help="The message. `-` reads standard input.")]
Eml = Annotated[
    Path | None, typer.Option("--eml", exists=True, dir_okay=False, help="A raw RFC 5322 message instead of a text.")
]
Customer = Annotated[str | None, typer.Option(help="Who writes; proved when the key's scope is `service`.")]
Key = Annotated[str | None, typer.Option(help="API key. Default: the first one of the settings.")]
Url = Annotated[str | None, typer.Option(help="Address of the edge. Default: the running stack's.")]
Wait = Annotated[float, typer.Option(help="Seconds to wait for the outcome. 0: do not wait.")]


def send(
    text: Text = None,
    eml: Eml = None,
    subject: Annotated[str, typer.Option(help="The subject.")] = "",
    customer: Customer = None,
    conversation: Annotated[str | None, typer.Option(help="Continue this conversation.")] = None,
    key: Key = None,
    url: Url = None,
    wait: Wait = 30.0,
    as_json: AsJson = False,
) -> None:
    """Send a ticket through the edge and wait for its outcome.

    Examples:

      sluice send "Where is my order W10042?" --customer cus_0007

      sluice send --eml message.eml --wait 0
    """
    settings = read_settings()
    keys = [entry.key.get_secret_value() for entry in api_keys(settings)]
    token = key or next(iter(keys), None)
    if token is None:
        fail("no API key: give --key, or set SLUICE_API_KEYS", USAGE)
    if (text is None) == (eml is None):
        fail("give a text or --eml FILE, one of the two", USAGE)
    headers = {"Authorization": f"Bearer {token}"}
    with httpx.Client(base_url=_address(url or edge_url(settings)), headers=headers, timeout=30) as client:
        accepted = _post(client, text=text, eml=eml, subject=subject, customer=customer, conversation=conversation)
        outcome = _wait(client, accepted["ticket_id"], wait) if wait > 0 else None
    if as_json:
        print_json(accepted | {"outcome": outcome})
    else:
        _show(accepted["ticket_id"], outcome, waited=wait > 0)


def _address(url: str) -> httpx.URL:
    try:
        address = httpx.URL(url)
    except httpx.InvalidURL as error:
        fail(f"--url {url!r}: {error}", USAGE)
    if address.scheme not in ("http", "https") or not address.host:
        fail(f"--url {url!r}: write it as http://127.0.0.1:8700", USAGE)
    return address


def _post(
    client: httpx.Client,
    *,
    text: str | None,
    eml: Path | None,
    subject: str,
    customer: str | None,
    conversation: str | None,
) -> dict[str, str]:
    if eml is not None:
        request = client.build_request(
            "POST", "/v1/email", content=eml.read_bytes(), headers={"Content-Type": "message/rfc822"}
        )
    else:
        fields = {
            "subject": subject,
            "body": sys.stdin.read() if text == "-" else text,
            "customer_id": customer,
            "conversation": conversation,
        }
        given = {name: value for name, value in fields.items() if value is not None}
        request = client.build_request("POST", "/v1/tickets", json=given, headers={"Idempotency-Key": str(uuid4())})
    response = _call(client, request)
    if response.status_code != httpx.codes.ACCEPTED:
        fail(f"the edge answered {response.status_code}: {response.text}")
    return dict(response.json())


def _call(client: httpx.Client, request: httpx.Request) -> httpx.Response:
    try:
        return client.send(request)
    except httpx.TransportError as error:
        fail(f"no edge at {client.base_url}: {error}; start one with `sluice up`", DOWN)


def _wait(client: httpx.Client, ticket_id: str, seconds: float) -> dict[str, object] | None:
    """The ticket's state once it is settled, or None when the time runs out first."""
    with console.status("waiting for the outcome"):
        for _ in range(max(1, int(seconds / POLL))):
            response = _call(client, client.build_request("GET", f"/v1/tickets/{ticket_id}"))
            if response.status_code == httpx.codes.OK and response.json().get("outcome"):
                return dict(response.json())
            time.sleep(POLL)
    return None


def _show(ticket_id: str, outcome: dict[str, object] | None, *, waited: bool) -> None:
    console.print(verbatim(f"ticket {ticket_id}"))
    if outcome is None:
        if waited:
            fail("no outcome yet; ask later with `sluice trace " + ticket_id + "`", WRONG)
        return
    console.print(
        rich_text.Text.assemble(verbatim(outcome["outcome"], "bold"), "  ", verbatim(outcome.get("reason") or ""))
    )
    if outcome.get("text"):
        console.print(verbatim(outcome["text"]))
