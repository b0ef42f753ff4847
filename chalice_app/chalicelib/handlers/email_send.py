"""Tasks of the kind ``email.send``: one e-mail, by SMTP or Amazon SES."""

from __future__ import annotations

from base64 import b64encode
from email.utils import parseaddr
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from chalicelib.errors import GiveUp, RetryLater
from chalicelib.registry import Backoff, Context, handler

if TYPE_CHECKING:
    from email.message import EmailMessage

    from chalicelib.task import Task

#: Source: WHATWG HTML, "Valid e-mail address"; RFC 5321 section 4.5.3.1 for the lengths.
_ADDRESS = r"^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@([A-Za-z0-9-]{1,63}\.)+[A-Za-z0-9-]{1,63}$"
#: The most recipients of one e-mail. Source: Amazon SES Developer Guide, "Service quotas".
MOST = 50
#: Seconds that are left to end the attempt in.
_REST = 1.0
#: What SES refuses for good. Source: Amazon SES API v2 Reference, SendEmail, "Errors".
_REFUSED = {
    *("BadRequestException", "MailFromDomainNotVerifiedException", "MessageRejected"),
    *("NotFoundException", "AccessDeniedException"),
}

Address = Annotated[str, Field(max_length=254, pattern=_ADDRESS)]
Addresses = Annotated[list[Address], Field(max_length=MOST)]


class Email(BaseModel):
    """What is sent, and to whom; ``text``, ``html`` or both."""

    model_config = ConfigDict(defer_build=True, extra="forbid", strict=True)

    to: Annotated[list[Address], Field(min_length=1, max_length=MOST)]
    cc: Addresses = []
    bcc: Addresses = []
    reply_to: Addresses = []
    #: Without control characters, so that it stays one header.
    subject: Annotated[
        str, Field(min_length=1, max_length=900, pattern=r"^[^\x00-\x1f\x7f-\x9f]+$")
    ]
    text: str | None = None
    html: str | None = None

    @model_validator(mode="after")
    def _can_be_sent(self) -> Self:
        if self.text is None and self.html is None:
            raise ValueError("give text, html or both")
        if len(self.everybody) > MOST:
            raise ValueError(f"at most {MOST} may receive it, to, cc and bcc together")
        return self

    @property
    def everybody(self) -> list[str]:
        """Everybody who receives it, once each."""
        return list(dict.fromkeys([*self.to, *self.cc, *self.bcc]))


@handler(
    "email.send",
    payload=Email,
    attempts=8,
    backoff=Backoff(base=30, longest=2 * 60 * 60),
    concurrent=True,
)
def send(_task: Task, context: Context[Email]) -> dict[str, Any]:
    """Hand the e-mail over and return ``{"message_id", "refused"}``.

    ``refused`` has the reply code for each recipient that the server did not take. Raises GiveUp
    for what will never be taken, RetryLater for the rest. Neither tells an address.
    """
    settings = context.settings
    if not settings.email_url or not settings.email_from:
        raise GiveUp("No e-mail can be sent: EMAIL_URL and EMAIL_FROM are not both set.")
    if context.remaining() <= _REST:
        raise RetryLater("There is no time left to send it.")
    message = _message(context)
    if settings.email_url == "ses:":
        return _by_ses(context, message)
    return _by_smtp(context, message)


def _message(context: Context[Email]) -> EmailMessage:
    # What this needs takes longer to load than the rest; only who sends e-mail pays for it.
    from email.message import EmailMessage  # noqa: PLC0415
    from email.policy import SMTP  # noqa: PLC0415
    from email.utils import formatdate  # noqa: PLC0415

    sent, settings = context.payload, context.settings
    message = EmailMessage(policy=SMTP)
    message["From"] = settings.email_from
    for name, addresses in (("To", sent.to), ("Cc", sent.cc), ("Reply-To", sent.reply_to)):
        if addresses:
            message[name] = ", ".join(addresses)
    message["Subject"] = _one_header(sent.subject)
    message["Date"] = formatdate()
    # The same over all attempts, so that a second copy can be told.
    domain = parseaddr(settings.email_from)[1].rpartition("@")[2]
    message["Message-ID"] = f"<{context.idempotency_key}.{settings.metrics_stage}@{domain}>"
    if sent.text is not None:
        message.set_content(sent.text)
    if sent.html is not None and sent.text is not None:
        message.add_alternative(sent.html, subtype="html")
    elif sent.html is not None:
        message.set_content(sent.html, subtype="html")
    return message


def _one_header(text: str) -> str:
    # EmailMessage decodes what it is given, so a text that holds an encoded line break would make
    # headers of its own; encoded once more it stays one. Source: RFC 2047 section 4.1.
    return f"=?utf-8?b?{b64encode(text.encode()).decode()}?="


def _by_ses(context: Context[Email], message: EmailMessage) -> dict[str, Any]:
    client, sent = context.client("sesv2"), context.payload
    to = {"ToAddresses": sent.to, "CcAddresses": sent.cc, "BccAddresses": sent.bcc}
    try:
        answer = client.send_email(
            FromEmailAddress=context.settings.email_from,
            Destination=to,
            Content={"Raw": {"Data": message.as_bytes()}},
        )
    except client.exceptions.ClientError as error:
        code = error.response["Error"]["Code"]
        if code in _REFUSED:
            raise GiveUp(f"SES refused the e-mail: {code}.") from None
        raise RetryLater(f"SES did not take the e-mail: {code}.") from None
    return {"message_id": answer["MessageId"], "refused": {}}


def _by_smtp(context: Context[Email], message: EmailMessage) -> dict[str, Any]:
    import smtplib  # noqa: PLC0415  (as above)

    from chalicelib.outbound.smtp import conversation  # noqa: PLC0415  (as above)

    url, seconds = context.settings.email_url, max(context.remaining() - _REST, 0.1)
    sender = parseaddr(context.settings.email_from)[1]
    try:
        with conversation(url, seconds) as server:
            refused = server.send_message(message, sender, context.payload.everybody)
    except smtplib.SMTPRecipientsRefused as error:
        raise _refusal([code for code, _ in error.recipients.values()]) from None
    except smtplib.SMTPResponseException as error:
        raise _refusal([error.smtp_code]) from None
    except smtplib.SMTPNotSupportedError:
        raise GiveUp("The mail server does not offer what is needed: TLS, or a login.") from None
    except (smtplib.SMTPException, OSError) as error:
        raise RetryLater(f"The mail server broke off: {type(error).__name__}.") from None
    codes = {address: code for address, (code, _) in refused.items()}
    return {"message_id": message["Message-ID"], "refused": codes}


def _refusal(codes: list[int]) -> Exception:
    # Source: RFC 5321 section 4.2.1: 4yz may be taken later, 5yz never will be.
    told = ", ".join(str(code) for code in sorted(set(codes)))
    if all(code >= 500 for code in codes):  # noqa: PLR2004
        return GiveUp(f"The mail server refused the e-mail: {told}.")
    return RetryLater(f"The mail server did not take the e-mail: {told}.")
