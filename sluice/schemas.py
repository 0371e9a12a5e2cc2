"""`sluice schemas`: the Avro schemas of the events, and their releases."""

import json
import re
from typing import Annotated

import typer

from schemas.codec import EVENTS, RELEASED, fingerprint, schema_of
from schemas.event import Event
from sluice.terminal import USAGE, AsJson, commands, console, fail, print_json, show

app = commands("The Avro schemas of the events on Kafka.")


def releases(event: type[Event]) -> list[int]:
    """The released version numbers of an event, oldest first."""
    names = (path.name for path in RELEASED.glob(f"{event.__name__}.v*.avsc"))
    return sorted(int(match[1]) for name in names if (match := re.search(r"\.v(\d+)\.avsc$", name)))


@app.command("list")
def list_schemas(as_json: AsJson = False) -> None:
    """List every event with its fingerprint on the wire and its releases.

    Examples:

      sluice schemas list

      sluice schemas list --json
    """
    rows = [
        {
            "event": event.__name__,
            "fingerprint": fingerprint(schema_of(event)).hex(),
            "releases": ", ".join(f"v{number}" for number in releases(event)),
        }
        for event in EVENTS
    ]
    show(rows, title="Events", as_json=as_json)


@app.command("show")
def show_schema(
    name: Annotated[str, typer.Argument(metavar="EVENT", help="As `sluice schemas list` names it.")],
) -> None:
    """Print one event's Avro schema.

    Examples:

      sluice schemas show TicketReceived

      sluice schemas show TicketReceived > TicketReceived.avsc
    """
    event = next((event for event in EVENTS if event.__name__ == name), None)
    if event is None:
        fail(f"no event {name!r}; one of {', '.join(event.__name__ for event in EVENTS)}", USAGE)
    print_json(schema_of(event))


@app.command("release")
def release_schemas(as_json: AsJson = False) -> None:
    """Write a new release of every event whose schema differs from its newest one.

    Run it when an event has changed; `make test` proves the new schema compatible.

    Examples:

      sluice schemas release

      sluice schemas release --json
    """
    written = []
    for event in EVENTS:
        versions = releases(event)
        current = schema_of(event)
        newest = RELEASED / f"{event.__name__}.v{versions[-1]}.avsc" if versions else None
        if newest is None or json.loads(newest.read_text()) != current:
            path = RELEASED / f"{event.__name__}.v{(versions or [0])[-1] + 1}.avsc"
            path.write_text(json.dumps(current, indent=2) + "\n")
            written.append(path.name)
    if as_json:
        print_json({"released": written})
    else:
        console.print("\n".join(f"released {name}" for name in written) or "every event is as it was released")
