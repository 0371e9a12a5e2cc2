"""`sluice guard`: what the live guard has read, and how near each scope is to a stop."""

from infra.settings import Settings
from infra.wiring import open_adapters
from processors.guard import TRIP, WARN
from processors.ports import GuardState
from sluice.reach import database_of
from sluice.terminal import AsJson, commands, print_json, read_settings, run, show
from streams.guard import scopes_in_words

app = commands("The live guard: it stops an intent, or everything, when audits say that too many answers are bad.")


@app.callback()
def about() -> None:
    """Keep the command's name, which Typer drops where it is the only one."""


@app.command()
def status(as_json: AsJson = False) -> None:
    """Show every scope with the answers judged, how many were bad, and the evidence: it warns at 100, trips at 10000.

    A tripped scope is stopped until a named person arms it again with `sluice switch auto --scope SCOPE`, which starts
    its count anew.

    Examples:

      sluice guard status

      sluice guard status --json
    """
    found = run(_look(read_settings()))
    rows = scopes_in_words(found.watch)
    if as_json:
        print_json({"warn": WARN, "trip": TRIP, "labels_read": found.watch.labels, "scopes": rows})
        return
    show([{**row, "budget": f"{row['budget']:.1%}"} for row in rows], title="The live guard", as_json=False)


async def _look(settings: Settings) -> GuardState:
    async with open_adapters(settings, database_of(settings), ["auditor"]) as adapters:
        return await adapters.guard_memory.load()
