"""Models behind the OpenAI wire format: OpenAI itself, vLLM, and the scripted server."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

import httpx2  # the transport of the OpenAI SDK, whose errors come through while an answer is read
from openai import APIConnectionError, APIStatusError, APITimeoutError, AsyncOpenAI, omit
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from infra.settings import ModelPrice
from processors.errors import DependencyDown, ModelFailed, SluiceError, TryLater
from processors.ports import Completion, Prompt

T = TypeVar("T", bound=BaseModel)
JsonSchema = dict[str, object]

MAX_ANSWER = 256 * 1024  # bytes of a response body; a draft needs a few thousand
MAX_TOKENS = 2_000  # of an answer; a draft needs a few hundred
CONNECT = 5.0  # seconds to reach a server before it counts as down
NOBODY_SERVED = frozenset((502, 503, 504, 529))  # statuses that say the server serves nobody now
PROMPT_TOO_LONG = frozenset(("input_tokens", "input_text", "context_length_exceeded"))  # vLLM's params, OpenAI's code
ANSWER_TOO_LONG = frozenset(("max_completion_tokens", "max_tokens"))  # the param of either
PASSING = frozenset((408, 409, 425, 429, 500))  # statuses of this one call, which may pass

# Structured Outputs of OpenAI refuse these keywords; vLLM's grammars use them to end endless strings.
UNSUPPORTED_BY_OPENAI = frozenset(("maxLength", "minLength", "maxItems", "minItems", "pattern", "format"))


@dataclass(frozen=True)
class Dialect:
    """How a server is to be asked."""

    unsupported: frozenset[str] = UNSUPPORTED_BY_OPENAI  # keywords of JSON Schema
    temperature: float | None = None  # None: the model's own, as some allow no other
    max_tokens: int = MAX_TOKENS  # of an answer; servers refuse more than their model's window holds


OPENAI = Dialect()


class OpenAIModel:
    """A chat completion with structured output (`response_format: json_schema`, strict).

    `deadline` bounds the whole call, however slowly bytes arrive. What a failure means (ARCHITECTURE §9):

    - no connection, 502, 503, 504, 529: an outage, DependencyDown; the stage waits in place
    - 429, 408, 409, 425, 500, a connection lost in the middle: TryLater, after Retry-After where it is given. A single
      500 may be this ticket's alone: waiting in place for it would hold the others up for ever
    - past the deadline, any other 4xx (the ticket and its sources may be too long for the model's window, which the
      message says), refused, cut off, too long, not JSON, not the schema: ModelFailed, and a person takes the ticket
    """

    def __init__(
        self,
        name: str,
        client: AsyncOpenAI,
        *,
        served: str | None = None,
        price: ModelPrice | None = None,
        dialect: Dialect = OPENAI,
    ) -> None:
        """`served` is its name on the wire, by default what follows the provider. Without a price it is free."""
        self.name = name
        self._client = client.with_options(max_retries=0)
        self._served = served or name.partition("/")[2]
        self._price = price
        self.dialect = dialect

    async def complete(self, prompt: Prompt, schema: type[T], deadline: float) -> Completion[T]:
        """Ask once, within `deadline` seconds in all; the failures are those of the class."""
        try:
            async with asyncio.timeout(deadline):
                answer = await self._heard(lambda: self._ask(prompt, schema, deadline))
        except TimeoutError:
            raise ModelFailed(f"{self.name} gave no answer within {deadline:g} s") from None
        return self._completion(answer, schema)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def _heard(self, ask: Callable[[], Awaitable[bytes]]) -> bytes:
        """The answer's bytes, or the failure in the terms of Sluice."""
        try:
            return await ask()
        except APIStatusError as error:
            raise self._status(error) from error
        except APITimeoutError as error:
            raise self._timeout(error.__cause__) from error
        except APIConnectionError as error:
            raise self._broken(error.__cause__) from error
        except httpx2.TimeoutException as error:
            raise self._timeout(error) from error
        except httpx2.TransportError as error:
            raise self._broken(error) from error

    async def _ask(self, prompt: Prompt, schema: type[BaseModel], deadline: float) -> bytes:
        request = self._client.chat.completions.with_streaming_response.create(
            model=self._served,
            messages=[{"role": "system", "content": prompt.system}, {"role": "user", "content": prompt.user}],
            response_format={
                "type": "json_schema",
                "json_schema": {
                    "name": schema.__name__,
                    "schema": strict(schema.model_json_schema(), self.dialect.unsupported),
                    "strict": True,
                },
            },
            max_completion_tokens=self.dialect.max_tokens,
            temperature=omit if self.dialect.temperature is None else self.dialect.temperature,
            timeout=httpx2.Timeout(deadline, connect=min(CONNECT, deadline)),
        )
        async with request as response:
            if "json" not in response.headers.get("content-type", ""):
                raise ModelFailed(f"{self.name} answered with another content type")
            body = bytearray()
            async for chunk in response.iter_bytes():
                body += chunk
                if len(body) > MAX_ANSWER:
                    raise ModelFailed(f"{self.name} answered more than {MAX_ANSWER} bytes")
            return bytes(body)

    # -- what a failure means

    def _status(self, error: APIStatusError) -> SluiceError:
        response, status = error.response, error.status_code
        if status in NOBODY_SERVED:
            return DependencyDown(self.name, f"status {status}")
        if status in PASSING:
            return TryLater(f"{self.name} answered status {status}", retry_after(response))
        about = {str(error.param), str(error.code)}  # never its message, which may quote the ticket
        if about & PROMPT_TOO_LONG:
            return ModelFailed(f"{self.name}: the ticket and its sources are longer than the model's window")
        if about & ANSWER_TOO_LONG:
            longest = self.dialect.max_tokens
            return ModelFailed(f"{self.name}: SLUICE_MODEL_MAX_TOKENS ({longest}) is beyond the model's window")
        return ModelFailed(f"{self.name} answered status {status}")

    def _timeout(self, cause: BaseException | None) -> SluiceError:
        if isinstance(cause, httpx2.ConnectTimeout | httpx2.PoolTimeout):
            return DependencyDown(self.name, "no connection")
        return ModelFailed(f"{self.name} did not answer in time")

    def _broken(self, cause: BaseException | None) -> SluiceError:
        if isinstance(cause, httpx2.ConnectError):
            return DependencyDown(self.name, "no connection")
        return TryLater(f"{self.name}: the connection broke")

    # -- what an answer says

    def _completion(self, body: bytes, schema: type[T]) -> Completion[T]:
        """Read the answer.

        Raises:
            ModelFailed: it is not a chat completion, or was refused, cut off, or not of the schema.
        """
        try:
            answer = _Answer.model_validate_json(body)
        except ValidationError as error:
            raise ModelFailed(f"{self.name} answered no chat completion") from error
        choice = answer.choices[0]
        if choice.message.refusal:
            raise ModelFailed(f"{self.name} refused")
        if choice.finish_reason != "stop":
            raise ModelFailed(f"{self.name} stopped early: {choice.finish_reason}")
        try:
            value = schema.model_validate_json(choice.message.content or "")
        except ValidationError as error:
            raise ModelFailed(f"{self.name} answered no {schema.__name__}") from error
        usage = answer.usage
        return Completion(value, self.name, usage.prompt_tokens, usage.completion_tokens, self._cost(usage))

    def _cost(self, usage: "_Usage") -> float:
        if self._price is None:
            return 0.0
        dollars = usage.prompt_tokens * self._price.prompt + usage.completion_tokens * self._price.completion
        return dollars / 1_000_000


