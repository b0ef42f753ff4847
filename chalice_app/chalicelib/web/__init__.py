"""Turns Python in and out of HTTP; the only rooms, with app.py, that know Chalice and statuses.

``endpoint`` declares what a route takes and answers; a view gets a ``Call`` and returns a model.
``call`` reads requests and ``headers`` what their headers say, ``answers`` writes replies,
``problems`` turns errors into replies, ``pages`` serves texts that are the same for all,
``openapi`` describes the routes, ``invocation`` tells what a trace is about.
"""

from __future__ import annotations

from chalicelib.web.call import Call
from chalicelib.web.endpoint import Operation, endpoint
from chalicelib.web.invocation import invocation_of
from chalicelib.web.openapi import description
from chalicelib.web.pages import file, html_file, page, script
from chalicelib.web.problems import STATUS, kebab, plain_errors_as_problems
from chalicelib.web.requests import tell

__all__ = [
    "STATUS",
    "Call",
    "Operation",
    "description",
    "endpoint",
    "file",
    "html_file",
    "invocation_of",
    "kebab",
    "page",
    "plain_errors_as_problems",
    "script",
    "tell",
]
