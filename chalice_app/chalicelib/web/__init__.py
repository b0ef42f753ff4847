"""Turns Python in and out of HTTP; the only rooms, with app.py, that know Chalice and statuses.

``endpoint`` declares what a route takes and answers; a view gets a ``Call`` and returns a model.
``call`` reads requests, ``answers`` writes replies, ``problems`` turns errors into replies.
"""

from __future__ import annotations

from chalicelib.web.call import Call
from chalicelib.web.endpoint import Operation, endpoint
from chalicelib.web.problems import STATUS, kebab, plain_errors_as_problems

__all__ = ["STATUS", "Call", "Operation", "endpoint", "kebab", "plain_errors_as_problems"]
