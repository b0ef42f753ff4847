"""The only reader of the environment: every setting, its default and its bounds."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import unquote

from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from chalicelib.errors import InvalidSettings
from chalicelib.setting_rules import check_exemptions, check_together, explained, parts, unsafe

if TYPE_CHECKING:
    from collections.abc import Mapping

DAY = 24 * 60 * 60
_SECRET_ARN = r"^(arn:[^:]+:secretsmanager:[^\s]+)?$"  # noqa: S105  (no password)
_SENDER = r"^([^\x00-\x1f<>@]*<[^\s<>@]+@[^\s<>@]+>|[^\s<>@]+@[^\s<>@]+)?$"
_FUNCTION = "AWS_LAMBDA_FUNCTION_NAME"
#: Where Lambda puts the tracing header of each invocation.
_TRACE = "_X_AMZN_TRACE_ID"


class Settings(BaseModel):
    """Settings are named as in the environment, there in capitals; all times are seconds."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    database_url: str = Field(
        "postgresql://postgres:postgres@127.0.0.1:5432/interview_db",
        pattern=r"^postgres(ql)?://",
        description="The PostgreSQL database, as a libpq URL.",
    )
    database_secret_arn: str = Field(
        "",
        pattern=_SECRET_ARN,
        description="The whole ARN of the secret, in RDS's form, with the database's user and "
        "password; what it says wins over `DATABASE_URL`.",
    )
    database_tls: str = Field(
        "",
        pattern=r"^(rds|/.+)?$",
        description="Whose certificate the database must show: `rds` for one of Amazon RDS, or "
        "the path of a PEM file; empty: what `sslmode` in `DATABASE_URL` says.",
    )
    database_auth: Literal["password", "iam"] = Field(
        "password",
        description="What is shown to the database: `password`, from the URL or the secret; "
        "`iam`, a token of the function's role.",
    )
    database_connections: int = Field(
        16, ge=1, le=200, description="Most connections one process opens at once."
    )
    database_patience: float = Field(
        4, ge=0.1, le=60, description="How long one statement may take, connecting included."
    )
    queue_name: str = Field(
        "interview-queue",
        pattern=r"^[A-Za-z0-9_-]{1,76}$",
        description="The SQS queue; its dead-letter queue is the same name with `-dlq`.",
    )
    priority_queue: Literal["off", "on"] = Field(
        "off", description="`on`: tasks of high priority have a queue and workers of their own."
    )
    aws_region: str = Field(
        "us-east-1",
        validation_alias=AliasChoices("AWS_REGION", "AWS_DEFAULT_REGION"),
        min_length=1,
        description="The region of the queue (Lambda sets it; also read: `AWS_DEFAULT_REGION`).",
    )
    batch_size: int = Field(10, ge=1, le=10_000, description="Most messages in one invocation.")
    batch_window: int = Field(
        0, ge=0, le=300, description="How long Lambda may gather a batch; over 10 messages: ≥ 1."
    )
    maximum_concurrency: int = Field(
        10, ge=2, le=1000, description="Most workers running at the same time."
    )
    worker_timeout: int = Field(
        60, ge=2, le=900, description="The worker's time limit; equals its `lambda_timeout`."
    )
    worker_threads: int = Field(8, ge=1, le=64, description="Most tasks of a batch at once.")
    attempt_limit: int = Field(3, ge=1, le=100, description="Attempts a new task may use.")
    max_receive_count: int = Field(
        3,
        ge=1,
        le=1000,
        description="Receives before SQS moves a message to the dead-letter queue.",
    )
    retry_delay: float = Field(
        30, ge=0, le=DAY, description="Wait before the second attempt; doubles from there."
    )
    retry_delay_max: float = Field(
        60 * 60, ge=0, le=7 * DAY, description="Longest wait between attempts."
    )
    lease_margin: float = Field(
        15, ge=0, le=900, description="How long a lease outlasts the invocation that holds it."
    )
    dispatch_grace: float = Field(
        120, ge=0.1, le=DAY, description="Unclaimed this long after it was sent: sent again."
    )
    dispatch_grace_max: float = Field(
        60 * 60, ge=0.1, le=DAY, description="Longest such wait; it doubles with every send."
    )
    send_ahead: float = Field(
        900, ge=0, le=900, description="How long before its time a task is handed to SQS."
    )
    retention_days: float = Field(
        30, gt=0, le=3650, description="Days that a finished task is kept."
    )
    enqueue_failure: Literal["deliver", "fail"] = Field(
        "deliver",
        description="When SQS cannot be reached: `deliver` answers 201 and sends later, `fail` "
        "answers 500 and fails the task.",
    )
    auth: Literal["keys", "off"] = Field(
        "keys",
        description="`keys` asks every request for one; `off` lets everybody in, and is refused "
        "in Lambda.",
    )
    rate_limit: float = Field(
        0, ge=0, le=100_000, description="New tasks a second for each tenant; 0 is no limit."
    )
    rate_burst: float = Field(
        1000, ge=1, le=1_000_000, description="New tasks that may come at once under a rate limit."
    )
    open_limit: int = Field(
        0, ge=0, le=1_000_000, description="Unfinished tasks of each tenant; 0 is no limit."
    )
    partial_batch: Literal["report", "delete"] = Field(
        "delete",
        description="`report` only where the mapping has ReportBatchItemFailures; `delete` is "
        "right with any mapping: the worker deletes what is done and raises for the rest.",
    )
    outbound_allow: Annotated[str, AfterValidator(check_exemptions)] = Field(
        "", description="Hosts and networks of your own that tasks may ask, with commas between."
    )
    webhook_secrets: str = Field(
        "",
        pattern=r"^([!-+\--~]{32,200}(,[!-+\--~]{32,200})?)?$",
        description="What webhooks are signed by; while it is changed two, the new one first.",
    )
    webhook_secrets_arn: str = Field(
        "",
        pattern=_SECRET_ARN,
        description="A secret that holds `WEBHOOK_SECRETS`, by its whole ARN.",
    )
    email_url: str = Field(
        "", pattern=r"^(ses:|smtps?://\S+)?$", description="Where e-mail is handed over."
    )
    email_from: str = Field("", pattern=_SENDER, description="Who e-mail is from.")
    files: str = Field(
        "",
        pattern=r"^(s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9_.=-]{1,99}){0,5}/?|/.*)?$",
        description="Where tasks read and write files: `s3://bucket/prefix`, or the absolute path "
        "of a folder; empty: nowhere.",
    )
    tracing: Literal["off", "xray", "otel"] = Field(
        "off", description="Where spans go; `otel` needs the packages of requirements-otel.txt."
    )
    tracing_patience: float = Field(
        0.7,
        ge=0.1,
        le=10,
        description="With `otel`, how long an invocation may wait at its end for the collector.",
    )
    metrics: Literal["off", "emf"] = Field(
        "off", description="`emf` writes metrics into the log, where CloudWatch finds them."
    )
    metrics_namespace: str = Field(
        "ChaliceTasks",
        pattern=r"^[A-Za-z][A-Za-z0-9_.-]{0,99}$",
        description="The namespace of these metrics.",
    )
    metrics_stage: str = Field(
        "local",
        pattern=r"^[A-Za-z0-9_-]{1,100}$",
        description="The value of their dimension Stage; packaging sets it.",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="The least severe log line that is written."
    )
    _fit = model_validator(mode="after")(check_together)

    @property
    def database_user(self) -> str:
        """The user that `DATABASE_URL` names, or nothing."""
        return unquote(parts(self.database_url).username or "")

    @property
    def files_arn(self) -> str:
        """Every file in S3 that tasks may read and write, or nothing."""
        place = self.files.removeprefix("s3://").rstrip("/")
        return f"arn:*:s3:::{place}/*" if self.files.startswith("s3://") else ""

    @property
    def dead_letter_queue_name(self) -> str:
        """The queue that messages go to when they have been received too often."""
        return f"{self.queue_name}-dlq"

    @property
    def high_queue_name(self) -> str:
        """The queue of tasks of high priority, or nothing."""
        return f"{self.queue_name}-high" if self.priority_queue == "on" else ""

    @property
    def visibility_timeout(self) -> int:
        """Seconds a received message stays hidden: six times the worker's time limit.

        Source: AWS Lambda Developer Guide, "Configuring a queue to use with Lambda".
        """
        return 6 * self.worker_timeout

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Settings:
        """Read ``environ`` (the process's own if None).

        Raises InvalidSettings naming each setting that is out of bounds, never its value.
        """
        environ = os.environ if environ is None else environ
        values: dict[str, Any] = {
            name: environ[name.upper()] for name in cls.model_fields if name.upper() in environ
        }
        values |= {it: environ[it] for it in ("AWS_REGION", "AWS_DEFAULT_REGION") if it in environ}
        try:
            settings = cls.model_validate(values)
        except ValidationError as error:
            lines = (explained(broken) for broken in error.errors(include_input=False))
            raise InvalidSettings("\n".join(["Settings out of bounds:", *lines])) from None
        if _FUNCTION in environ and (risks := list(unsafe(settings))):
            raise InvalidSettings("\n".join(["Not safe in Lambda:", *risks]))
        return settings


def tracing_header() -> str | None:
    """Return the tracing header of the invocation that this process is in, if it has one."""
    return os.environ.get(_TRACE)


def region_in_aws() -> str:
    """Return the region of the Lambda function that this process is; elsewhere nothing."""
    return os.environ.get("AWS_REGION", "") if _FUNCTION in os.environ else ""
