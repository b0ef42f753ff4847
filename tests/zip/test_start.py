"""What a process of the package loads when it starts, from where, and what it refuses."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from localdev.mapping.function import InvocationFailed
from tests.tree import ROOT
from tests.zip.events import TRACE, batch

if TYPE_CHECKING:
    from tests.world import Table
    from tests.zip.conftest import Cloud

pytestmark = pytest.mark.timeout(300)

#: Runs AWS's client, and tells whoever reads from a pipe what is loaded at that moment.
PROBE = """
import json, runpy, sys, threading
pipe = sys.argv.pop(1)
def tell():
    while True:
        with open(pipe, "w") as asking:
            loaded = list(sys.modules.items())
            files = {name: getattr(module, "__file__", None) for name, module in loaded}
            asking.write(json.dumps({"path": sys.path, "files": files}) + chr(10))
threading.Thread(target=tell, daemon=True).start()
runpy.run_module("awslambdaric", run_name="__main__", alter_sys=True)
"""


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    os.mkfifo(tmp_path / "pipe")
    return tmp_path / "pipe"


def loaded(pipe: Path) -> dict[str, Any]:
    with pipe.open() as answer:
        return dict(json.loads(answer.readline()))


def test_all_that_is_loaded_is_python_aws_or_the_package(
    cloud: Cloud, table: Table, pipe: Path
) -> None:
    worker = cloud.start("worker", "-c", PROBE, pipe)
    body = json.dumps({"task_id": table.arrange("pending")})
    assert worker.invoke(batch(body), 60, TRACE) == {"batchItemFailures": []}
    told = loaded(pipe)
    known = (cloud.home, ROOT / ".venv.lambda", Path(sys.base_prefix))
    places = [*told["path"], *filter(None, told["files"].values())]
    # The path of a program given by -c begins with an empty one, the folder that it runs in.
    assert [one for one in places if one and not in_one_of(one, known)] == []
    for name in ("app", "chalice", "chalicelib.runtime", "psycopg2", "pydantic"):
        assert Path(told["files"][name]).is_relative_to(cloud.home)


def test_nothing_of_the_package_is_compiled_at_a_start(bare_cloud: Cloud) -> None:
    bare_cloud.start("worker", "-v")
    read = re.findall(r"# code object from '?([^'\n]+)", bare_cloud.log.read_text())
    packaged = [Path(one) for one in read if Path(one).is_relative_to(bare_cloud.home)]
    assert len(packaged) > 50
    assert {path.suffix for path in packaged} == {".pyc"}


def in_one_of(path: str, folders: tuple[Path, ...]) -> bool:
    return any(Path(path).is_relative_to(folder) for folder in folders)


def test_a_worker_whose_tasks_succeed_loads_neither_boto3_nor_x_ray_nor_what_packages(
    cloud: Cloud, table: Table, pipe: Path
) -> None:
    worker = cloud.start("worker", "-c", PROBE, pipe)
    bodies = [json.dumps({"task_id": table.arrange("pending")}) for _ in range(3)]
    assert worker.invoke(batch(*bodies), 60, TRACE) == {"batchItemFailures": []}
    names = loaded(pipe)["files"].keys()
    packages = {name.partition(".")[0] for name in names}
    assert packages.isdisjoint({"boto3", "botocore", "aws_xray_sdk"})
    assert {name for name in names if name.startswith("chalicelib.chalice_cli")} == {
        "chalicelib.chalice_cli"
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AUTH", "off"),
        ("DATABASE_URL", "postgresql://tasks:secret@db.example.com/tasks"),
        ("BATCH_SIZE", "0"),
    ],
)
def test_an_unsafe_or_impossible_setting_is_refused_at_the_start_by_its_name(
    bare_cloud: Cloud, name: str, value: str
) -> None:
    bare_cloud.more[name] = value
    with pytest.raises(InvocationFailed, match="did not start: InvalidSettings") as told:
        bare_cloud.start("worker")
    assert f"\n{name}: " in str(told.value)
    assert "secret" not in str(told.value)


def test_a_function_without_a_server_starts_all_the_same(bare_cloud: Cloud) -> None:
    assert bare_cloud.start("api_handler").alive()


def test_what_ends_by_itself_is_told_with_its_exit_code(bare_cloud: Cloud) -> None:
    with pytest.raises(InvocationFailed, match=r"ended without a reply \(exit code 7\)"):
        bare_cloud.start("worker", "-c", "raise SystemExit(7)")


def test_a_start_that_takes_too_long_is_ended(bare_cloud: Cloud) -> None:
    with pytest.raises(InvocationFailed, match=r"timed out after 0\.1 s and was killed"):
        bare_cloud.start("worker", "-c", "import time; time.sleep(600)", seconds=0.1)
