"""Knocks at the API's door."""

from __future__ import annotations

import urllib.error
import urllib.request
from http import HTTPStatus

#: Seconds; API Gateway itself gives up after 29.
PATIENCE = 35


def readiness(url: str, *, here: bool = False) -> str:
    """Return what GET /readyz has against being ready, or ``""``; ``url`` ends with a slash.

    ``here`` is a server of this machine, which no proxy leads to.
    """
    proxies = urllib.request.ProxyHandler({} if here else None)
    try:
        with urllib.request.build_opener(proxies).open(f"{url}readyz", timeout=PATIENCE) as answer:
            status = HTTPStatus(answer.status)
            return "" if status is HTTPStatus.OK else f"{status.value}"
    except urllib.error.HTTPError as error:
        return f"{error.code} {error.read(500).decode(errors='replace')}".strip()
    except OSError as error:
        return f"no answer ({error})"
