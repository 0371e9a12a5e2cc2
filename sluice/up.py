"""`sluice up` and `sluice down`: the whole stack in the background."""

from typing import Annotated

import typer
from rich.text import Text

from infra.kafka.local import KafkaFailed, KafkaUnavailable
from infra.postgres.local import PostgresFailed
from infra.settings import Settings
from sluice.certificate import state_of
from sluice.keys import chat_page, ensure_keys, own_files
from sluice.reach import edge_url, usable, worker_url
from sluice.stack import StackFailed, start_processes, start_services, stop_stack, undone_where_it_fails
from sluice.terminal import DOWN, AsJson, aside, console, fail, print_json, read_settings


def up(
    services: Annotated[
        bool, typer.Option("--services", help="Only Kafka and Postgres, for workers of your own.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Start Kafka and Postgres (unless the settings name yours), all workers and the edge; they stay up.

    Where a part does not come up, what this call started is stopped again.

    Without settings for it, it makes an API key, a staff key and a chat secret in SLUICE_HOME, for this machine's stack
    alone, and /widget-demo of the edge is a page to chat on.

    A fresh deployment drafts and sends nothing: `sluice switch auto --why ...` arms it.

    Examples:

      sluice up

      SLUICE_HOME=/srv/sluice sluice up --services

      sluice up --json
    """
    settings = read_settings()
    say = aside(as_json).print
    usable(settings)
    try:
        with undone_where_it_fails(settings, say):
            found = start_services(settings, allow_memory=False, say=say)
            if not services:
                ensure_keys(settings)
                start_processes(settings, say)
    except (KafkaUnavailable, KafkaFailed, PostgresFailed, StackFailed) as error:
        fail(str(error), DOWN)
    logs, keys = settings.home / "run", own_files(settings)
    if as_json:
        running = {} if services else {"edge": edge_url(settings), "worker": worker_url(settings)}
        kafka, postgres = found.kafka.bootstrap, "embedded" if found.postgres.local else "configured"
        shown = {} if services else {"chat": chat_page(settings)}
        print_json({"kafka": kafka, "postgres": postgres, **running, **shown, "logs": logs, **keys})
    else:
        if not services:
            _introduce(settings)
        made = [f"{name.replace('_', ' ')}: {path}" for name, path in keys.items() if path]
        console.print("; ".join([f"logs: {logs}", *made, "stop with `sluice down`"]), highlight=False, soft_wrap=True)


def _introduce(settings: Settings) -> None:
    """What bounds the answers, and where somebody may try it."""
    certificate = state_of(settings)
    if certificate.verdict != "ok":
        said = f" {certificate.detail} ({certificate.fix})"
        console.print(Text.assemble(("certificate:", "bold yellow"), said), soft_wrap=True)
    if (page := chat_page(settings)) is not None:
        said = (
            f"chat: {page}; `sluice queue list` shows what waits for you, `sluice switch auto --why ...` lets it answer"
        )
        console.print(said, highlight=False, soft_wrap=True)


def down(as_json: AsJson = False) -> None:
    """Stop what `sluice up` or `sluice demo` started in this SLUICE_HOME; what it holds stays.

    Examples:

      sluice down

      SLUICE_HOME=var/demo sluice down --json
    """
    stopped = stop_stack(read_settings())
    if as_json:
        print_json({"stopped": stopped})
    else:
        console.print("\n".join(f"stopped {name}" for name in stopped) or "nothing was running")
