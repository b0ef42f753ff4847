"""Settings: their defaults, their bounds, and what is said of a wrong one."""

from __future__ import annotations

import pytest

from chalicelib.errors import InvalidSettings
from chalicelib.settings import Settings

OUT_OF_BOUNDS = [
    ("DATABASE_URL", "mysql://user:canary-1@host/db"),
    ("DATABASE_CONNECTIONS", "0"),
    ("DATABASE_SECRET_ARN", "tasks"),
    ("DATABASE_TLS", "on"),
    ("DATABASE_AUTH", "canary-4"),
    ("QUEUE_NAME", "not a queue"),
    ("QUEUE_NAME", "x" * 77),
    ("PRIORITY_QUEUE", "canary-8"),
    ("AWS_REGION", ""),
    ("BATCH_SIZE", "10001"),
    ("BATCH_WINDOW", "301"),
    ("MAXIMUM_CONCURRENCY", "1"),
    ("WORKER_TIMEOUT", "901"),
    ("WORKER_THREADS", "65"),
    ("ATTEMPT_LIMIT", "0"),
    ("MAX_RECEIVE_COUNT", "1001"),
    ("RETRY_DELAY", "-1"),
    ("RETRY_DELAY", "nan"),
    ("RETRY_DELAY_MAX", "inf"),
    ("LEASE_MARGIN", "x"),
    ("DISPATCH_GRACE", "0"),
    ("DISPATCH_GRACE_MAX", "1e9"),
    ("SEND_AHEAD", "901"),
    ("RETENTION_DAYS", "0"),
    ("DATABASE_PATIENCE", "0"),
    ("ENQUEUE_FAILURE", "canary-2"),
    ("AUTH", "maybe"),
    ("RATE_LIMIT", "-1"),
    ("RATE_BURST", "0"),
    ("OPEN_LIMIT", "1000001"),
    ("PARTIAL_BATCH", "both"),
    ("OUTBOUND_ALLOW", "10.0.0.0/33-canary"),
    ("EMAIL_URL", "canary-6"),
    ("EMAIL_FROM", "canary-7"),
    ("EMAIL_FROM", "Tasks <tasks@example.com>\r\nBcc: canary@example.com"),
    ("WEBHOOK_SECRETS", "canary-5"),
    ("WEBHOOK_SECRETS_ARN", "webhooks"),
    ("FILES", "files"),
    ("FILES", "s3://Canary/files"),
    ("FILES", "s3://canary/a//b"),
    ("TRACING", "canary-3"),
    ("METRICS", "on"),
    ("METRICS_NAMESPACE", "AWS/SQS"),
    ("METRICS_STAGE", ""),
    ("TRACING_PATIENCE", "0"),
    ("LOG_LEVEL", "LOUD"),
]


def test_an_empty_environment_gives_the_defaults() -> None:
    settings = Settings.from_env({})
    assert settings.queue_name == "interview-queue"
    assert settings.dead_letter_queue_name == "interview-queue-dlq"
    assert (settings.retry_delay, settings.max_receive_count, settings.attempt_limit) == (30, 3, 3)
    assert settings.visibility_timeout == 360
    assert settings.partial_batch == "delete"


@pytest.mark.parametrize(("name", "value"), OUT_OF_BOUNDS)
def test_a_setting_out_of_bounds_is_named_and_its_value_is_not_shown(name: str, value: str) -> None:
    with pytest.raises(InvalidSettings) as caught:
        Settings.from_env({name: value})
    lines = str(caught.value).splitlines()
    assert len(lines) == 2
    assert lines[1].startswith(f"{name}: ")
    assert "canary" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_every_setting_has_a_bound_that_is_tested() -> None:
    names = {name.upper() for name in Settings.model_fields}
    assert {name for name, _ in OUT_OF_BOUNDS} == names


def test_every_wrong_setting_is_named_at_once() -> None:
    with pytest.raises(InvalidSettings) as caught:
        Settings.from_env({"BATCH_SIZE": "0", "TRACING": "on"})
    assert "BATCH_SIZE: " in str(caught.value)
    assert "TRACING: " in str(caught.value)


@pytest.mark.parametrize(
    ("environ", "region"),
    [
        ({"AWS_DEFAULT_REGION": "eu-west-1"}, "eu-west-1"),
        ({"AWS_REGION": "eu-north-1", "AWS_DEFAULT_REGION": "eu-west-1"}, "eu-north-1"),
    ],
)
def test_the_region_is_the_one_that_aws_sets(environ: dict[str, str], region: str) -> None:
    assert Settings.from_env(environ).aws_region == region


def test_the_process_environment_is_read_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKER_TIMEOUT", "100")
    monkeypatch.setenv("PATH_LIKE_STRANGER", "x")
    assert Settings.from_env().visibility_timeout == 600


def test_every_setting_says_what_it_is_for() -> None:
    for name, field in Settings.model_fields.items():
        assert field.description, name


