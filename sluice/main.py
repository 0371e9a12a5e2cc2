"""`sluice`: customer-support automation on Kafka, from the command line."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

RUN, LOOK, PREPARE = "Run", "Look", "Prepare"


@dataclass(frozen=True)
class Place:
    """Where a command is defined, and what `--help` says of it."""

    module: str  # of this package
    attribute: str  # a function, or a Typer app with commands of its own
    panel: str
    summary: str


COMMANDS: Mapping[str, Place] = {
    "demo": Place(
        "demo.command", "demo", RUN, "Start everything, send a suite's tickets through the edge, show the outcome."
    ),
    "up": Place("up", "up", RUN, "Start Kafka, Postgres, all workers and the edge in the background."),
    "down": Place("up", "down", RUN, "Stop what `sluice up` or `sluice demo` started."),
    "worker": Place("worker", "worker", RUN, "Run a stage, or all of them, in this process."),
    "edge": Place("edge", "edge", RUN, "Serve the HTTP door for tickets and mail."),
    "scripted": Place("scripted", "app", RUN, "Stand-ins as processes: a model server and a helpdesk."),
    "send": Place("send", "send", RUN, "Send a ticket through the edge and wait for its outcome."),
    "switch": Place("switch", "app", RUN, "The kill switch: what may be sent without a person."),
    "queue": Place("queue", "app", RUN, "The people's queue: what waits for a person, and what they do with it."),
    "audit": Place("audit", "audit", RUN, "Judge a random sample of the answers that went out by themselves."),
    "guard": Place("guard", "app", LOOK, "The live guard: what it has read, and how near it is to a stop."),
    "trace": Place("trace", "trace", LOOK, "Show a ticket's whole way, with times and decisions."),
    "ledger": Place("ledger", "app", LOOK, "What models were shown of a customer, and whether the record was touched."),
    "loadtest": Place("loadtest", "app", LOOK, "Send a day of tickets and measure what comes out."),
    "chaos": Place("chaos.command", "chaos", LOOK, "Break everything by a seed, and let the oracle say what held."),
    "drill": Place("drill.command", "drill", LOOK, "Stop and arm a scope of its own under load, and time it."),
    "dead": Place("dead", "app", LOOK, "Dead letters: list them, show one, redrive them."),
    "eval": Place("eval", "evaluate", LOOK, "Run a labelled suite through the whole path, in this process."),
    "label": Place("label", "label", LOOK, "Band your own tickets by the keyboard: how far deflection can reach."),
    "pilot": Place("pilot", "app", LOOK, "What people did with the drafts, and which topics have earned auto."),
    "policy": Place("policy", "app", LOOK, "The policy in words, and what another one would change."),
    "golden": Place("golden", "app", LOOK, "What people changed in drafts, as labelled cases that a person accepts."),
    "faithfulness": Place("faithfulness", "faithfulness", LOOK, "Ragas's score of answers by a judge, offline."),
    "doctor": Place("doctor", "doctor", LOOK, "Say what is reachable, which versions run, and what to fix."),
    "ingest": Place("ingest", "ingest_articles", PREPARE, "Put a help centre into Postgres, one chunk an H2 section."),
    "knowledge": Place("knowledge", "app", PREPARE, "What the help centre lacks, and where it disagrees with itself."),
    "train": Place("train", "app", PREPARE, "Fit the router and the gate's verifier on labelled tickets."),
    "certify": Place("certify", "certify_suite", PREPARE, "Prove a rate of bad answers on labels that tuned nothing."),
    "migrate": Place("migrate", "migrate_database", PREPARE, "Bring the database to this version's schema."),
    "topics": Place("topics", "app", PREPARE, "Create and describe the Kafka topics."),
    "schemas": Place("schemas", "app", PREPARE, "The Avro schemas of the events, and their releases."),
}


class Lazily(TyperGroup):
    """Imports a command's module when it is called: all of them together take seconds."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ANN401 - Typer keeps its own copy of click to itself
        """The commands in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> TyperCommand | None:  # noqa: ANN401
        """What `--help` shows of a command."""
        place = COMMANDS.get(cmd_name)
        if place is None:
            return None
        return TyperCommand(cmd_name, help=place.summary, rich_help_panel=place.panel)

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:  # noqa: ANN401
        """The command itself."""
        name, found, rest = super().resolve_command(ctx, args)
        return name, load(name) if found and name else found, rest

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401
        """Run a command; what it expects to go wrong becomes a message and an exit code."""
        with import_module("sluice.terminal").explained():
            return super().invoke(ctx)


def load(name: str) -> Any:  # noqa: ANN401
    """Import a command."""
    place = COMMANDS[name]
    found = getattr(import_module(f"sluice.{place.module}"), place.attribute)
    if not isinstance(found, typer.Typer):
        single = typer.Typer(add_completion=False, rich_markup_mode="markdown", pretty_exceptions_show_locals=False)
        single.command(name)(found)
        found = single
    return typer.main.get_command(found)


app = typer.Typer(cls=Lazily, no_args_is_help=True, rich_markup_mode="markdown", pretty_exceptions_show_locals=False)


@app.callback()
def about() -> None:
    """Customer-support automation for high volume, built on Kafka. `.env.example` lists the settings."""


if __name__ == "__main__":
    app()
