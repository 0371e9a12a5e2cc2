"""Every model answers a draft request in the schema, cites what it was shown, and tells its failures apart."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
import uvicorn
from openai import AsyncOpenAI
from pydantic import BaseModel, ConfigDict

from infra.embeddings.scripted import HashingEmbedder
from infra.models.extractive import LocalExtractive
from infra.models.openai import UNSUPPORTED_BY_OPENAI, Dialect, OpenAIModel, strict
from infra.models.roles import bind, close
from infra.models.scripted import ScriptedModel, replaying
from infra.scripted.model_server import create_model
from infra.settings import ModelPrice, SettingsError, load_settings
from processors.errors import DependencyDown, ModelFailed, TryLater
from processors.ports import Model, Prompt
from processors.resolution import DraftReply, DraftRequest, DraftSentence, ShownPassage
from schemas.router import Tier

TEXT = "Standard delivery takes 3 to 5 working days. No signature is needed."
PASSAGE = ShownPassage(article_id="delivery", section_id="standard", title="Delivery", heading="Standard", text=TEXT)
REQUEST = DraftRequest(question="How many working days does standard delivery take?", passages=(PASSAGE,))
PROMPT = Prompt(system="Answer.", user=REQUEST.model_dump_json(), hash="0" * 64)
QUOTE = "Standard delivery takes 3 to 5 working days."
REPLY = DraftReply(sentences=(DraftSentence(text=QUOTE, article_id="delivery", section_id="standard", quote=QUOTE),))


class Verdict(BaseModel):
    """Another schema, as a router or a judge asks for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    relevant: bool


# -- the scripted server on a port of its own


@asynccontextmanager
async def serving() -> AsyncIterator[str]:
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(create_model(), log_level="critical", lifespan="off", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve([listener]))
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await asyncio.wait_for(task, 10)
        listener.close()


@pytest.fixture
async def address() -> AsyncIterator[str]:
    async with serving() as base:
        yield base


@pytest.fixture
async def remote(address: str) -> AsyncIterator[OpenAIModel]:
    price = ModelPrice(model="openai/scripted", prompt=1.0, completion=10.0)
    model = OpenAIModel("openai/scripted", AsyncOpenAI(api_key="none", base_url=f"{address}/v1"), price=price)
    yield model
    await model.close()


@pytest.fixture
async def vllm() -> AsyncIterator[OpenAIModel]:
    url = os.environ.get("SLUICE_TEST_VLLM_URL")
    if not url:
        pytest.skip("SLUICE_TEST_VLLM_URL names no vLLM server")
    client = AsyncOpenAI(api_key="none", base_url=url)
    served = (await client.models.list()).data[0].id
    model = OpenAIModel(f"vllm/{served}", client, dialect=Dialect(frozenset(), 0.0, 100))
    yield model
    await model.close()


async def fail(address: str, fault: str, **more: object) -> None:
    async with httpx.AsyncClient() as client:
        (await client.put(f"{address}/faults", json={"name": fault, **more})).raise_for_status()


# -- every model


@pytest.fixture(params=["scripted", "extractive", "openai"])
def model(request: pytest.FixtureRequest) -> Model:
    if request.param == "openai":
        return request.getfixturevalue("remote")  # type: ignore[no-any-return]
    if request.param == "extractive":
        return LocalExtractive(HashingEmbedder())
    return ScriptedModel(replaying([REPLY] * 3))


class TestModel:
    async def test_the_answer_is_of_the_schema_and_cites_verbatim(self, model: Model) -> None:
        reply = (await model.complete(PROMPT, DraftReply, 10.0)).value
        assert QUOTE in [sentence.quote for sentence in reply.sentences]
        assert {(s.article_id, s.section_id) for s in reply.sentences} == {("delivery", "standard")}
        assert all(sentence.quote in TEXT for sentence in reply.sentences)

    async def test_the_answer_names_its_model(self, model: Model) -> None:
        completion = await model.complete(PROMPT, DraftReply, 10.0)
        assert completion.model == model.name
        assert model.name.partition("/")[0] in ("scripted", "local", "openai")

    async def test_tokens_and_cost_are_never_negative(self, model: Model) -> None:
        completion = await model.complete(PROMPT, DraftReply, 10.0)
        assert min(completion.tokens_in, completion.tokens_out, completion.cost_usd) >= 0

    async def test_it_answers_several_at_once(self, model: Model) -> None:
        both = await asyncio.gather(*(model.complete(PROMPT, DraftReply, 10.0) for _ in range(2)))
        assert both[0].value == both[1].value


