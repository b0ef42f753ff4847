"""What a shop might have done in the background: handlers to look at, as files of a project."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_ORDERS = '''
from typing import Annotated, Literal
from pydantic import BaseModel, Field
from chalicelib.errors import GiveUp
from chalicelib.registry import handler

class Address(BaseModel):
    """Where it is to go."""
    street: str
    city: str
    express: bool = False

class Order(BaseModel):
    """An order as the shop takes it."""
    number: Annotated[int, Field(ge=1, description="As printed on the invoice")]
    channel: Literal["web", "phone", "store"] = "web"
    weight: float | None = None
    items: list[str] = []
    address: Address | None = None
    extras: dict[str, int] = {}

@handler("import_order", payload=Order)
def import_order(task, context):
    """Take an order into the books."""
    return {"order": context.payload.number, "items": len(context.payload.items)}

@handler("charge_card")
def charge_card(task, context):
    """Charge a customer's card; the bank answers at the third attempt."""
    if task.attempts_spent < 3:
        raise ConnectionError("The bank did not answer in time.")
    return {"charged": (task.payload or {}).get("amount", "49.00"), "currency": "EUR"}

@handler("send_mail")
def send_mail(task, context):
    """Send an e-mail, where there is an address."""
    to = (task.payload or {}).get("to")
    if not to:
        raise GiveUp("The payload has no address to send to.")
    return f"sent to {to}"

@handler("resize_photo")
def resize_photo(task, context):
    """Make a photo smaller."""
    import time
    steps = round(5 * float((task.payload or {}).get("seconds", 0)))
    for step in range(steps):
        context.progress(100 * step / steps, f"tile {step} of {steps}")
        time.sleep(0.2)
    return {"width": 1280, "height": 853}

@handler("shouts")
def shouts(task, context):
    """Fail with the description for an error."""
    raise ValueError(task.description)
'''


def add_handlers(folder: Path) -> None:
    """Write them into a copy of the project."""
    place = folder / "chalice_app/chalicelib/handlers"
    (place / "shop.py").write_text(_ORDERS)
