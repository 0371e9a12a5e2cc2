"""`sluice ledger`: what models were shown of a customer, and whether anybody touched the record of it."""

from typing import Annotated

import typer
from rich.table import Table

from infra.chain import ChainCheck, Fault
from infra.kafka.heads import Heads, published_heads
from infra.postgres.ledger import CustomerLedger, Showing, check_ledger, ledger_of
from infra.postgres.pool import open_pool
from sluice.reach import bootstrap, owner_url
from sluice.terminal import WRONG, AsJson, commands, console, fail, print_json, read_settings, run, stderr, verbatim

app = commands("The ledger: everything that models were shown, written before each call, in chains that show a touch.")


@app.command("show")
def show_customer(
    customer: Annotated[str, typer.Option(help="The customer's id.")],
    as_json: AsJson = False,
) -> None:
    """Show everything that any model was shown of a customer: when, to which model, with which prompt, and what.

    It reads as the auditor. The record holds names, not contents: an article's section in its version, a record's
    fields; --json adds the tickets' own words. Exit code 1: a row was touched, or there is no such customer.

    Examples:

      sluice ledger show --customer cus_0007

      sluice ledger show --customer cus_0007 --json
    """
    found = run(_ledger_of(customer))
    if not found.known and not found.showings and not found.faults:
        fail(f"no customer {customer}, and no model was shown anything of one")
    if as_json:
        print_json({"customer": customer, "calls": [vars(s) for s in found.showings], "faults": _named(found.faults)})
    elif not found.showings:
        console.print(verbatim(f"No model was shown anything of {customer}."))
    else:
        _show(customer, found.showings)
    if found.faults:
        _complain(found.faults)
        raise typer.Exit(WRONG)


@app.command("verify")
def verify_all(
    without_heads: Annotated[
        bool, typer.Option("--without-heads", help="Leave Kafka out: a cut-off end will not show.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Check every row of the ledger against the one before it, and every chain's end against `audit.heads`.

    It names each row that was altered, dropped, moved or cut off, and ends with exit code 1 then.

    Examples:

      sluice ledger verify

      sluice ledger verify --json
    """
    heads = Heads((), ()) if without_heads else published_heads(bootstrap(read_settings()))
    with stderr.status("reading the ledger"):
        check = run(_check(heads))
    faults = check.faults()
    told = {
        "rows": check.rows,
        "chains": check.chains,
        "heads": len(heads.heads),
        "chains_ending_unpublished": check.unpublished,
        "faults": _named(faults),
        "unreadable_heads": heads.unreadable,
    }
    if as_json:
        print_json(told)
    else:
        console.print(f"{check.rows} rows in {check.chains} chains, {len(heads.heads)} published heads")
        if check.unpublished:
            console.print(f"{check.unpublished} chains end without a published head: a cut there would not show")
    if faults or heads.unreadable:
        _complain(faults, heads.unreadable)
        raise typer.Exit(WRONG)
    if not as_json:
        console.print("every row is as it was written")


async def _ledger_of(customer: str) -> CustomerLedger:
    settings = read_settings()
    async with await open_pool(settings.database_url_for("auditor", owner_url(settings)), size=1) as pool:
        return await ledger_of(pool, customer)


async def _check(heads: Heads) -> ChainCheck:
    settings = read_settings()
    async with await open_pool(settings.database_url_for("auditor", owner_url(settings)), size=1) as pool:
        return await check_ledger(pool, heads.heads)


# -- the screen


def _named(faults: tuple[Fault, ...]) -> list[dict[str, object]]:
    return [vars(fault) for fault in faults]


def _show(customer: str, showings: tuple[Showing, ...]) -> None:
    table = Table(title=verbatim(f"What models were shown of {customer}"), title_justify="left")
    for column in ("#", "at", "ticket", "stage", "model", "prompt", "shown"):
        table.add_column(column, overflow="fold")
    for showing in showings:
        shown = "\n".join(f"{s['kind']} {s['ref']}: {', '.join(s['fields'])}" for s in showing.shown)
        place = f"{showing.ticket_id}/{showing.revision}"
        cells = (showing.sequence, showing.at, place, showing.stage, showing.model, showing.prompt_hash[:12], shown)
        table.add_row(*map(verbatim, cells))
    console.print(table)


def _complain(faults: tuple[Fault, ...], unreadable: tuple[str, ...] = ()) -> None:
    for fault in faults:
        stderr.print(verbatim(f"{fault.chain}: row {fault.sequence} {fault.what}", "red"))
    for place in unreadable:
        stderr.print(verbatim(f"{place} is no head", "red"))
