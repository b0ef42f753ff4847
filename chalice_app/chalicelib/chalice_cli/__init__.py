"""Mends what Chalice's command line lacks; app.py calls it, and in Lambda it does nothing.

``mapping``: partial batches. ``stage``: what differs from stage to stage. ``options``: what a
stage may have besides, ``priority`` its second queue and worker, and ``capacity`` how large its
database is. ``refusals``: why it is not packaged. ``archive``: a package without what Lambda has
anyway, compiled, the same bytes each time, and none at all where a requirement has no wheel.
``server``: a development server that answers at once.
"""

from __future__ import annotations

import pkgutil
import sys
from importlib import metadata

#: The Chalice that is known here, which pyproject.toml names as well.
VERSION = "1.34"

#: What the second worker is called, where there are two; it is configured as the first.
HIGH_WORKER = "worker_high"

#: What mends each module of Chalice's. By name: Lambda would pay 8 ms to load what it never needs.
_MENDERS = {
    "chalice.local": ("server:mend",),
    "chalice.awsclient": ("mapping:mend_deploy",),
    "chalice.package": ("mapping:mend_package", "stage:mend_template"),
    "chalice.config": ("stage:mend_environment", "priority:mend_config"),
    "chalice.deploy.appgraph": ("stage:mend_logs",),
    "chalice.deploy.deployer": ("stage:mend_policies", "options:mend_deploy"),
    "chalice.deploy.packager": ("archive:mend",),
}


def mend() -> None:
    """Mend the parts of Chalice's command line that this process has loaded.

    Ends the process if they are not the ones that are known here: a deployment that silently
    lacked partial batches would lose messages.
    """
    for module, names in _MENDERS.items():
        loaded = sys.modules.get(module)
        if loaded is None or hasattr(loaded, "_mended_by_tasks"):
            continue
        _check_version(metadata.version("chalice"))
        menders = [pkgutil.resolve_name(f"{__name__}.{name}") for name in names]
        try:
            for mender in menders:
                mender(loaded)
        except AttributeError as error:
            sys.exit(
                f"This app mends Chalice {VERSION}'s command line, and {module} has changed since "
                f"({error}). Install the Chalice that requirements-dev.txt names."
            )
        loaded._mended_by_tasks = True  # type: ignore[attr-defined]  # noqa: SLF001


def _check_version(found: str) -> None:
    if not found.startswith(f"{VERSION}."):
        sys.exit(
            f"This app mends Chalice {VERSION}'s command line, and this one is {found}. Install "
            "the Chalice that requirements-dev.txt names."
        )
