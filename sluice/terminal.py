"""What every command shares: the screen, the settings, and exit codes that scripts can rely on.

Exit codes: 0 done; 1 done, and something is wrong (a fault found, a ticket lost); 2 the call or a setting is wrong;
3 something that has to run does not answer.
"""

import asyncio
import json
import logging
import sys
import unicodedata
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from threading import Thread
from typing import Annotated, Any, NoReturn, TypeVar

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from infra.rows import UnreadableFile
from infra.settings import Settings, SettingsError, load_settings
from processors.errors import DependencyDown, SluiceError

T = TypeVar("T")

WRONG, USAGE, DOWN = 1, 2, 3
ENDS_WITHIN = 1.0  # seconds for what a command leaves behind

console = Console()
stderr = Console(stderr=True)

SETTING = {"Kafka": "KAFKA_BOOTSTRAP_SERVERS", "Postgres": "DATABASE_URL"}  # what says where it is

UNPRINTABLE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}  # among them escape sequences and changes of direction

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table, for scripts.")]
JsonLine = Annotated[bool, typer.Option("--json", help="Say where it listens as one JSON line, for scripts.")]
JsonLines = Annotated[
    bool, typer.Option("--json", help="Say where it listens as one JSON line on standard output; log in JSON lines.")
]


def plain(text: str) -> str:
    """A text from outside without what a terminal would act on."""
    kept = (
        c if c in "\n\t" or unicodedata.category(c) not in UNPRINTABLE else "\N{REPLACEMENT CHARACTER}" for c in text
    )
    return "".join(kept).replace("\r", "")


def verbatim(text: object, style: str = "") -> Text:
    """What customers, models or other systems wrote, as it is to be printed: shown, and never obeyed as markup."""
    return Text(plain(str(text)), style=style)


def commands(meaning: str) -> typer.Typer:
    """A command with commands of its own."""
    return typer.Typer(help=meaning, add_completion=False, no_args_is_help=True, rich_markup_mode="markdown")


def aside(as_json: bool) -> Console:
    """Where a command says how it goes on: beside the JSON where that is asked for, as it stands there alone."""
    return stderr if as_json else console


def fail(message: str, code: int = WRONG) -> NoReturn:
    """End the command with a message on standard error."""
    stderr.print(Text.assemble(("error:", "bold red"), " ", verbatim(message)), soft_wrap=True)
    raise typer.Exit(code)


def read_settings() -> Settings:
    """The settings, or an error that names the one to change."""
    try:
        return load_settings()
    except SettingsError as error:
        fail(str(error), USAGE)


@contextmanager
def explained() -> Iterator[None]:
    """Turn what a command expects to go wrong into a message and an exit code."""
    try:
        yield
    except DependencyDown as error:
        setting = SETTING.get(error.dependency, "")
        look = f" {setting} says where it is;" if setting and setting not in str(error) else ""
        fail(f"{error}.{look} `sluice doctor` says what is reachable", DOWN)
    except (SettingsError, UnreadableFile) as error:
        fail(str(error), USAGE)
    except OSError as error:
        if error.filename is None:
            raise
        fail(f"{error.filename}: {error.strerror}", USAGE)
    except SluiceError as error:
        fail(str(error))


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a command's coroutine; expected failures become messages and exit codes."""
    logging.getLogger("psycopg.pool").setLevel(logging.CRITICAL)  # a line for every try; the error says it once
    with explained():
        return asyncio.run(work)


def run_and_leave(work: Coroutine[Any, Any, T]) -> T:
    """Run a command's coroutine as `run` does, and go on once it has answered, whatever else it has still to end.

    What hangs then, such as a connection to a server that took it and is silent, ends with the process.
    """
    told: Future[T] = Future()

    async def tell() -> None:
        task = asyncio.ensure_future(work)
        await asyncio.wait([task])
        if task.cancelled():
            told.cancel()
        elif (error := task.exception()) is not None:
            told.set_exception(error)
        else:
            told.set_result(task.result())

    with explained():
        running = Thread(target=asyncio.run, args=(tell(),), daemon=True)
        running.start()
        try:
            return told.result()
        finally:
            running.join(ENDS_WITHIN)


def print_json(value: Any) -> None:  # noqa: ANN401 - whatever JSON can hold
    """Print one JSON document, unstyled."""
    json.dump(value, sys.stdout, indent=2, default=str, ensure_ascii=False)
    sys.stdout.write("\n")


def print_line(value: Mapping[str, object]) -> None:
    """Print one JSON document on one line, at once: somebody waits for it."""
    print(json.dumps(value, default=str, ensure_ascii=False), flush=True)  # noqa: T201


def show(rows: Sequence[Mapping[str, object]], *, title: str, as_json: bool) -> None:
    """Print rows as a table, or as JSON."""
    if as_json:
        print_json(list(rows))
    elif not rows:
        console.print(verbatim(f"{title}: nothing"))
    else:
        table = Table(title=verbatim(title), title_justify="left")
        for column in rows[0]:
            table.add_column(column.replace("_", " "), overflow="fold")
        for row in rows:
            table.add_row(*(verbatim(value if value is not None else "") for value in row.values()))
        console.print(table)
