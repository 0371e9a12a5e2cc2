"""Ragas's faithfulness as a process of its own environment (`.venv-ragas`): a JSON line in, a JSON line out.

It imports nothing of this project, and judges nothing: it tells the statements, the verdicts and the score as Ragas
gives them. Whether they count is decided by `evals.faithfulness`, as Ragas fails open.

    in   {"question": "...", "answer": "...", "contexts": ["..."]}
    out  {"statements": ["..."], "verdicts": [["statement", 1]], "score": 1.0, "error": null}
"""

import asyncio
import json
import os
import sys
from typing import Any, TextIO


def main(url: str, model: str) -> None:
    """Answer every line of standard input on what was standard output; libraries may print on standard error alone."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    asyncio.run(_serve(_metric(url, model), answers))


def _metric(url: str, model: str) -> Any:  # noqa: ANN401 - of a library that this environment lacks
    from openai import AsyncOpenAI
    from ragas.llms import llm_factory  # type: ignore[import-not-found]
    from ragas.metrics.collections import Faithfulness  # type: ignore[import-not-found]

    class Told(Faithfulness):  # type: ignore[misc]
        """Keeps what the score is computed of: too few verdicts do not show in it."""

        statements: list[str]
        verdicts: list[tuple[str, object]]

        async def _create_statements(self, question: str, response: str) -> list[str]:
            self.statements, self.verdicts = [], []
            self.statements = list(await super()._create_statements(question, response))
            return self.statements

        async def _create_verdicts(self, statements: list[str], context: str) -> Any:  # noqa: ANN401
            found = await super()._create_verdicts(statements, context)
            self.verdicts = [(each.statement, each.verdict) for each in found.statements]
            return found

    client = AsyncOpenAI(base_url=url, api_key=os.environ.get("OPENAI_API_KEY") or "none", max_retries=0)
    llm = llm_factory(model, provider="openai", client=client, temperature=0, max_tokens=4096, seed=7)
    return Told(llm=llm)


async def _serve(metric: Any, answers: TextIO) -> None:  # noqa: ANN401
    for line in sys.stdin:
        answers.write(json.dumps(await _scored(metric, json.loads(line))) + "\n")
        answers.flush()


async def _scored(metric: Any, asked: dict[str, Any]) -> dict[str, object]:  # noqa: ANN401
    metric.statements, metric.verdicts = [], []
    try:
        found = await metric.ascore(
            user_input=asked["question"], response=asked["answer"], retrieved_contexts=asked["contexts"]
        )
    except Exception as error:  # noqa: BLE001 - whatever a judge makes of Ragas is told, and counts as not supported
        return {"statements": [], "verdicts": [], "score": None, "error": type(error).__name__}
    return {"statements": metric.statements, "verdicts": metric.verdicts, "score": found.value, "error": None}


if __name__ == "__main__":
    main(*sys.argv[1:])