def test_a_deployed_stage_cannot_be_open_to_everybody() -> None:
    assert Settings.from_env({"AUTH": "off"}).auth == "off"
    assert Settings.from_env({"AWS_LAMBDA_FUNCTION_NAME": "tasks-prod"}).auth == "keys"
    with pytest.raises(InvalidSettings, match="AUTH: off is for a laptop"):
        Settings.from_env({"AUTH": "off", "AWS_LAMBDA_FUNCTION_NAME": "tasks-prod"})


LAMBDA = {"AWS_LAMBDA_FUNCTION_NAME": "tasks-prod"}
SECRET = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:tasks-AbCdEf"  # noqa: S105


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://app:hunter2@db.example.com/tasks?sslmode=verify-full",
        "postgresql://app@db.example.com/tasks?sslmode=verify-full&password=hunter2",
        "postgresql://app:hunter2@localhost/tasks?host=db.example.com&sslmode=verify-full",
        "postgresql://app:hunter2@one:5432,two:5432/tasks?sslmode=verify-full",
    ],
)
def test_a_deployed_stage_has_no_password_in_its_configuration(url: str) -> None:
    with pytest.raises(InvalidSettings, match=r"DATABASE_URL: .* DATABASE_SECRET_ARN") as refused:
        Settings.from_env({"DATABASE_URL": url, **LAMBDA})
    assert "hunter2" not in str(refused.value)
    assert Settings.from_env({"DATABASE_URL": url}).database_url == url


@pytest.mark.parametrize("mode", ["", "?sslmode=require", "?sslmode=verify-ca"])
def test_a_deployed_stage_makes_sure_which_database_it_speaks_to(mode: str) -> None:
    url = {"DATABASE_URL": f"postgresql://app@db.example.com/tasks{mode}", **LAMBDA}
    with pytest.raises(InvalidSettings, match="DATABASE_TLS: not set"):
        Settings.from_env(url)
    assert Settings.from_env({**url, "DATABASE_TLS": "rds"}).database_tls == "rds"
    with pytest.raises(InvalidSettings, match="DATABASE_TLS: not set"):
        Settings.from_env({"DATABASE_SECRET_ARN": SECRET, **LAMBDA})


def test_verify_full_in_the_url_will_do() -> None:
    url = "postgresql://app@db.example.com/tasks?sslmode=verify-full&sslrootcert=/x.pem"
    assert Settings.from_env({"DATABASE_URL": url, **LAMBDA}).database_tls == ""


def test_a_database_on_the_same_machine_may_do_without_either() -> None:
    url = "postgresql://postgres:postgres@127.0.0.1:5432/interview_db"
    assert Settings.from_env({"DATABASE_URL": url, **LAMBDA}).database_url == url


def test_everything_unsafe_is_named_at_once() -> None:
    unsafe = {"DATABASE_URL": "postgresql://app:hunter2@db/tasks", "AUTH": "off", **LAMBDA}
    with pytest.raises(InvalidSettings) as refused:
        Settings.from_env(unsafe)
    names = [line.partition(":")[0] for line in str(refused.value).splitlines()]
    assert names == ["Not safe in Lambda", "AUTH", "DATABASE_URL", "DATABASE_TLS"]
    with pytest.raises(InvalidSettings, match="DATABASE_URL: is not a libpq URL"):
        Settings.from_env({"DATABASE_URL": "postgresql://[::1/x", **LAMBDA})


def test_a_deployed_stage_reads_what_webhooks_are_signed_by_from_a_secret() -> None:
    roots = {"WEBHOOK_SECRETS": "canary" * 6}
    assert Settings.from_env(roots).webhook_secrets == "canary" * 6
    with pytest.raises(InvalidSettings, match=r"WEBHOOK_SECRETS: .*WEBHOOK_SECRETS_ARN") as refused:
        Settings.from_env(roots | LAMBDA)
    assert "canary" not in str(refused.value)
    assert Settings.from_env({"WEBHOOK_SECRETS_ARN": SECRET, **LAMBDA}).webhook_secrets_arn
    with pytest.raises(InvalidSettings, match="WEBHOOK_SECRETS_ARN: is not the whole ARN"):
        Settings.from_env({"WEBHOOK_SECRETS_ARN": SECRET[:-7], **LAMBDA})


def test_a_deployed_stage_has_no_password_of_a_mail_server() -> None:
    url = {"EMAIL_URL": "smtps://me:hunter2@mail.example.com"}
    assert Settings.from_env(url).email_url == url["EMAIL_URL"]
    with pytest.raises(InvalidSettings, match="EMAIL_URL: whoever") as refused:
        Settings.from_env(url | LAMBDA)
    assert "hunter2" not in str(refused.value)
    assert Settings.from_env({"EMAIL_URL": "ses:", **LAMBDA}).email_url == "ses:"


def test_a_batch_that_aws_would_refuse_is_refused_with_the_rule() -> None:
    with pytest.raises(InvalidSettings, match="BATCH_SIZE over 10 needs a BATCH_WINDOW"):
        Settings.from_env({"BATCH_SIZE": "11"})
    assert Settings.from_env({"BATCH_SIZE": "11", "BATCH_WINDOW": "1"}).batch_size == 11
