"""Makes what speaks to AWS; boto3 is imported by whoever is first to need it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from chalicelib.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.settings import Settings

#: What SQS is told of who sends.
USER_AGENT = "chalice-tasks"


def read_secret(arn: str) -> str:
    """Return the text of a secret; raises StoreUnavailable."""
    import boto3  # noqa: PLC0415  (only a process that has a secret pays for it)
    from botocore.config import Config  # noqa: PLC0415
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

    config = Config(connect_timeout=1, read_timeout=2, retries={"total_max_attempts": 2})
    try:
        client = boto3.client("secretsmanager", region_name=arn.split(":")[3], config=config)
        return str(client.get_secret_value(SecretId=arn)["SecretString"])
    except (BotoCoreError, ClientError) as error:
        raise StoreUnavailable("A secret cannot be read.") from error


def signer(region: str) -> Callable[[str, int, str], str]:
    """Return what makes a token for a host, a port and a user of RDS; raises StoreUnavailable."""
    client = clients(region)

    def sign(host: str, port: int, user: str) -> str:
        from botocore.exceptions import BotoCoreError  # noqa: PLC0415

        try:
            token = client("rds").generate_db_auth_token(
                DBHostname=host, Port=port, DBUsername=user
            )
        except BotoCoreError as error:
            raise StoreUnavailable("There are no credentials for the database.") from error
        return str(token)

    return sign


def once(make: Callable[[], Any]) -> Callable[[], Any]:
    """Return what makes something when it is first asked for, and has it from then on."""
    lock = threading.Lock()
    made: list[Any] = []

    def client() -> Any:
        with lock:  # boto3 builds clients on one thread at a time
            if not made:
                made.append(make())
            return made[0]

    return client


def clients(region: str) -> Callable[[str], Any]:
    """Return what gives the boto3 client of a service, made once."""
    lock = threading.Lock()
    made: dict[str, Any] = {}

    def client(service: str) -> Any:
        with lock:  # boto3 builds clients on one thread at a time
            if service not in made:
                import boto3  # noqa: PLC0415  (only a process that asks for one pays for it)

                make: Any = boto3.client  # its types know no service that has no name yet
                made[service] = make(service, region_name=region)
            return made[service]

    return client


def new_sqs_client(settings: Settings) -> Any:
    """Return a client for the queue."""
    import boto3  # noqa: PLC0415  (130 ms that a worker without retries never pays)
    from botocore.config import Config  # noqa: PLC0415

    # Short: a client waits while a queue that is down is asked.
    config = Config(
        connect_timeout=0.4,
        read_timeout=0.5,
        retries={"total_max_attempts": 1},
        max_pool_connections=50,
        # Else botocore describes itself and its machine anew, twice for each call.
        user_agent=USER_AGENT,
    )
    return boto3.client("sqs", region_name=settings.aws_region, config=config)
