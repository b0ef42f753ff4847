"""An expression as a payload has it."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from chalicelib.errors import BadExpression
from chalicelib.expressions.parsing import MAX_LENGTH, compile_expression


def _readable(text: str) -> str:
    try:
        compile_expression(text)
    except BadExpression as error:
        raise ValueError(str(error)) from None
    return text


Formula = Annotated[str, Field(min_length=1, max_length=MAX_LENGTH), AfterValidator(_readable)]
