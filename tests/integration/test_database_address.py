"""Which database is spoken to and with which password: TLS before a PostgreSQL, and secrets."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import shutil
from typing import TYPE_CHECKING, Any

import boto3
import psycopg2
import pytest
from moto import mock_aws
from psycopg2.extensions import parse_dsn

from chalicelib.db import RDS_ROOTS, Address, Database, SecretAddress, TokenAddress, address
from chalicelib.errors import InvalidSettings, StoreUnavailable
from chalicelib.runtime import Runtime
from chalicelib.settings import Settings
from tests.integration import tls

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

REGION = "eu-west-1"  # another than the queue's


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two authorities, `ours` and `theirs`, and a certificate of ours for `localhost`."""
    if shutil.which("openssl") is None and "CI" not in os.environ:
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("certificates")
    for name in ("ours", "theirs"):
        tls.make_authority(folder, name)
    tls.make_certificate(folder, "ours", "localhost")
    return folder


@pytest.fixture
def door(certificates: Path, database_url: str) -> Iterator[Any]:
    """The database behind TLS; the address in it is the one of its certificate."""
    parts = parse_dsn(database_url)
    behind = (parts["host"], int(parts["port"]))
    files = certificates / "server.pem", certificates / "server.key"
    with tls.tls_in_front_of(behind, *files) as server:
        yield server


def url_of(door: Any, database_url: str, host: str = "localhost") -> str:
    parts = parse_dsn(database_url)
    who = f"{parts['user']}:{parts['password']}"
    return f"postgresql://{who}@{host}:{door.server_address[1]}/{parts['dbname']}"


def answers(where: Address) -> bool:
    with contextlib.closing(Database(where, patience=5)) as database:
        return bool(database.query("read_schema_version"))


def test_a_database_with_the_right_certificate_is_spoken_to(
    door: Any, database_url: str, certificates: Path
) -> None:
    assert answers(Address(url_of(door, database_url), certificates / "ours.pem"))
    assert door.plain == 0


def test_a_database_whose_certificate_is_of_another_authority_is_refused(
    door: Any, database_url: str, certificates: Path
) -> None:
    for roots in (certificates / "theirs.pem", RDS_ROOTS):
        with pytest.raises(StoreUnavailable) as refused:
            answers(Address(url_of(door, database_url), roots))
        assert "certificate verify failed" in str(refused.value.__cause__)


def test_a_database_whose_certificate_is_for_another_host_is_refused(
    door: Any, database_url: str, certificates: Path
) -> None:
    where = Address(url_of(door, database_url, host="127.0.0.1"), certificates / "ours.pem")
    with pytest.raises(StoreUnavailable) as refused:
        answers(where)
    assert 'does not match host name "127.0.0.1"' in str(refused.value.__cause__)


def test_a_database_without_tls_is_refused(database_url: str, certificates: Path) -> None:
    """Whatever the URL says: DATABASE_TLS wins."""
    with pytest.raises(StoreUnavailable) as refused:
        answers(Address(f"{database_url}?sslmode=disable", certificates / "ours.pem"))
    assert "server does not support SSL" in str(refused.value.__cause__)


@pytest.fixture
def role(own_database_url: str) -> Callable[[str], dict[str, Any]]:
    """Gives the role `app` a password and returns what RDS would write into the secret."""
    parts = parse_dsn(own_database_url)
    admin = psycopg2.connect(own_database_url)
    admin.autocommit = True

    def turn(password: str) -> dict[str, Any]:
        with admin.cursor() as cursor:
            cursor.execute("select 1 from pg_roles where rolname = 'app'")
            verb = "alter" if cursor.fetchone() else "create"
            cursor.execute(f"{verb} role app login superuser password %s", [password])
        where = {"host": parts["host"], "port": int(parts["port"]), "dbname": parts["dbname"]}
        return {"engine": "postgres", "username": "app", "password": password, **where}

    return turn


@pytest.fixture
def vault() -> Iterator[Any]:
    """moto's Secrets Manager, in the place of AWS's."""
    with mock_aws():
        yield boto3.client("secretsmanager", region_name=REGION)


def runtime_of(arn: str) -> Runtime:
    return Runtime(Settings(database_secret_arn=arn))


def test_user_password_and_host_come_from_the_secret_when_they_are_needed(
    vault: Any, role: Callable[[str], dict[str, Any]]
) -> None:
    arn = vault.create_secret(Name="tasks", SecretString="{}")["ARN"]
    runtime = runtime_of(arn)  # nothing is read yet
    vault.put_secret_value(SecretId=arn, SecretString=json.dumps(role("first")))
    assert runtime.database.query("read_schema_version")
    vault.delete_secret(SecretId=arn, ForceDeleteWithoutRecovery=True)
    runtime.database.close()
    assert runtime.database.query("read_schema_version")  # read once in a process
    runtime.database.close()


