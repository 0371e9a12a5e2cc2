"""`sluice migrate`: bring the database to this version's schema."""

from typing import Annotated

import psycopg
import typer

from infra.postgres.migrate import MigrationError, Phase, migrate, status
from processors.errors import DependencyDown
from sluice.reach import owner_url
from sluice.terminal import WRONG, AsJson, console, fail, print_json, read_settings, show


def migrate_database(
    phase: Annotated[
        Phase | None, typer.Option(help="`before deploy` stops before what must wait until after it.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what is applied and what is pending.")] = False,
    as_json: AsJson = False,
) -> None:
    """Apply the pending migrations, each in its own transaction.

    Examples:

      sluice migrate --dry-run

      DATABASE_URL=postgresql://owner@db/sluice sluice migrate --phase "before deploy"
    """
    url = owner_url(read_settings())
    try:
        if dry_run:
            rows = [
                {
                    "number": entry.migration.number,
                    "name": entry.migration.name,
                    "phase": entry.migration.phase.value,
                    "applied": entry.applied_at,
                }
                for entry in status(url)
            ]
            show(rows, title="Migrations", as_json=as_json)
            return
        applied = [f"{migration.number:04} {migration.name}" for migration in migrate(url, phase=phase)]
    except psycopg.OperationalError as error:
        raise DependencyDown("Postgres", str(error).partition("\n")[0]) from None
    except (MigrationError, psycopg.Error) as error:
        fail(str(error), WRONG)
    if as_json:
        print_json({"applied": applied})
    else:
        console.print("\n".join(f"applied {name}" for name in applied) or "nothing is pending")
