"""Faithfulness as a judge's offline score, wrapped so that whatever is odd about it counts as not supported.

Ragas divides the supported statements by the verdicts it got: with fewer verdicts than statements the score rises,
with none it is NaN, and any number but 0 is a yes. So its score counts only where every statement has its own verdict,
each 0 or 1, and the score is what they say. It is a score and bounds nothing.
"""

import asyncio
import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol

LINE = 4 * 1024 * 1024  # bytes of a judge's answer
TOLERANCE = 1e-6


@dataclass(frozen=True)
class Question:
    """An answer to judge, with the texts it may rest on."""

    question: str
    answer: str
    contexts: tuple[str, ...]


@dataclass(frozen=True)
class Faithful:
    """What the judge's word is worth."""

    score: float  # supported ÷ statements; 0 where the judge's word does not count
    supported: bool  # the score reaches the floor
    statements: int = 0
    fault: str = ""  # why its word does not count


class Scorer(Protocol):
    """Whatever scores an answer, in the words of `evals.ragas_scorer`."""

    async def score(self, asked: Question) -> object:
        """What it tells: JSON.

        Raises:
            ScorerFailed: it tells nothing, or nothing in time.
        """
        ...


class ScorerFailed(Exception):
    """The scorer gave no answer; the message says why."""


async def judge(asked: Question, scorer: Scorer, floor: float) -> Faithful:
    """The judge's word on an answer; never raises what a judge can cause."""
    if not asked.answer.strip() or not any(context.strip() for context in asked.contexts):
        return _refused("no answer or no source")
    try:
        told = await scorer.score(asked)
    except ScorerFailed as error:
        return _refused(str(error))
    return judged(told, floor)


def judged(told: object, floor: float) -> Faithful:
    """What a scorer told, checked; `floor` is the score an answer needs, 0-1."""
    if not isinstance(told, Mapping):
        return _refused("no JSON object")
    if told.get("error") is not None:
        return _refused(f"failed: {str(told['error'])[:80]}")
    statements, verdicts, score = told.get("statements"), _verdicts(told.get("verdicts")), told.get("score")
    if not isinstance(statements, list) or not statements or not all(map(_said, statements)):
        return _refused("no statements")
    if verdicts is None:
        return _refused("a verdict that is neither 0 nor 1")
    if len(verdicts) != len(statements):
        return _refused(f"{len(verdicts)} verdicts on {len(statements)} statements")
    if Counter(_plain(name) for name, _ in verdicts) != Counter(map(_plain, statements)):
        return _refused("verdicts on other statements")
    if isinstance(score, bool) or not isinstance(score, int | float) or not math.isfinite(score):
        return _refused("a score that is no number")
    share = sum(verdict for _, verdict in verdicts) / len(statements)
    if abs(share - score) > TOLERANCE:
        return _refused("a score that its verdicts do not give")
    return Faithful(share, share >= floor, len(statements))


def _verdicts(told: object) -> list[tuple[str, int]] | None:
    """The verdicts by statement; None where one is no plain 0 or 1 ("idk", true, 2, NaN)."""
    if not isinstance(told, list):
        return None
    found = []
    for each in told:
        if not (isinstance(each, list | tuple) and len(each) == 2 and isinstance(each[0], str)):
            return None
        if isinstance(each[1], bool) or not isinstance(each[1], int) or each[1] not in (0, 1):
            return None
        found.append((each[0], each[1]))
    return found


def _said(statement: object) -> bool:
    return isinstance(statement, str) and any(sign.isalnum() for sign in statement)


def _plain(statement: str) -> str:
    return " ".join(statement.split()).casefold().rstrip(".")


def _refused(fault: str) -> Faithful:
    return Faithful(0.0, supported=False, fault=fault)


# -- a scorer in an environment of its own


class ScorerProcess:
    """A scorer as a process that answers lines of JSON; it is ended when it is late, and started anew for the next."""

    def __init__(self, command: Sequence[str], environ: Mapping[str, str], deadline: float) -> None:
        """Nothing is started before the first answer is asked for.

        Args:
            command: what to run.
            environ: all of its environment.
            deadline: seconds for one answer, also the first.
        """
        self._command = command
        self._environ = environ
        self._deadline = deadline
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> "ScorerProcess":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._end()

    async def score(self, asked: Question) -> object:
        """Ask the process. Raises as `Scorer` does."""
        line = json.dumps({"question": asked.question, "answer": asked.answer, "contexts": list(asked.contexts)})
        try:
            async with asyncio.timeout(self._deadline):
                told = await self._asked(line.encode() + b"\n")
        except TimeoutError:
            await self._end()
            raise ScorerFailed(f"no answer within {self._deadline:g} s") from None
        except (OSError, ValueError) as error:  # it is gone, or its line has no end
            await self._end()
            raise ScorerFailed(f"no answer: {type(error).__name__}") from None
        try:
            return json.loads(told)
        except (ValueError, RecursionError):
            await self._end()
            raise ScorerFailed("no answer: it ended" if not told else "no JSON") from None

    async def _asked(self, line: bytes) -> bytes:
        process = self._process
        if process is None:
            process = self._process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                env=dict(self._environ),
                limit=LINE,
            )
        if process.stdin is None or process.stdout is None:
            raise OSError("no pipes")
        process.stdin.write(line)
        await process.stdin.drain()
        return await process.stdout.readline()

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            if process.returncode is None:
                process.kill()
            await process.wait()
