"""A worker process of every stage for tests: real Kafka, Postgres and mail; models that do what the ticket's words say.

Usage: field_worker.py FOLDER SLOT. Settings come from the environment. Words of a ticket: `unsure` and `refund` choose
the route; [wait NAME] is drafted once FOLDER/NAME is gone, [bug NAME] fails while it exists, and [block NAME] takes it
away and lets the event loop stand still for as many seconds as it says. What the model is shown goes to
FOLDER/shown.jsonl. A file FOLDER/METHOD-before or -after ends the process at that method of the outcome stage's ports.
"""

import asyncio
import json
import os
import re
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from infra.scripted.verifier import ScriptedVerifier
from infra.settings import Settings, load_settings
from infra.wiring import Adapters, open_adapters, roles_of
from processors.ports import Classification, Completion, Prompt, Spoken
from processors.resolution import DraftReply, DraftSentence
from schemas.retrieval import Passage
from schemas.router import Tier
from schemas.topics import STAGES
from sluice.reach import bootstrap, owner_url
from streams.flight import Limits
from streams.process import configure_logging
from streams.worker import WorkerOptions, run

T = TypeVar("T", bound=BaseModel)
RETURNS = "You can return an item within 30 days of delivery."
GIFTS = "A gift card never expires and can be spent in parts."


class Classifier:
    """Reads the topic off the words that a test uses."""

    name, prompt_hash = "scripted/field", None

    async def classify(self, text: str) -> Classification:
        sure = 0.1 if "unsure" in text else 0.99
        intent = next((f"{word}_{rest}" for word, rest in TOPICS.items() if word in text.lower()), "return_policy")
        return Classification(intent, sure, sure, True, self.name)


TOPICS = {"gift": "card", "refund": "request"}


class Knowledge:
    """Two sections, whatever is asked."""

    async def search(
        self, query: str, *, at: datetime, limit: int, context: str = "", spoken: Spoken | None = None
    ) -> tuple[Passage, ...]:
        return (_passage("returns", RETURNS), _passage("gifts", GIFTS))


def _passage(article: str, text: str) -> Passage:
    return Passage(
        article_id=article, section_id="main", version=1, title=article, heading="Main", text=text, score=0.9
    )


class Model:
    """Answers from one of the two sections, when the test lets it."""

    name = "scripted/field"

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def complete(self, prompt: Prompt, schema: type[T], deadline: float) -> Completion[T]:
        with (self._folder / "shown.jsonl").open("a") as shown:
            shown.write(prompt.user + "\n")
        question = str(json.loads(prompt.user)["question"])
        for kind, name in re.findall(r"\[(wait|bug|block) (\S+)\]", question):
            if kind == "bug" and (self._folder / name).exists():
                raise ZeroDivisionError
            if kind == "block" and (self._folder / name).exists():
                seconds = float((self._folder / name).read_text())
                (self._folder / name).unlink()
                time.sleep(seconds)
            while kind == "wait" and (self._folder / name).exists():
                await asyncio.sleep(0.05)
        article, text = ("gifts", GIFTS) if "gift" in question else ("returns", RETURNS)
        sentence = DraftSentence(text=text, article_id=article, section_id="main", quote=text)
        answer = schema.model_validate(DraftReply(sentences=(sentence,)).model_dump())
        return Completion(answer, self.name, 1, 1, 0.0)


class Mortal:
    """A port at whose methods the process ends, as kill -9 would end it, where the test has put a file. Once a file."""

    def __init__(self, port: Any, folder: Path) -> None:
        self._port, self._folder = port, folder

    def __getattr__(self, name: str) -> Any:
        return self._mortal(getattr(self._port, name), name)

    def _mortal(self, call: Callable[..., Any], name: str) -> Callable[..., Any]:
        async def called(*given: Any, **named: Any) -> Any:
            if name == "find" and (self._folder / "deaf").exists():
                raise LookupError("this helpdesk cannot be asked")
            self._die(f"{name}-before")
            answer = await call(*given, **named)
            self._die(f"{name}-after")
            return answer

        return called

    def _die(self, where: str) -> None:
        if (self._folder / where).exists():
            (self._folder / where).unlink()
            os._exit(137)


@asynccontextmanager
async def parts(settings: Settings, folder: Path) -> AsyncIterator[Adapters]:
    """The adapters that the settings name, but for the models."""
    async with open_adapters(settings, owner_url(settings), roles_of(STAGES)) as adapters:
        model = Model(folder)
        vars(adapters).update(
            classifier=Classifier(),
            knowledge=Knowledge(),
            models={Tier.COMMODITY: [model], Tier.FRONTIER: [model]},
            verifier=ScriptedVerifier(),
            conversations=Mortal(adapters.conversations, folder),
            helpdesk=Mortal(adapters.helpdesk, folder),
        )
        yield adapters


def main(folder: Path, slot: str) -> int:
    settings = load_settings()
    options = WorkerOptions(
        bootstrap=bootstrap(settings),
        limits_of={stage: Limits(in_flight=settings.in_flight_of(stage), drain=2.0) for stage in STAGES},
        slot=slot,
        session_timeout=6.0,
        health_port=0,
        listening=lambda port: _listening(folder, port),
    )
    return run(STAGES, options, lambda: parts(settings, folder))


def _listening(folder: Path, port: int) -> None:
    (folder / f"port-{os.getpid()}").write_text(str(port))


if __name__ == "__main__":
    configure_logging("INFO")
    sys.exit(main(Path(sys.argv[1]), sys.argv[2]))
