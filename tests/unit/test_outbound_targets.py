from __future__ import annotations

import socket
from typing import Any

import pytest

from chalicelib.errors import OutboundFailed, OutboundRefused
from chalicelib.outbound.target import Exempt, check_url, resolve

NEVER = [
    # Other schemes, and none.
    "http://example.com/",
    "ftp://example.com/",
    "file:///etc/passwd",
    "gopher://example.com:70/_GET",
    "data:text/plain,hello",
    "//example.com/",
    "example.com",
    "",
    "https://",
    "https:///path",
    # Ports.
    "https://example.com:22/",
    "https://example.com:8443/",
    "https://example.com:99999/",
    "https://example.com:port/",
    # Two readings.
    "https://user@example.com/",
    "https://user:password@example.com/",
    "https://example.com@10.0.0.1/",
    "https://example.com\\@10.0.0.1/",
    "https://exa mple.com/",
    "https://example.com/\r\nHost: other",
    "https://example.com\t.evil.com/",
    "https://ex\u00e4mple.com/",
    "https://example\u3002com/",
    "https://127%2e0%2e0%2e1/",
    # IPv4 in every spelling.
    "https://127.0.0.1/",
    "https://127.1/",
    "https://2130706433/",
    "https://0x7f000001/",
    "https://0x7f.0.0.1/",
    "https://0177.0.0.1/",
    "https://017700000001/",
    "https://127.0.0.1./",
    "https://\u2460\u2461\u2466.0.0.1/",
    "https://0.0.0.0/",
    "https://10.0.0.1/",
    "https://172.16.0.1/",
    "https://192.168.0.1/",
    "https://100.64.0.1/",
    "https://169.254.169.254/latest/meta-data/",
    "https://169.254.170.2/v2/credentials",
    "https://192.0.0.192/",
    "https://192.88.99.1/",
    "https://198.18.0.1/",
    "https://203.0.113.1/",
    "https://224.0.0.1/",
    "https://255.255.255.255/",
    # IPv6, and IPv4 inside of it.
    "https://[::]/",
    "https://[::1]/",
    "https://[::127.0.0.1]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[::ffff:169.254.169.254]/",
    "https://[::ffff:a9fe:a9fe]/",
    "https://[64:ff9b::169.254.169.254]/",
    "https://[64:ff9b:1::10.0.0.1]/",
    "https://[2002:7f00:1::]/",
    "https://[2001:0:4136:e378:8000:63bf:3fff:fdd2]/",
    "https://[2001:db8::1]/",
    "https://[fc00::1]/",
    "https://[fd00:ec2::254]/",
    "https://[fe80::1]/",
    "https://[fe80::1%25eth0]/",
    "https://[fec0::1]/",
    "https://[ff02::1]/",
    "https://[::1/",
]


@pytest.mark.parametrize("url", NEVER)
def test_a_url_that_could_lead_into_our_network_is_refused(url: str) -> None:
    with pytest.raises(OutboundRefused):
        check_url(url)


def test_the_list_of_such_urls_is_long_enough() -> None:
    assert len(set(NEVER)) > 40


@pytest.mark.parametrize(
    ("url", "host", "path", "authority"),
    [
        ("https://example.com", "example.com", "/", "example.com"),
        ("https://EXAMPLE.com:443/a/b?c=d#e", "example.com", "/a/b?c=d", "example.com"),
        ("https://xn--bcher-kva.example/", "xn--bcher-kva.example", "/", "xn--bcher-kva.example"),
        ("https://8.8.8.8/x", "8.8.8.8", "/x", "8.8.8.8"),
        ("https://[2606:4700::1111]/", "2606:4700::1111", "/", "[2606:4700::1111]"),
        ("https://[::ffff:8.8.8.8]/", "::ffff:808:808", "/", "[::ffff:808:808]"),
        ("https://1.example.0xff.com/", "1.example.0xff.com", "/", "1.example.0xff.com"),
    ],
)
def test_a_public_url_is_read_as_it_is_meant(
    url: str, host: str, path: str, authority: str
) -> None:
    target = check_url(url)
    assert (target.host, target.path, target.authority, target.port) == (host, path, authority, 443)


def test_an_exempt_host_may_have_http_and_any_port() -> None:
    exempt = Exempt.parse("hooks.internal, 10.1.0.0/16,")
    for url in ("http://hooks.internal:8080/", "http://10.1.2.3/", "https://10.1.2.3:8443/"):
        check_url(url, exempt)
    for url in ("http://other.internal/", "http://10.2.0.1/", "https://10.2.0.1/"):
        with pytest.raises(OutboundRefused):
            check_url(url, exempt)


def test_where_credentials_are_kept_no_exemption_leads() -> None:
    exempt = Exempt.parse("0.0.0.0/0,::/0,metadata.internal")
    for url in ("http://169.254.169.254/", "http://[::ffff:169.254.169.254]/", "http://[fe80::1]/"):
        with pytest.raises(OutboundRefused, match="never"):
            check_url(url, exempt)
    target = check_url("http://metadata.internal/", exempt)
    with pytest.raises(OutboundRefused, match="never"):
        resolve(target, exempt, answering("169.254.169.254"))


@pytest.mark.parametrize("text", ["10.0.0.0/33", "10.0.0.1/8", "a b", "https://a.example", "*"])
def test_an_exemption_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        Exempt.parse(text)


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["8.8.8.8", "10.0.0.1"],
        ["::ffff:169.254.169.254"],
        ["64:ff9b::a00:1"],
        ["fe80::1%eth0"],
    ],
)
def test_a_name_that_stands_for_one_address_of_ours_is_refused(addresses: list[str]) -> None:
    with pytest.raises(OutboundRefused):
        resolve(check_url("https://example.com/"), lookup=answering(*addresses))


def test_the_addresses_of_a_public_name_are_returned_once_each() -> None:
    target = check_url("https://example.com/")
    found = resolve(target, lookup=answering("8.8.8.8", "64:ff9b::808:808", "8.8.8.8"))
    assert found == ["8.8.8.8", "64:ff9b::808:808"]


def test_an_unknown_name_may_be_known_later() -> None:
    def unknown(*_asked: Any, **_how: Any) -> Any:
        raise socket.gaierror

    with pytest.raises(OutboundFailed):
        resolve(check_url("https://example.com/"), lookup=unknown)


def answering(*addresses: str) -> Any:
    def lookup(_host: str, port: int, **_how: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in addresses]

    return lookup