async def test_a_vllm_server_answers_in_the_schema(vllm: OpenAIModel) -> None:
    completion = await vllm.complete(Prompt("Answer.", "Is it relevant?", "0" * 64), Verdict, 60.0)
    assert completion.value.relevant in (True, False)
    assert completion.tokens_in > 0


async def test_a_vllm_server_says_what_is_longer_than_its_window(vllm: OpenAIModel) -> None:
    window = (await vllm._client.models.list()).data[0].max_model_len  # type: ignore[attr-defined]
    for words in ("x " * window, "x " * 40 * window):  # told by its tokens, or from its length alone
        with pytest.raises(ModelFailed, match="longer than the model's window"):
            await vllm.complete(Prompt("Answer.", words, "0" * 64), Verdict, 60.0)
    boundless = OpenAIModel(vllm.name, vllm._client, dialect=Dialect(frozenset(), 0.0, 10_000_000))
    with pytest.raises(ModelFailed, match="SLUICE_MODEL_MAX_TOKENS"):
        await boundless.complete(PROMPT, Verdict, 60.0)


# -- what only some can show


async def test_the_extractive_model_answers_nothing_but_drafts() -> None:
    with pytest.raises(ModelFailed, match="DraftReply only"):
        await LocalExtractive(HashingEmbedder()).complete(PROMPT, Verdict, 10.0)


async def test_without_passages_the_extractive_model_says_nothing() -> None:
    prompt = Prompt("Answer.", DraftRequest(question="Well?").model_dump_json(), "0" * 64)
    assert (await LocalExtractive(HashingEmbedder()).complete(prompt, DraftReply, 10.0)).value.sentences == ()


async def test_a_scripted_failure_is_raised_and_a_wrong_answer_is_a_failure() -> None:
    model = ScriptedModel(replaying([TryLater("busy"), Verdict(relevant=True)]))
    with pytest.raises(TryLater, match="busy"):
        await model.complete(PROMPT, DraftReply, 1.0)
    for reason in ("no DraftReply", "no more answers"):
        with pytest.raises(ModelFailed, match=reason):
            await model.complete(PROMPT, DraftReply, 1.0)


async def test_usage_is_counted_and_priced_per_million_tokens(remote: OpenAIModel) -> None:
    completion = await remote.complete(PROMPT, DraftReply, 10.0)
    assert completion.cost_usd == pytest.approx((completion.tokens_in + 10 * completion.tokens_out) / 1_000_000)
    assert completion.cost_usd > 0


async def test_the_scripted_server_answers_any_schema(remote: OpenAIModel) -> None:
    assert (await remote.complete(Prompt("Judge.", "Well?", "0" * 64), Verdict, 10.0)).value == Verdict(relevant=False)


@pytest.mark.parametrize(
    ("fault", "failure"),
    [
        ("error", TryLater),
        ("rate-limit", TryLater),
        ("truncated", TryLater),
        ("unavailable", DependencyDown),
        ("bad-request", ModelFailed),
        ("content-type", ModelFailed),
        ("garbage", ModelFailed),
        ("content", ModelFailed),
        ("schema", ModelFailed),
        ("huge", ModelFailed),
        ("no-choices", ModelFailed),
        ("refusal", ModelFailed),
        ("length", ModelFailed),
    ],
)
async def test_each_fault_has_its_meaning(
    address: str, remote: OpenAIModel, fault: str, failure: type[Exception]
) -> None:
    await fail(address, fault)
    with pytest.raises(failure):
        await remote.complete(PROMPT, DraftReply, 10.0)
    assert (await remote.complete(PROMPT, DraftReply, 10.0)).value.sentences, "the next call is served again"


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("window", "longer than the model's window"),
        ("code-window", "longer than the model's window"),
        ("max-tokens", r"SLUICE_MODEL_MAX_TOKENS \(2000\)"),
        ("bad-request", "status 400"),
    ],
)
async def test_what_does_not_fit_is_told_apart(address: str, remote: OpenAIModel, fault: str, said: str) -> None:
    await fail(address, fault)
    with pytest.raises(ModelFailed, match=said):
        await remote.complete(PROMPT, DraftReply, 10.0)


