"""Binds the roles of the configuration to models: `provider/name` to an adapter."""

from collections.abc import Iterable, Mapping

from openai import AsyncOpenAI

from infra.models.extractive import LocalExtractive
from infra.models.openai import Dialect, OpenAIModel
from infra.settings import Settings, SettingsError
from processors.ports import Embedder, Model
from schemas.router import Tier

NO_KEY = "none"  # servers of one's own ask for no key, but the SDK wants one


def bind(settings: Settings, *, embedder: Embedder) -> Mapping[Tier, tuple[Model, ...]]:
    """The models of each tier, in the order they are asked; two roles with one name share the model.

    Raises:
        SettingsError: a role names a model that nothing here can be; the message names the setting.
    """
    names = {"MODEL_COMMODITY": settings.model_commodity, "MODEL_FRONTIER": settings.model_frontier}
    models = {name: drafting_model(name, setting, settings, embedder) for setting, name in names.items()}
    return {
        Tier.COMMODITY: (models[settings.model_commodity],),
        Tier.FRONTIER: (models[settings.model_frontier],),
    }


def drafting_model(name: str, setting: str, settings: Settings, embedder: Embedder) -> Model:
    """The model of one role that writes replies: `local/extractive`, or any that speaks the wire format.

    Raises:
        SettingsError: as `bind`.
    """
    return LocalExtractive(embedder) if name == LocalExtractive.name else remote(name, setting, settings)


def remote(name: str, setting: str, settings: Settings) -> OpenAIModel:
    """`openai/NAME`, `vllm/NAME`, or `scripted/URL`, the address of a scripted server with its /v1.

    Raises:
        SettingsError: as `bind`.
    """
    provider, _, served = name.partition("/")
    price, longest = settings.price_of(name), settings.model_max_tokens
    match provider:
        case "openai":
            key = settings.openai_api_key.get_secret_value() if settings.openai_api_key else NO_KEY
            client = AsyncOpenAI(api_key=key, base_url=settings.openai_base_url)
            return OpenAIModel(name, client, price=price, dialect=Dialect(max_tokens=longest))
        case "vllm" if settings.vllm_base_url:
            client = AsyncOpenAI(api_key=NO_KEY, base_url=settings.vllm_base_url)
            return OpenAIModel(name, client, price=price, dialect=Dialect(frozenset(), 0.0, longest))
        case "scripted" if served.startswith(("http://", "https://")):
            client, dialect = AsyncOpenAI(api_key=NO_KEY, base_url=served), Dialect(frozenset(), None, longest)
            return OpenAIModel(name, client, served="scripted", price=price, dialect=dialect)
    raise SettingsError(
        f"{setting}: {name} is no model of this role; use {LocalExtractive.name}, openai/NAME, vllm/NAME "
        "or scripted/URL, the address of `sluice scripted model`"
    )


async def close(models: Iterable[Model]) -> None:
    """Close the connections of those that have any."""
    for model in {id(model): model for model in models}.values():
        if isinstance(model, OpenAIModel):
            await model.close()
