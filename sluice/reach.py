"""Where the running stack is: the configured services, else the embedded ones of SLUICE_HOME."""

import os
from pathlib import Path
from socket import AF_INET, AF_INET6, SO_REUSEADDR, SOL_SOCKET, socket

import httpx

from infra.kafka.running import running_kafka
from infra.kafka.security import Brokers
from infra.postgres.local import find_postgres
from infra.settings import ApiKey, Settings, SettingsError, load_settings
from processors.errors import DependencyDown
from sluice.terminal import DOWN, USAGE, fail


def bootstrap(settings: Settings) -> Brokers:
    """The brokers to talk to, or the end of the command; nothing is started."""
    try:
        return brokers_of(settings)
    except DependencyDown as error:
        fail(str(error), DOWN)
    except SettingsError as error:
        fail(str(error), USAGE)


def owner_url(settings: Settings) -> str:
    """Postgres as its owner, or the end of the command; nothing is started."""
    try:
        return database_of(settings)
    except DependencyDown as error:
        fail(str(error), DOWN)


def brokers_of(settings: Settings) -> Brokers:
    """The brokers to talk to.

    Raises:
        DependencyDown: none are configured, and none run in SLUICE_HOME.
        SettingsError: a certificate or key for them cannot be read.
    """
    running = running_kafka(settings)
    if running is None:
        raise DependencyDown("Kafka", f"none in {settings.home}: run `sluice up`, or set KAFKA_BOOTSTRAP_SERVERS")
    return running.brokers


def database_of(settings: Settings) -> str:
    """Postgres as its owner.

    Raises:
        DependencyDown: none is configured, and none runs in SLUICE_HOME.
    """
    if settings.database_url is not None:
        return settings.database_url.get_secret_value()
    local = find_postgres(settings.home / "postgres")
    if local is None:
        raise DependencyDown("Postgres", f"none in {settings.home}: run `sluice up`, or set DATABASE_URL")
    return local.url()


def edge_url(settings: Settings) -> str:
    """The address of the edge."""
    return f"http://{settings.edge_host}:{settings.edge_port}"


def worker_url(settings: Settings) -> str:
    """The address of a worker's health."""
    return f"http://{settings.edge_host}:{settings.worker_port}"


def usable(settings: Settings) -> None:
    """Make SLUICE_HOME where it is missing.

    Raises:
        SettingsError: nothing can be kept there.
    """
    try:
        settings.home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(f"SLUICE_HOME is {settings.home}, which cannot be used: {error.strerror}") from None
    if not os.access(settings.home, os.W_OK | os.X_OK):
        raise SettingsError(f"SLUICE_HOME is {settings.home}, which cannot be written to")


def taken(host: str, port: int) -> str | None:
    """Why a process cannot listen there, in words; None when it can. Port 0 is any free one."""
    with socket(AF_INET6 if ":" in host else AF_INET) as trial:
        trial.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
        try:
            trial.bind((host, port))
        except OSError as error:
            return f"{host}:{port} cannot be listened at: {error.strerror}"
    return None


def unready(url: str) -> str | None:
    """Why the process behind a /readyz is not ready, in words; None when it is.

    Raises:
        httpx.TransportError: nothing answers there.
    """
    response = httpx.get(url, timeout=3)
    if response.status_code == httpx.codes.OK:
        return None
    try:
        told = response.json()
    except ValueError:
        return f"{response.status_code} {response.text.strip()[:200]}"
    wrong = [f"{part} {state}" for part, state in told.get("parts", {}).items() if state != "ok"]
    return "; ".join(wrong) or str(told.get("detail", response.status_code))


def pid_at(url: str) -> int | None:
    """The process behind a /livez as it names itself; None where it does not.

    Raises:
        httpx.TransportError: nothing answers there.
    """
    try:
        told = httpx.get(url, timeout=3).json()
    except ValueError:
        return None
    return told.get("pid") if isinstance(told, dict) else None


def key_file(settings: Settings) -> Path:
    """Where a local stack keeps the API key that was made for it."""
    return settings.home / "api-keys"


def api_keys(settings: Settings) -> tuple[ApiKey, ...]:
    """The keys of the settings, else the one that was made for the local stack."""
    if settings.api_keys or not key_file(settings).is_file():
        return settings.api_keys
    return load_settings({"SLUICE_API_KEYS_FILE": str(key_file(settings))}).api_keys
