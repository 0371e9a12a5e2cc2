"""What a local stack makes for itself: files that only its account reads, and that no configured service trusts."""

from pathlib import Path

import pytest

from infra.settings import Settings, SettingsError, load_settings
from sluice.keys import chat_page, ensure_keys, own_files, with_own_keys

MADE = ("api-keys", "chat-secret", "staff-keys")
ELSEWHERE = ({"KAFKA_BOOTSTRAP_SERVERS": "kafka:9092"}, {"DATABASE_URL": "postgresql://owner@db/sluice"})


def made_in(home: Path, **environ: str) -> Settings:
    settings = load_settings({"SLUICE_HOME": str(home), **environ})
    ensure_keys(settings)
    return settings


def test_a_local_stack_has_keys_for_every_door_in_files_of_its_own_account(tmp_path: Path) -> None:
    own = with_own_keys(made_in(tmp_path / "var", SLUICE_AGENT="mia"))
    assert [(key.account, key.scope) for key in own.api_keys] == [("local", "service")]
    assert [key.name for key in own.staff_keys] == ["mia"]
    assert own.chat_secret is not None
    assert sorted(path.name for path in (tmp_path / "var").iterdir()) == list(MADE)
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "var").iterdir()} == {0o600}


def test_what_was_made_stays_and_no_two_are_alike(tmp_path: Path) -> None:
    first, again = (with_own_keys(made_in(tmp_path / "a")) for _ in range(2))
    other = with_own_keys(made_in(tmp_path / "b"))
    assert first == again
    assert not {key.key.get_secret_value() for key in first.staff_keys} & {
        key.key.get_secret_value() for key in other.staff_keys
    }
    assert first.chat_secret != other.chat_secret


@pytest.mark.parametrize("elsewhere", ELSEWHERE)
def test_configured_services_trust_only_what_is_configured(tmp_path: Path, elsewhere: dict[str, str]) -> None:
    made_in(tmp_path)
    own = with_own_keys(made_in(tmp_path, **elsewhere))
    assert (own.staff_keys, own.chat_secret, own.chat_demo) == ((), None, False)
    assert chat_page(own) is None


def test_what_the_settings_say_is_kept(tmp_path: Path) -> None:
    said = {"SLUICE_API_KEYS": "k=shop:customer", "SLUICE_STAFF_KEYS": "s=ben", "SLUICE_CHAT_SECRET": "x" * 32}
    settings = made_in(tmp_path, **said)
    assert with_own_keys(settings) == settings
    assert set(own_files(settings).values()) == {None}


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ({}, True),
        ({"SLUICE_EDGE_HOST": "localhost"}, True),
        ({"SLUICE_EDGE_HOST": "0.0.0.0"}, False),
        ({"SLUICE_EDGE_HOST": "support.example"}, False),
        ({"SLUICE_EDGE_HOST": "0.0.0.0", "SLUICE_CHAT_DEMO": "true"}, True),
        ({"SLUICE_CHAT_DEMO": "false"}, False),
        ({"SLUICE_CHAT_SECRET": "x" * 32}, False),
    ],
)
def test_the_page_to_chat_on_is_for_this_machine(tmp_path: Path, said: dict[str, str], shown: bool) -> None:
    assert (chat_page(made_in(tmp_path, **said)) is not None) is shown


@pytest.mark.parametrize(("name", "content"), [("staff-keys", b"no key"), ("chat-secret", b""), ("api-keys", b"\xff")])
def test_a_file_that_holds_something_else_is_named(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SettingsError, match=name):
        with_own_keys(made_in(tmp_path))
