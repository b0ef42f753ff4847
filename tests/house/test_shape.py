"""The shape of the code: small rooms, one door each, nothing done on import."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tree import files

ROOT = Path(__file__).parents[2]
LIBRARY = ROOT / "chalice_app" / "chalicelib"
PRODUCT = sorted([ROOT / "chalice_app" / "app.py", *LIBRARY.rglob("*.py")])
DEVELOPMENT = ("bench", "clients", "localdev", "soak")
OURS = sorted([*PRODUCT, *(path for one in DEVELOPMENT for path in (ROOT / one).rglob("*.py"))])

MODULE_CEILING = 250
#: Lists of what there is: each thing in them is small, and they are as long as there are things.
LISTS = {"chalice_app/app.py": 400, "chalice_app/chalicelib/errors.py": 300}
BODY_CEILING = 30


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def functions(tree: ast.AST) -> list[ast.FunctionDef]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]


def body_lines(function: ast.FunctionDef) -> int:
    statements = function.body
    if ast.get_docstring(function):
        statements = statements[1:]
    if not statements:
        return 0
    return (statements[-1].end_lineno or 0) - statements[0].lineno + 1


@pytest.mark.parametrize("path", OURS, ids=name)
def test_modules_and_functions_stay_small(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= LISTS.get(name(path), MODULE_CEILING)
    long = {f.name: body_lines(f) for f in functions(ast.parse(text))}
    assert {f: n for f, n in long.items() if n > BODY_CEILING} == {}


@pytest.mark.parametrize("path", OURS, ids=name)
def test_a_module_opens_with_one_sentence(path: Path) -> None:
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    assert docstring
    assert docstring.split("\n\n")[0].endswith(".")


@pytest.mark.parametrize("path", PRODUCT, ids=name)
def test_every_match_says_what_else_there_could_be(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for match in (node for node in ast.walk(tree) if isinstance(node, ast.Match)):
        last = match.cases[-1].pattern
        assert isinstance(last, ast.MatchAs), f"line {match.lineno}"
        assert last.pattern is None, f"line {match.lineno}"


# Business logic brings statements of its own.
@pytest.mark.parametrize(
    "path", [path for path in PRODUCT if path.parent.name != "handlers"], ids=name
)
def test_sql_lives_in_sql_files(path: Path) -> None:
    sql = re.compile(r"^\s*(select|insert|update|delete|create|alter)\s+\w+", re.IGNORECASE)
    tree = ast.parse(path.read_text(encoding="utf-8"))
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    found = [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and id(node) not in docstrings
        and sql.match(node.value)
    ]
    assert found == []


def test_only_settings_reads_the_environment() -> None:
    readers = {
        path.name
        for path in PRODUCT
        if re.search(r"\bos\.(environ|getenv)\b|from os import", path.read_text(encoding="utf-8"))
    }
    # And one mark that the command line is given, which is no setting.
    assert readers == {"settings.py", "refusals.py"}


def test_the_front_door_knows_only_the_floor_below() -> None:
    tree = ast.parse((ROOT / "chalice_app" / "app.py").read_text(encoding="utf-8"))
    imported = {
        f"{node.module}.{alias.name}"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("chalicelib")
        for alias in node.names
    }
    rooms = {".".join(path.split(".")[:2]) for path in imported}
    assert rooms == {
        "chalicelib.chalice_cli",
        "chalicelib.runtime",
        "chalicelib.schemas",  # the shapes that the routes name
        "chalicelib.settings",  # the queue that the worker names
        "chalicelib.web",
    }


def test_every_body_in_the_front_door_is_a_line() -> None:
    tree = ast.parse((ROOT / "chalice_app" / "app.py").read_text(encoding="utf-8"))
    assert {f.name: body_lines(f) for f in functions(tree) if body_lines(f) > 2} == {}


def test_importing_the_app_does_nothing_and_needs_nothing() -> None:
    program = (
        "import sys; sys.path.insert(0, '.'); import app; "
        "late = {'boto3', 'botocore', 'aws_xray_sdk', 'opentelemetry', 'wrapt'}; "
        "print(sorted(late & set(sys.modules)))"
    )
    done = subprocess.run(
        ["/usr/bin/env", "-i", sys.executable, "-c", program],
        cwd=ROOT / "chalice_app",
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "[]\n", "")


def test_the_product_speaks_of_itself_alone() -> None:
    endings = (".py", ".sh", ".sql", ".md", ".toml", ".json")
    texts = [ROOT / path for path in files() if path.suffix in endings or path.name == "run"]
    told = re.compile(
        r"\bissue #?\d|\bdesign\.md|\bfacts/|\bthis session\b|\bthe seed's\b", re.IGNORECASE
    )
    found = {
        name(path): match[0]
        for path in texts
        if path != Path(__file__)
        if (match := told.search(path.read_text(encoding="utf-8")))
    }
    assert found == {}