def test_a_password_that_was_rotated_is_read_again(
    vault: Any, role: Callable[[str], dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = json.dumps(role("first"))
    arn = vault.create_secret(Name="tasks", SecretString=text)["ARN"]
    runtime = runtime_of(arn)
    assert runtime.database.query("read_schema_version")
    runtime.database.close()
    vault.put_secret_value(SecretId=arn, SecretString=json.dumps(role("second")))
    with pytest.raises(StoreUnavailable):  # it was read a moment ago
        runtime.database.query("read_schema_version")
    monkeypatch.setattr(address, "LOOK_AGAIN", 0)
    assert runtime.database.query("read_schema_version")
    runtime.database.close()


def test_a_secret_that_is_not_to_be_had_is_an_outage(vault: Any) -> None:
    arn = vault.create_secret(Name="tasks", SecretString="{}")["ARN"]
    vault.delete_secret(SecretId=arn, ForceDeleteWithoutRecovery=True)
    with pytest.raises(StoreUnavailable, match="secret cannot be read"):
        runtime_of(arn).database.query("read_schema_version")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hunter2", "no JSON object"),
        ('["hunter2"]', "no JSON object"),
        ('{"password": "hunter2"}', "no username and password"),
    ],
)
def test_a_secret_of_another_form_is_named_and_not_shown(text: str, message: str) -> None:
    where = SecretAddress("postgresql://db/tasks", "", lambda: text)
    with pytest.raises(InvalidSettings, match=message) as refused:
        where.parameters()
    assert "hunter2" not in str(refused.value)


def test_the_url_says_what_the_secret_does_not() -> None:
    """A secret that RDS manages itself has a user and a password only."""
    text = json.dumps({"username": "app", "password": "x"})
    where = SecretAddress("postgresql://db.example.com/tasks", "/x.pem", lambda: text)
    assert where.parameters() == {
        "dsn": "postgresql://db.example.com/tasks",
        "user": "app",
        "password": "x",
        "sslmode": "verify-full",
        "sslrootcert": "/x.pem",
    }


def test_a_database_that_is_down_is_not_asked_about_at_every_call() -> None:
    reads: list[int] = []

    def read() -> str:
        reads.append(1)
        return json.dumps({"username": "app", "password": "x"})

    database = Database(SecretAddress("postgresql://127.0.0.1:1/tasks", "", read), patience=5)
    for _ in range(5):
        with pytest.raises(StoreUnavailable):
            database.query("read_schema_version")
    assert len(reads) == 1


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Sets the clock by which botocore signs, to so many minutes after noon."""

    def turn(minutes: int) -> None:
        noon = dt.datetime(2030, 1, 1, 12, tzinfo=dt.UTC)
        then = noon + dt.timedelta(minutes=minutes)
        monkeypatch.setattr("botocore.auth.get_current_datetime", lambda: then)

    return turn


@pytest.fixture
def by_token(
    door: Any, own_database_url: str, certificates: Path
) -> Iterator[tuple[Runtime, Callable[[], str]]]:
    """A runtime that shows tokens, and what AWS's own client takes for one at this moment."""
    port, name = door.server_address[1], parse_dsn(own_database_url)["dbname"]
    whole = Runtime(
        Settings(
            database_auth="iam",
            database_url=f"postgresql://app@localhost:{port}/{name}",
            database_tls=str(certificates / "ours.pem"),
            AWS_REGION=REGION,
        )
    )
    rds = boto3.client("rds", region_name=REGION)
    asked = {"DBHostname": "localhost", "Port": port, "DBUsername": "app"}
    yield whole, lambda: str(rds.generate_db_auth_token(**asked))
    whole.database.close()


def test_every_connection_shows_a_token_of_its_own_and_none_that_has_run_out(
    by_token: tuple[Runtime, Callable[[], str]],
    role: Callable[[str], dict[str, Any]],
    at: Callable[[int], None],
    door: Any,
) -> None:
    """The role's password is the token that RDS would take at that moment."""
    runtime, token = by_token
    at(0)
    first = token()
    role(first)
    assert runtime.database.query("read_schema_version")
    at(16)
    role(token())
    assert token() != first
    assert runtime.database.query("read_schema_version")  # an open connection asks for none
    runtime.database.close()
    assert runtime.database.query("read_schema_version")
    runtime.database.close()
    role(first)
    with pytest.raises(StoreUnavailable) as refused:
        runtime.database.query("read_schema_version")
    assert "password authentication failed" in str(refused.value.__cause__)
    assert door.plain == 0


def test_a_token_is_not_shown_without_tls(database_url: str) -> None:
    shown: list[str] = []

    def sign(host: str, port: int, user: str) -> str:
        shown.append(f"{user}@{host}:{port}")
        return "token"

    where = TokenAddress(f"{database_url}?sslmode=disable", "", sign)
    with pytest.raises(StoreUnavailable) as refused:
        answers(where)
    parts = parse_dsn(database_url)
    assert shown == [f"{parts['user']}@{parts['host']}:{parts['port']}"]
    assert "server does not support SSL" in str(refused.value.__cause__)


def test_without_credentials_there_is_no_token_and_that_is_an_outage(
    by_token: tuple[Runtime, Callable[[], str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    with pytest.raises(StoreUnavailable, match="no credentials for the database"):
        by_token[0].database.query("read_schema_version")
