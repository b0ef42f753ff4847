"""Which URLs may be asked, and which addresses a host name may stand for."""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urlsplit

from chalicelib.errors import OutboundFailed, OutboundRefused

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Address = IPv4Address | IPv6Address

#: The longest URL, in characters.
MAX_URL = 2048

_PORTS = {"https": 443, "http": 80}
_LABEL = r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
#: A last label of digits, or in hex, would be read as an IPv4 address by some resolvers.
#: Source: WHATWG URL Standard, "ends in a number checker".
_NAME = re.compile(rf"({_LABEL}\.)*(?!(0x[0-9a-f]*|[0-9]+)\.?$){_LABEL}\.?")
_OTHER = re.compile(r"[^\x21-\x7e]|\\")

#: Where clouds keep their credentials, and what is no single host: not even for exempt hosts.
#: Source: Amazon EC2 User Guide, "Access instance metadata"; RFC 6890.
_NEVER = [
    ip_network(text)
    for text in ("0.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3", "fe80::/10", "ff00::/8")
] + [ip_network("fd00:ec2::/32"), ip_network("::/128")]
#: IPv6 addresses that have an IPv4 address in their last 32 bits, which is where they lead.
#: Source: RFC 4291 section 2.5.5 (mapped and compatible), RFC 6052 (NAT64).
_CARRIERS = [ip_network(text) for text in ("::ffff:0:0/96", "::/96", "64:ff9b::/96")]
#: The only IPv6 addresses that are public, and what of them is not: Teredo and other protocols,
#: 6to4, documentation. Source: IANA IPv6 Special-Purpose Address Registry.
_PUBLIC = ip_network("2000::/3")
_SPECIAL = [ip_network(text) for text in ("2001::/23", "2002::/16", "2001:db8::/32", "3fff::/20")]
#: IPv4 addresses that are not public, which some versions of Python take to be so.
#: Source: IANA IPv4 Special-Purpose Address Registry.
_SPECIAL_V4 = [ip_network(text) for text in ("100.64.0.0/10", "192.0.0.0/24", "192.88.99.0/24")]


@dataclass(frozen=True, slots=True)
class Exempt:
    """Host names and networks of our own that may be asked nevertheless."""

    hosts: frozenset[str] = frozenset()
    networks: tuple[Any, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Exempt:
        """Read names, addresses and networks (``10.1.0.0/16``) with commas between them.

        Raises ValueError.
        """
        hosts, networks = set(), []
        for entry in filter(None, (part.strip().lower() for part in text.split(","))):
            if _NAME.fullmatch(entry):
                hosts.add(entry)
            else:
                networks.append(ip_network(entry))
        return cls(frozenset(hosts), tuple(networks))

    def names(self, host: str) -> bool:
        """Tell whether a host is named, by itself or by the network of its address."""
        if host in self.hosts:
            return True
        return not _NAME.fullmatch(host) and self.holds(ip_address(host))

    def holds(self, address: Address) -> bool:
        """Tell whether an address is in one of the networks."""
        return any(address in network for network in self.networks)


#: Nothing of our own may be asked.
NONE = Exempt()


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a URL names: ``path`` has the query with it."""

    tls: bool
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """The host as the header Host has it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        usual = _PORTS["https" if self.tls else "http"]
        return host if self.port == usual else f"{host}:{self.port}"


def read_url(url: str) -> Target:
    """Return what ``url`` names; raises OutboundRefused for what could be read in two ways."""
    parts = _split(url)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    tls = parts.scheme == "https"
    return Target(tls=tls, host=_host(parts), port=_port(parts), path=path)


def check_url(url: str, exempt: Exempt = NONE) -> Target:
    """Return what ``url`` names; raises OutboundRefused if that may never be asked.

    That is all but https on port 443, and what could be read in two ways; hosts that are exempt
    may have any port, and http. Nobody is asked: what a host name stands for is seen by
    ``resolve``.
    """
    target = read_url(url)
    free = exempt.names(target.host)
    if not (target.tls or free):
        raise OutboundRefused("has to begin with https://")
    if target.port != _PORTS["https"] and not free:
        raise OutboundRefused("has to name no port but 443")
    if not _NAME.fullmatch(target.host):
        _check(ip_address(target.host), exempt, named=False)
    return target


def resolve(
    target: Target, exempt: Exempt = NONE, lookup: Callable[..., Any] = socket.getaddrinfo
) -> Sequence[str]:
    """Return the addresses that a target's host stands for; all of them may be asked.

    Raises OutboundRefused if one of them may not, so that no answer of a name server can lead
    astray, OutboundFailed if the name is not known, and TimeoutError if ``lookup`` does.
    """
    try:
        found = lookup(target.host, target.port, type=socket.SOCK_STREAM)
    except TimeoutError:
        raise
    except (OSError, UnicodeError) as error:
        raise OutboundFailed("The host's name is not known.") from error
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    for address in addresses:
        _check(ip_address(address), exempt, named=target.host in exempt.hosts)
    return addresses


def _split(url: str) -> SplitResult:
    if len(url) > MAX_URL or _OTHER.search(url):
        raise OutboundRefused(f"has to be at most {MAX_URL} visible ASCII characters, without \\")
    try:
        parts = urlsplit(url)
    except ValueError:
        raise OutboundRefused("is no URL") from None
    if parts.scheme not in _PORTS or not parts.netloc:
        raise OutboundRefused("has to begin with https://")
    if "@" in parts.netloc:
        raise OutboundRefused("must have no user and no password")
    return parts


def _host(parts: SplitResult) -> str:
    host = (parts.hostname or "").lower()
    if _NAME.fullmatch(host):
        return host
    try:
        address = ip_address(host)
    except ValueError:
        address = None
    if address is None or "%" in host:
        raise OutboundRefused("has a host that is neither a name nor a plain address")
    return str(address)


def _port(parts: SplitResult) -> int:
    try:
        return parts.port or _PORTS[parts.scheme]
    except ValueError:
        raise OutboundRefused("has a port that is none") from None


def _check(address: Address, exempt: Exempt, *, named: bool) -> None:
    """Raise OutboundRefused unless an address is public, or exempt; ``named``: its host is."""
    plain = _plain(address)
    if any(plain in network for network in _NEVER):
        raise OutboundRefused("leads to an address that is never asked")
    if not (named or exempt.holds(plain) or _is_public(plain)):
        raise OutboundRefused("leads to an address that is not public")


def _plain(address: Address) -> Address:
    if any(address in network for network in _CARRIERS) and int(address) > 1:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def _is_public(address: Address) -> bool:
    if isinstance(address, IPv6Address):
        return address in _PUBLIC and not any(address in network for network in _SPECIAL)
    return address.is_global and not any(address in network for network in _SPECIAL_V4)
