"""Describes the API in OpenAPI 3.1, from what the routes were declared with.

``routes`` tells the declarations apart, ``operations`` describes one route, ``refusals`` its
problems, ``schemas`` what is sent and shown, and ``document`` puts them together.
"""

from __future__ import annotations

from chalicelib.web.openapi.document import VERSION, describe, description

__all__ = ["VERSION", "describe", "description"]