def retry_after(response: httpx2.Response) -> float | None:
    """Seconds the server asks to wait (RFC 9110 §10.2.3); a date, or nonsense, leaves it to the retry policy."""
    text = response.headers.get("retry-after", "")
    return float(text) if text.isascii() and text.isdigit() else None


# -- the wire format


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class _Message(_Wire):
    content: str | None = None
    refusal: str | None = None


class _Choice(_Wire):
    message: _Message
    finish_reason: str | None = None


class _Usage(_Wire):
    prompt_tokens: int = Field(0, ge=0)
    completion_tokens: int = Field(0, ge=0)


class _Answer(_Wire):
    choices: tuple[_Choice, ...] = Field(min_length=1)
    usage: _Usage = _Usage()


def strict(schema: JsonSchema, unsupported: frozenset[str] = frozenset()) -> JsonSchema:
    """A JSON schema as strict mode wants it: every property required, no others allowed, no default."""
    dropped = unsupported | {"default", "title"}
    kept: JsonSchema = {}
    for key, value in schema.items():
        if key in ("properties", "$defs") and isinstance(value, dict):
            kept[key] = {name: strict(part, unsupported) for name, part in value.items()}
        elif key not in dropped:
            kept[key] = _strict_value(value, unsupported)
    if isinstance(properties := kept.get("properties"), dict):
        kept |= {"required": list(properties), "additionalProperties": False}
    return kept


def _strict_value(value: object, unsupported: frozenset[str]) -> object:
    if isinstance(value, dict):
        return strict(value, unsupported)
    if isinstance(value, list):
        return [_strict_value(part, unsupported) for part in value]
    return json.loads(json.dumps(value))
