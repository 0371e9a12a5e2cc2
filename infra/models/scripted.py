"""A model that answers what it is told to: for tests, demos and evaluations without a model."""

from collections.abc import Callable, Iterable
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from processors.errors import ModelFailed, SluiceError
from processors.ports import Completion, Prompt

T = TypeVar("T", bound=BaseModel)
Answer = BaseModel | SluiceError  # a failure is raised
Script = Callable[[Prompt], Answer]


class ScriptedModel:
    """Answers by a function of the prompt, and keeps the prompts it was shown."""

    def __init__(self, script: Script, name: str = "scripted/model", tokens: int = 1, cost_usd: float = 0.0) -> None:
        """Each answer counts `tokens` both ways and costs `cost_usd`."""
        self.name = name
        self.shown: list[Prompt] = []
        self._script = script
        self._tokens = tokens
        self._cost = cost_usd

    async def complete(self, prompt: Prompt, schema: type[T], deadline: float) -> Completion[T]:
        """The script's answer, held to the schema like any model's."""
        self.shown.append(prompt)
        answer = self._script(prompt)
        if isinstance(answer, SluiceError):
            raise answer
        try:
            value = schema.model_validate(answer.model_dump())
        except ValidationError as error:
            raise ModelFailed(f"{self.name} answered no {schema.__name__}") from error
        return Completion(value, self.name, self._tokens, self._tokens, self._cost)


def replaying(answers: Iterable[Answer]) -> Script:
    """A script that gives the answers in turn, then fails."""
    left = iter(answers)
    return lambda prompt: next(left, ModelFailed("the script has no more answers"))
