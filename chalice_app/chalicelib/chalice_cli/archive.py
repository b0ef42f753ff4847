"""The package: without what Lambda's runtime has anyway, compiled, and the same bytes each time."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

#: What Lambda's Python runtime brings along, by the first part of its path.
#: Source: AWS Lambda Developer Guide, "Runtime-included SDK versions".
PROVIDED = frozenset(
    {"boto3", "botocore", "dateutil", "jmespath", "s3transfer", "six.py", "urllib3"}
)
#: Parts of packages that nothing here asks for: pydantic's own past, its colours, pipelines and
#: plugin for mypy, psycopg2's pools, C that is compiled, X-Ray's patches of libraries that are not
#: there, what is said of a package for who installs it (OpenTelemetry asks its own).
UNUSED = re.compile(
    r"pydantic/(v1/|mypy|color|experimental/pipeline)|[^/]+/(tests?/|test_cases)"
    r"|.*\.(pyi|c|h)$|[^/]+-stubs/"
    r"|psycopg2/pool\.py"
    r"|(?!opentelemetry)[^/]+\.dist-info/(METADATA$|RECORD$|sboms/)"
    r"|aws_xray_sdk/ext/(?!botocore|boto_utils|dbapi2|psycopg2|util|resources|__init__)"
)
#: Where Lambda unpacks it.
HOME = "/var/task"

_MARK = b"finished"
_DATE = (1980, 1, 1, 0, 0, 0)
_FILE, _LIBRARY = 0o100644, 0o100755
#: What is ours: its sources go along, so that what runs can be read there.
OURS = frozenset({"app.py", "chalicelib"})
#: Sources of others are not needed where what was compiled of them takes their places.
_COMPILE = """
import compileall, pathlib, sys
from py_compile import PycInvalidationMode
folder, home, *ours = sys.argv[1:]
for path in sorted(pathlib.Path(folder).iterdir()):
    theirs = path.name not in ours
    compile = compileall.compile_dir if path.is_dir() else compileall.compile_file
    compile(
        path, quiet=1, legacy=theirs, stripdir=folder, prependdir=home,
        invalidation_mode=PycInvalidationMode.UNCHECKED_HASH,
    )
    for source in (path.rglob("*.py") if path.is_dir() else [path]) if theirs else ():
        if source.with_suffix(".pyc").exists():
            source.unlink()
"""


def mend(packager: Any) -> None:
    """Mend ``chalice.deploy.packager``, which both ways of deploying use."""
    builder, whole = packager.DependencyBuilder, packager.LambdaDeploymentPackager
    build, create = builder.build_site_packages, whole.create_deployment_package
    missing = packager.MissingDependencyError

    def building(self: Any, abi: str, requirements: str, target: str) -> None:
        try:
            build(self, abi, requirements, target)
        except missing as error:
            names = ", ".join(sorted(package.identifier for package in error.missing))
            sys.exit(
                f"Nothing was packaged: for Lambda's {abi} there is no wheel of {names}. "
                "psycopg2-binary has none for arm64 on Python 3.11; package with 3.12 or newer."
            )

    def creating(self: Any, project_dir: str, python_version: str) -> str:
        name = str(create(self, project_dir, python_version))
        finish(Path(name))
        return name

    builder.build_site_packages = building
    whole.create_deployment_package = creating


def finish(path: Path) -> None:
    """Strip and compile the package at ``path``, in place; one that is finished stays as it is."""
    with zipfile.ZipFile(path) as archive, tempfile.TemporaryDirectory() as name:
        if archive.comment == _MARK:
            return
        folder = Path(name)
        archive.extractall(folder, [one for one in archive.namelist() if _is_wanted(one)])
        _compile(folder)
        finished = path.with_suffix(".finished")
        _pack(folder, finished)
    finished.replace(path)


def _is_wanted(name: str) -> bool:
    top = name.partition("/")[0]
    if "__pycache__" in name or UNUSED.match(name):
        return False
    project = top.partition("-")[0].lower().removeprefix("python_")
    return top not in PROVIDED and project not in PROVIDED and project != "six"


def _compile(folder: Path) -> None:
    # In a process of its own: what is compiled depends on what else a process has seen.
    command = [sys.executable, "-I", "-c", _COMPILE, str(folder), HOME, *sorted(OURS)]
    subprocess.run(command, check=True)  # noqa: S603  (our own program)


def _pack(folder: Path, target: Path) -> None:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        archive.comment = _MARK
        for path in sorted(folder.rglob("*")):
            if path.is_dir():
                continue
            entry = zipfile.ZipInfo(path.relative_to(folder).as_posix(), _DATE)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = (_LIBRARY if ".so" in path.suffixes else _FILE) << 16
            archive.writestr(entry, path.read_bytes(), compresslevel=9)
