"""`sluice schemas`: the Avro schemas of the events, and their releases."""

import json
import re

import typer

from schemas.codec import EVENTS, RELEASED, fingerprint, schema_of
from schemas.event import Event
from sluice.terminal import USAGE, AsJson, console, fail, print_json, show

app = typer.Typer(add_completion=False, help="The Avro schemas of the events on Kafka.", no_args_is_help=True)


def releases(event: type[Event]) -> list[int]:
    """The released version numbers of an event, oldest first."""
    names = (path.name for path in RELEASED.glob(f"{event.__name__}.v*.avsc"))
    return sorted(int(match[1]) for name in names if (match := re.search(r"\.v(\d+)\.avsc$", name)))


@app.command("list", epilog="Example: sluice schemas list --json")
def list_schemas(as_json: AsJson = False) -> None:
    """List every event with its fingerprint on the wire and its releases."""
    rows = [
        {
            "event": event.__name__,
            "fingerprint": fingerprint(schema_of(event)).hex(),
            "releases": ", ".join(f"v{number}" for number in releases(event)),
        }
        for event in EVENTS
    ]
    show(rows, title="Events", as_json=as_json)


@app.command("show", epilog="Example: sluice schemas show TicketReceived > TicketReceived.avsc")
def show_schema(name: str) -> None:
    """Print one event's Avro schema."""
    event = next((event for event in EVENTS if event.__name__ == name), None)
    if event is None:
        fail(f"no event {name!r}; one of {', '.join(event.__name__ for event in EVENTS)}", USAGE)
    print_json(schema_of(event))


@app.command("release", epilog="Run it when an event has changed; `make test` proves the new schema compatible.")
def release_schemas() -> None:
    """Write a new release of every event whose schema differs from its newest one."""
    for event in EVENTS:
        versions = releases(event)
        current = schema_of(event)
        newest = RELEASED / f"{event.__name__}.v{versions[-1]}.avsc" if versions else None
        if newest is None or json.loads(newest.read_text()) != current:
            path = RELEASED / f"{event.__name__}.v{(versions or [0])[-1] + 1}.avsc"
            path.write_text(json.dumps(current, indent=2) + "\n")
            console.print(f"released {path.name}")
