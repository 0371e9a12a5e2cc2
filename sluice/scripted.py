"""`sluice scripted`: stand-ins as processes, speaking the real wire formats: a model server, a helpdesk, WhatsApp."""

import asyncio
import base64
import os
import secrets
from typing import Annotated

import typer
import uvicorn
from starlette.types import ASGIApp

from infra.clock import SystemClock
from infra.scripted.helpdesk_server import create_helpdesk
from infra.scripted.model_server import create_model
from infra.scripted.otlp_server import create_receiver
from infra.scripted.smtp_server import MailServer, Manner, create_control, posting, silent
from infra.scripted.whatsapp_server import Account, create_whatsapp
from sluice.terminal import JsonLine, commands, console, print_line

app = commands("Stand-ins for what Sluice talks to: real wire formats, answers without a model, failures on demand.")

Host = Annotated[str, typer.Option(help="Address to listen on. The control routes are open: keep it to loopback.")]
Port = Annotated[int, typer.Option(help="Port to listen on.")]


@app.command()
def model(host: Host = "127.0.0.1", port: Port = 8800, as_json: JsonLine = False) -> None:
    """Serve /v1/chat/completions as vLLM and OpenAI do; PUT /faults makes the next calls fail.

    Examples:

      sluice scripted model

      sluice scripted model --port 8800 --json
    """
    address = f"http://{host}:{port}/v1"
    _tell("a model", address, {"MODEL_COMMODITY": "vllm/scripted", "VLLM_BASE_URL": address}, as_json)
    _serve(create_model(), host, port)


@app.command()
def helpdesk(
    host: Host = "127.0.0.1",
    port: Port = 8810,
    secret: Annotated[str | None, typer.Option(help="Signing secret, whsec_... Default: a new one.")] = None,
    as_json: JsonLine = False,
) -> None:
    """Take signed webhooks (Standard Webhooks) and remember them; GET /deliveries lists what came.

    Examples:

      sluice scripted helpdesk

      sluice scripted helpdesk --port 8810 --secret whsec_...
    """
    signing = secret or "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode()
    address = f"http://{host}:{port}/webhook"
    settings = {
        "HELPDESK": "webhook",
        "HELPDESK_WEBHOOK_URL": address,
        "HELPDESK_FIND_URL": address,
        "HELPDESK_WEBHOOK_SECRET": signing,
    }
    _tell("a helpdesk", address, settings, as_json)
    _serve(create_helpdesk(signing), host, port)


@app.command()
def whatsapp(
    host: Host = "127.0.0.1",
    port: Port = 8820,
    webhook: Annotated[str, typer.Option(help="The edge's webhook.")] = "http://127.0.0.1:8700/v1/whatsapp",
    secret: Annotated[str | None, typer.Option(help="Secret of the app. Default: a new one.")] = None,
    as_json: JsonLine = False,
) -> None:
    """Stand in for Meta: take replies as the Cloud API does, and let customers write by signed webhooks.

    POST /customers/NUMBER/messages makes a customer write, GET /sent lists the replies.

    Examples:

      sluice scripted whatsapp

      curl -s 127.0.0.1:8820/customers/15550100017/messages -d '{"text": "How long is the warranty?"}'
    """
    account = Account(token=secrets.token_urlsafe(24), secret=secret or secrets.token_hex(16), webhook=webhook)
    address = f"http://{host}:{port}"
    settings = {
        "WHATSAPP_API_URL": f"{address}/v23.0",
        "WHATSAPP_ACCESS_TOKEN": account.token,
        "WHATSAPP_PHONE_NUMBER_ID": account.number,
        "WHATSAPP_APP_SECRET": account.secret,
        "WHATSAPP_VERIFY_TOKEN": secrets.token_urlsafe(16),
    }
    _tell("WhatsApp", address, settings, as_json)
    _serve(create_whatsapp(account, SystemClock()), host, port)


@app.command()
def smtp(
    host: Host = "127.0.0.1",
    port: Port = 8830,
    control: Annotated[int, typer.Option(help="Port of GET /messages and PUT /faults.")] = 8831,
    answer: Annotated[Manner | None, typer.Option(help="Let every mailbox answer by itself, in this manner.")] = None,
    edge: Annotated[str, typer.Option(help="Where the answers go.")] = "http://127.0.0.1:8700/v1/email",
    key: Annotated[str, typer.Option(help="Key of scope service for the edge, where mailboxes answer.")] = "",
    as_json: JsonLine = False,
) -> None:
    """Stand in for a mail server: take replies, refuse, dawdle, break off, and let mailboxes answer by themselves.

    Examples:

      sluice scripted smtp

      sluice scripted smtp --answer changing --key KEY

      curl -s 127.0.0.1:8831/faults -X PUT -d '{"at": "rcpt", "status": 450}'
    """
    settings = {"SMTP_HOST": host, "SMTP_PORT": str(port), "SMTP_SECURITY": "none"}
    _tell("a mail server", f"http://{host}:{control}", settings, as_json)
    server = MailServer(answering=posting(edge, key, answer) if answer else silent)
    asyncio.run(_serve_mail(server, host, port, control))


async def _serve_mail(server: MailServer, host: str, port: int, control: int) -> None:
    listener = await server.listen(host, port)
    config = uvicorn.Config(create_control(server), host=host, port=control, log_level="warning", access_log=False)
    async with listener:
        await uvicorn.Server(config).serve()


@app.command()
def otlp(host: Host = "127.0.0.1", port: Port = 8830, as_json: JsonLine = False) -> None:
    """Take traces by OTLP over HTTP and remember them; GET /spans lists what came.

    Examples:

      sluice scripted otlp

      sluice scripted otlp --port 8830 --json
    """
    address = f"http://{host}:{port}"
    _tell("a receiver of traces", address, {"OTEL_EXPORTER_OTLP_ENDPOINT": address}, as_json)
    _serve(create_receiver(), host, port)


def _tell(what: str, address: str, settings: dict[str, str], as_json: bool) -> None:
    if as_json:
        print_line({"pid": os.getpid(), "address": address, "settings": settings})
        return
    console.print(f"{what} at {address}")
    console.print("use it: " + " ".join(f"{name}={value}" for name, value in settings.items()), soft_wrap=True)


def _serve(application: ASGIApp, host: str, port: int) -> None:
    uvicorn.run(application, host=host, port=port, log_level="warning", access_log=False)
