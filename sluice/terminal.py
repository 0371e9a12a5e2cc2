"""What every command shares: the screen, the settings, and exit codes that scripts can rely on.

Exit codes: 0 done; 1 done, and something is wrong (a fault found, a ticket lost); 2 the call or a setting is wrong;
3 something that has to run does not answer.
"""

import asyncio
import json
import sys
from collections.abc import Coroutine, Mapping, Sequence
from typing import Annotated, Any, NoReturn, TypeVar

import typer
from rich.console import Console
from rich.table import Table

from infra.settings import Settings, SettingsError, load_settings
from processors.errors import DependencyDown, SluiceError

T = TypeVar("T")

WRONG, USAGE, DOWN = 1, 2, 3

console = Console()
stderr = Console(stderr=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table, for scripts.")]


def fail(message: str, code: int = WRONG) -> NoReturn:
    """End the command with a message on standard error."""
    stderr.print(f"[bold red]error:[/] {message}", highlight=False, soft_wrap=True)
    raise typer.Exit(code)


def read_settings() -> Settings:
    """The settings, or an error that names the one to change."""
    try:
        return load_settings()
    except SettingsError as error:
        fail(str(error), USAGE)


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a command's coroutine; expected failures become messages and exit codes."""
    try:
        return asyncio.run(work)
    except DependencyDown as error:
        fail(f"{error}; `sluice doctor` says what is reachable", DOWN)
    except SluiceError as error:
        fail(str(error))


def print_json(value: Any) -> None:  # noqa: ANN401 - whatever JSON can hold
    """Print one JSON document, unstyled."""
    json.dump(value, sys.stdout, indent=2, default=str, ensure_ascii=False)
    sys.stdout.write("\n")


def show(rows: Sequence[Mapping[str, object]], *, title: str, as_json: bool) -> None:
    """Print rows as a table, or as JSON."""
    if as_json:
        print_json(list(rows))
    elif not rows:
        console.print(f"{title}: nothing")
    else:
        table = Table(title=title, title_justify="left")
        for column in rows[0]:
            table.add_column(column.replace("_", " "), overflow="fold")
        for row in rows:
            table.add_row(*(str(value) if value is not None else "" for value in row.values()))
        console.print(table)
