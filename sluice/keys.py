"""What a stack on this machine makes for itself where the settings say nothing: keys, in files of SLUICE_HOME.

They are for a stack whose Kafka and Postgres are the embedded ones: no configured service ever trusts them.
"""

import getpass
import os
import secrets
import tempfile
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from infra.settings import Settings, SettingsError
from processors.queue import named_person
from sluice.reach import edge_url, key_file

NAMELESS = "agent"  # the person of the staff key, where the login has no name


def is_local(settings: Settings) -> bool:
    """Whether Kafka and Postgres are the embedded ones."""
    return settings.kafka_bootstrap_servers is None and settings.database_url is None


def staff_file(settings: Settings) -> Path:
    """Where a local stack keeps the key of its people's queue, as KEY=NAME."""
    return settings.home / "staff-keys"


def chat_file(settings: Settings) -> Path:
    """Where a local stack keeps what signs its chat sessions."""
    return settings.home / "chat-secret"


def _places(settings: Settings) -> dict[str, Path]:
    """The file of each setting that this stack may make for itself."""
    local = is_local(settings)
    places = {
        "api_keys": (key_file(settings), not settings.api_keys),
        "staff_keys": (staff_file(settings), local and not settings.staff_keys),
        "chat_secret": (chat_file(settings), local and settings.chat_secret is None),
    }
    return {field: path for field, (path, unset) in places.items() if unset}


def ensure_keys(settings: Settings) -> None:
    """Make what the settings leave out: a service key; for a local stack a staff key and a chat secret too."""
    contents = {
        "api_keys": f"sk-{secrets.token_urlsafe(24)}=local:service",
        "staff_keys": f"st-{secrets.token_urlsafe(24)}={_login(settings)}",
        "chat_secret": secrets.token_urlsafe(32),
    }
    for field, path in _places(settings).items():
        _make(path, f"{contents[field]}\n")


def own_files(settings: Settings) -> dict[str, Path | None]:
    """The files of what was made for this stack and is used; None where the settings name it, or nothing does."""
    made = {field: path for field, path in _places(settings).items() if path.is_file()}
    return {field: made.get(field) for field in ("api_keys", "staff_keys", "chat_secret")}


def with_own_keys(settings: Settings) -> Settings:
    """The settings, completed by what was made for this stack.

    Raises:
        SettingsError: a file of it cannot be read, or holds something else.
    """
    own = {field: _read(field, path) for field, path in own_files(settings).items() if path}
    if "chat_secret" in own and "chat_demo" not in settings.model_fields_set:
        own["chat_demo"] = only_here(settings)
    return settings.model_copy(update=own)


def chat_page(settings: Settings) -> str | None:
    """Where somebody may try the web chat of this stack; None where it shows no such page."""
    completed = with_own_keys(settings)
    shown = completed.chat_secret is not None and completed.chat_demo
    return f"{edge_url(settings)}/widget-demo" if shown else None


def _make(path: Path, content: str) -> None:
    """A file for this account alone, whole from its first moment; one that is there stays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)  # of mode 600
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(content)
        with suppress(FileExistsError):
            os.link(name, path)
    finally:
        os.unlink(name)


def _read(field: str, path: Path) -> Any:  # noqa: ANN401 - each setting is of its own type
    """A setting from its file."""
    try:
        lines = tuple(line for line in path.read_text().split("\n") if line.strip() and not line.startswith("#"))
        given: dict[str, Any] = {field: lines[0] if field == "chat_secret" else lines}
        return getattr(Settings(**given), field)
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}") from None
    except (ValidationError, UnicodeDecodeError, IndexError):
        raise SettingsError(f"{path} does not hold what it should: remove it, `sluice up` makes it anew") from None


def _login(settings: Settings) -> str:
    """Who acts by the staff key: the same as in `sluice queue`, as far as the login has a name."""
    try:
        return named_person(settings.agent or getpass.getuser())
    except (ValueError, OSError, KeyError):
        return NAMELESS


def only_here(settings: Settings) -> bool:
    """Whether the edge is reached from this machine alone."""
    try:
        return ip_address(settings.edge_host).is_loopback
    except ValueError:
        return settings.edge_host == "localhost"
