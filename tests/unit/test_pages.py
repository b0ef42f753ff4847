from __future__ import annotations

import re
from typing import Any

import pytest

from chalicelib.web import pages


class App:
    """An app that was asked for a page."""

    def __init__(self, asked: str, headers: dict[str, str], path: str = "/docs") -> None:
        self.current_request = self
        self.path = path
        self.context = {"path": asked}
        self.headers = headers


def show(asked: str, **headers: str) -> Any:
    app: Any = App(asked, {name.replace("_", "-"): value for name, value in headers.items()})

    @pages.page(app, "text/html")
    def view(root: str) -> str:
        return pages.html_file("docs/index.html", root)

    return view()


@pytest.mark.parametrize(
    ("asked", "root"),
    [("/docs", ""), ("/docs/", ""), ("/prod/docs", "/prod"), ("/a/prod/docs/", "/a/prod")],
)
def test_a_page_finds_its_scripts_below_any_prefix(asked: str, root: str) -> None:
    links = re.findall(r'(?:src|href)="(/[^"]+)"', show(asked).body)
    assert links == [
        f"{root}/docs/viewer.js",
        f"{root}/docs/openapi-explorer.min.js",
        f"{root}/openapi.json",
    ]


@pytest.mark.parametrize(
    ("asked", "root"), [("/", ""), ("", ""), ("/prod", "/prod"), ("/prod/", "/prod")]
)
def test_the_page_at_the_root_finds_its_files_below_any_prefix(asked: str, root: str) -> None:
    app: Any = App(asked, {}, "/")

    @pages.page(app, "text/html")
    def view(root: str) -> str:
        return pages.html_file("page/index.html", root)

    links = re.findall(r'(?:src|href)="(/[^"]*)"', view().body)
    files = ["/page.css", "/page.js", "/docs", "/docs"]
    assert links == [f"{root}{file}" for file in files]


def test_the_script_of_the_page_has_every_module_of_its_folder() -> None:
    modules = list((pages.FOLDER / "page").glob("*.js"))
    assert len(modules) > 20
    for path in modules:
        assert f"const ${path.stem} = (() => {{" in pages.script()
    assert re.findall(r"^(?:import|export)\b.*", pages.script(), re.MULTILINE) == []


@pytest.mark.parametrize(
    ("region", "address"),
    [
        ("", ""),
        (
            "eu-west-1",
            "https://console.aws.amazon.com/cloudwatch/home?region=eu-west-1#xray:traces/",
        ),
        (
            "cn-north-1",
            "https://console.amazonaws.cn/cloudwatch/home?region=cn-north-1#xray:traces/",
        ),
        (
            "us-gov-west-1",
            "https://console.amazonaws-us-gov.com/cloudwatch/home?region=us-gov-west-1#xray:traces/",
        ),
    ],
)
def test_traces_are_at_the_console_of_the_regions_partition(region: str, address: str) -> None:
    assert pages.traces_address(region) == address


def test_the_page_tells_where_traces_are_in_lambda_and_nowhere_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.delenv("AWS_LAMBDA_FUNCTION_NAME", raising=False)
    assert ' data-traces="">' in pages.html_file("page/index.html", "")
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "tasks-prod")
    told = pages.traces_address("eu-west-1")
    assert f' data-traces="{told}">' in pages.html_file("page/index.html", "")


def test_a_path_cannot_write_into_the_page() -> None:
    assert '"><script>' not in show('/"><script>alert(1)</script>/docs').body


def test_a_page_may_load_and_call_nothing_but_this_service() -> None:
    headers = show("/docs").headers
    policy = dict(part.split(" ", 1) for part in headers["Content-Security-Policy"].split("; "))
    assert policy == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "connect-src": "'self'",
        "img-src": "'self' data:",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"


def test_a_page_that_the_client_has_is_not_sent_again() -> None:
    first = show("/docs")
    assert first.headers["Cache-Control"] == "no-cache"
    again = show("/docs", if_none_match=f'W/"other", W/{first.headers["ETag"]}')
    assert (again.status_code, again.body) == (304, "")
    assert again.headers["ETag"] == first.headers["ETag"]
    assert show("/docs", if_none_match="*").status_code == 304
    assert show("/docs", if_none_match='"other"').status_code == 200


def test_pages_that_differ_have_tags_that_differ() -> None:
    assert show("/docs").headers["ETag"] != show("/prod/docs").headers["ETag"]


def test_a_page_says_what_it_is() -> None:
    assert show("/docs").headers["Content-Type"] == "text/html; charset=utf-8"


def test_a_page_is_sent_as_it_lies_there() -> None:
    kept = (pages.FOLDER / "docs" / "viewer.js").read_bytes()
    assert pages.file("docs/viewer.js").encode() == kept
