"""`sluice demo`: the whole path on this machine, over a suite of labelled tickets, as its users would see it."""

import logging
import sys
import time
from collections.abc import Sequence
from typing import Annotated

import typer

from evals.dataset import halves
from infra.kafka.local import KafkaFailed, KafkaUnavailable
from infra.postgres.local import PostgresFailed
from infra.settings import SettingsError
from loadtest.traffic import Refused
from sluice.demo.follow import send
from sluice.demo.own import OPTION, NotOurs, left_alone
from sluice.demo.report import report, show, write
from sluice.demo.stack import Stack, home_of, running
from sluice.queue import print_queue
from sluice.stack import StackFailed
from sluice.suite import SHOP, open_suite
from sluice.terminal import DOWN, USAGE, WRONG, AsJson, aside, console, fail, print_json, read_settings
from sluice.terminal import run as run_async

RATE = 25.0  # tickets a second


def demo(
    data: Annotated[str, typer.Option(help="A suite folder, or `shop`, the demo company.")] = SHOP,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first N tickets of the held-out half.")] = None,
    once: Annotated[
        bool, typer.Option("--once", envvar="ONCE", help="End after the table, also on a terminal.")
    ] = False,
    use_configured: Annotated[
        bool, typer.Option(OPTION, help="Use the Kafka and Postgres of the settings, where they hold nothing else.")
    ] = False,
    rate: Annotated[float, typer.Option(min=0.1, help="Tickets a second.")] = RATE,
    as_json: AsJson = False,
) -> None:
    """Start everything, send a suite's tickets through the edge, show what became of them.

    Of your settings only models, ports and traces count: the demo has a home, a Kafka and a Postgres of its own.

    Exit code 1 if anything was lost, sent twice or stuck. The figures stand in var/demo/report.json; --json prints
    them and ends.

    Examples:

      sluice demo

      sluice demo --data ../shared/evaldata/thunderbird --limit 150

      sluice demo --limit 20 --json
    """
    began = time.monotonic()
    suite = open_suite(data)
    tickets = halves(suite).held_out[:limit]
    if not tickets:
        fail(f"{data}: the held-out half has no tickets", USAGE)
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    screen = aside(as_json)
    ignored = [] if use_configured else left_alone(read_settings())
    settings = home_of(suite, use_configured=use_configured)
    if ignored:
        screen.print(f"[dim]›[/] {' and '.join(ignored)} left alone: the demo starts its own", highlight=False)
    try:
        with running(settings, suite, lambda line: screen.print(f"[dim]›[/] {line}", highlight=False)) as stack:
            seen = run_async(send(stack, suite, tickets, rate, screen))
            took = time.monotonic() - began
            found = report(stack, suite, tickets, seen, took)
            path = write(stack, found)
            if as_json:
                print_json(found.figures)
            else:
                show(stack, suite, found, seen)
                print_queue(stack.settings, stack.services.postgres.owner_url)
            screen.print(f"figures: {path}; {took:.0f} s in all", highlight=False)
            if found.faults:
                screen.print(f"[bold red]{found.faults}[/]")
            if sys.stdin.isatty() and not once and not as_json:
                _stay(stack, ignored)
    except (KafkaUnavailable, KafkaFailed, PostgresFailed, StackFailed) as error:
        fail(str(error), DOWN)
    except (SettingsError, NotOurs) as error:
        fail(str(error), USAGE)
    except Refused as error:
        fail(str(error), WRONG)
    raise typer.Exit(WRONG if found.faults else 0)


def _stay(stack: Stack, ignored: Sequence[str]) -> None:
    environ = {**dict.fromkeys(ignored, ""), "SLUICE_HOME": str(stack.settings.home)}
    here = " ".join([*(f"{name}={value}" for name, value in environ.items()), sys.argv[0]])
    console.print(
        "\n[bold]It stays up until Ctrl-C.[/] In another terminal:\n"
        f'  {here} send "How long do I have to return something?"\n'
        f"  {here} switch off --why 'trying the switch'   # then send again\n"
        f"  {here} switch show\n"
        f"  {here} trace TICKET",
        highlight=False,
        soft_wrap=True,
    )
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        console.print("stopping")