@pytest.mark.parametrize("fault", ["hang", "drip"])
async def test_the_deadline_bounds_the_whole_call(address: str, remote: OpenAIModel, fault: str) -> None:
    await fail(address, fault)
    with pytest.raises(ModelFailed, match=r"within|in time"):
        await remote.complete(PROMPT, DraftReply, 0.3)


async def test_a_rate_limit_says_how_long_to_wait(address: str, remote: OpenAIModel) -> None:
    await fail(address, "rate-limit", retry_after=7)
    with pytest.raises(TryLater) as caught:
        await remote.complete(PROMPT, DraftReply, 10.0)
    assert caught.value.after == 7.0


async def test_a_server_that_is_not_there_is_down() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    model = OpenAIModel("vllm/gone", AsyncOpenAI(api_key="none", base_url=f"http://127.0.0.1:{port}/v1"))
    with pytest.raises(DependencyDown, match="vllm/gone is down"):
        await model.complete(PROMPT, DraftReply, 10.0)
    await model.close()


async def test_one_call_is_one_request(address: str, remote: OpenAIModel) -> None:
    await fail(address, "error", times=9)
    with pytest.raises(TryLater):
        await remote.complete(PROMPT, DraftReply, 10.0)
    async with httpx.AsyncClient() as client:
        assert (await client.get(f"{address}/requests")).json()["count"] == 1


def test_the_schema_is_strict_and_bounded_only_where_that_is_understood() -> None:
    schema = DraftReply.model_json_schema()
    sentence = strict(schema, UNSUPPORTED_BY_OPENAI)["$defs"]["DraftSentence"]  # type: ignore[index]
    assert sentence["required"] == ["text", "article_id", "section_id", "quote"]
    assert sentence["additionalProperties"] is False
    assert "maxLength" not in str(strict(schema, UNSUPPORTED_BY_OPENAI))
    assert "maxLength" in str(strict(schema))


# -- roles


async def test_roles_are_bound_by_name_and_share_a_model() -> None:
    settings = load_settings(
        {
            "MODEL_FRONTIER": "vllm/llama",
            "VLLM_BASE_URL": "http://127.0.0.1:1/v1",
            "SLUICE_MODEL_MAX_TOKENS": "300",
        }
    )
    models = bind(settings, embedder=HashingEmbedder())
    assert [model.name for model in models[Tier.COMMODITY]] == ["local/extractive"]
    assert [model.name for model in models[Tier.FRONTIER]] == ["vllm/llama"]
    await close(models[Tier.FRONTIER])
    assert models[Tier.FRONTIER][0].dialect.max_tokens == 300  # type: ignore[attr-defined]
    same = bind(load_settings({}), embedder=HashingEmbedder())
    assert same[Tier.COMMODITY][0] is same[Tier.FRONTIER][0]


@pytest.mark.parametrize("name", ["local/classifier", "scripted/model"])
def test_a_name_that_is_no_model_of_the_role_names_the_setting(name: str) -> None:
    with pytest.raises(SettingsError, match=f"MODEL_COMMODITY: {name}"):
        bind(load_settings({"MODEL_COMMODITY": name}), embedder=HashingEmbedder())


async def test_a_role_may_be_a_scripted_server(address: str) -> None:
    settings = load_settings({"MODEL_COMMODITY": f"scripted/{address}/v1"})
    (model,) = bind(settings, embedder=HashingEmbedder())[Tier.COMMODITY]
    assert (await model.complete(PROMPT, DraftReply, 10.0)).value.sentences
    await close([model])
