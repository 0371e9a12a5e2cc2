"""`sluice`: customer-support automation on Kafka, from the command line."""

import typer

from sluice import dead, schemas, scripted, switch, topics
from sluice.edge import edge
from sluice.migrate import migrate_database
from sluice.send import send
from sluice.trace import trace
from sluice.up import down, up
from sluice.worker import worker

app = typer.Typer(
    help="Customer-support automation for high volume, built on Kafka. Settings: .env.example lists them all.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_show_locals=False,
)

RUN, LOOK, PREPARE = "Run", "Look", "Prepare"

app.command(rich_help_panel=RUN)(up)
app.command(rich_help_panel=RUN)(down)
app.command(rich_help_panel=RUN)(worker)
app.command(rich_help_panel=RUN)(edge)
app.command(rich_help_panel=RUN)(send)
app.add_typer(switch.app, name="switch", rich_help_panel=RUN)
app.add_typer(scripted.app, name="scripted", rich_help_panel=RUN)
app.command(rich_help_panel=LOOK)(trace)
app.add_typer(dead.app, name="dead", rich_help_panel=LOOK)
app.command("migrate", rich_help_panel=PREPARE)(migrate_database)
app.add_typer(topics.app, name="topics", rich_help_panel=PREPARE)
app.add_typer(schemas.app, name="schemas", rich_help_panel=PREPARE)

if __name__ == "__main__":
    app()
