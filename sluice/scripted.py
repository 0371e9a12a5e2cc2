"""`sluice scripted`: stand-ins as processes, speaking the real wire formats: a model server and a helpdesk."""

import base64
import secrets
from typing import Annotated

import typer
import uvicorn
from starlette.types import ASGIApp

from infra.scripted.helpdesk_server import create_helpdesk
from infra.scripted.model_server import create_model
from sluice.terminal import console

app = typer.Typer(
    add_completion=False,
    help="Stand-ins for what Sluice talks to: real wire formats, answers without a model, failures on demand.",
    no_args_is_help=True,
)

Host = Annotated[str, typer.Option(help="Address to listen on. The control routes are open: keep it to loopback.")]
Port = Annotated[int, typer.Option(help="Port to listen on.")]


@app.command(epilog="Example: sluice scripted model --port 8800")
def model(host: Host = "127.0.0.1", port: Port = 8800) -> None:
    """Serve /v1/chat/completions as vLLM and OpenAI do; PUT /faults makes the next calls fail."""
    console.print(f"a model at http://{host}:{port}/v1")
    console.print(f"use it: MODEL_COMMODITY=vllm/scripted VLLM_BASE_URL=http://{host}:{port}/v1", soft_wrap=True)
    _serve(create_model(), host, port)


@app.command(epilog="Example: sluice scripted helpdesk --port 8810 --secret whsec_...")
def helpdesk(
    host: Host = "127.0.0.1",
    port: Port = 8810,
    secret: Annotated[str | None, typer.Option(help="Signing secret, whsec_... Default: a new one.")] = None,
) -> None:
    """Take signed webhooks (Standard Webhooks) and remember them; GET /deliveries lists what came."""
    signing = secret or "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode()
    console.print(f"a helpdesk at http://{host}:{port}/webhook")
    console.print(
        f"use it: HELPDESK=webhook HELPDESK_WEBHOOK_URL=http://{host}:{port}/webhook "
        f"HELPDESK_FIND_URL=http://{host}:{port}/webhook HELPDESK_WEBHOOK_SECRET={signing}",
        soft_wrap=True,
    )
    _serve(create_helpdesk(signing), host, port)


def _serve(application: ASGIApp, host: str, port: int) -> None:
    uvicorn.run(application, host=host, port=port, log_level="warning", access_log=False)
