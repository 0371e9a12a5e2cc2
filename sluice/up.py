"""`sluice up` and `sluice down`: the whole stack in the background."""

from typing import Annotated

import typer

from infra.kafka.local import KafkaFailed, KafkaUnavailable
from infra.postgres.local import PostgresFailed
from sluice.reach import edge_url, key_file, usable, worker_url
from sluice.stack import (
    StackFailed,
    ensure_key,
    start_processes,
    start_services,
    stop_stack,
    undone_where_it_fails,
)
from sluice.terminal import DOWN, AsJson, aside, console, fail, print_json, read_settings


def up(
    services: Annotated[
        bool, typer.Option("--services", help="Only Kafka and Postgres, for workers of your own.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Start Kafka and Postgres (unless the settings name yours), all workers and the edge; they stay up.

    Where a part does not come up, what this call started is stopped again.

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
                ensure_key(settings)
                start_processes(settings, say)
    except (KafkaUnavailable, KafkaFailed, PostgresFailed, StackFailed) as error:
        fail(str(error), DOWN)
    logs, keys = settings.home / "run", key_file(settings)
    if as_json:
        running = {} if services else {"edge": edge_url(settings), "worker": worker_url(settings)}
        kafka, postgres = found.kafka.bootstrap, "embedded" if found.postgres.local else "configured"
        print_json({"kafka": kafka, "postgres": postgres, **running, "logs": logs, "api_keys": keys})
    else:
        console.print(f"logs: {logs}; API keys: {keys}; stop with `sluice down`")


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
