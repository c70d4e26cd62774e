"""Which addresses of the internet protocol are somebody else's: the only ones to which a stranger's URL may lead us.

An endpoint's URL is typed in by a caller. If it led to this machine, to its network or to the cloud's metadata service,
the caller would read and write where only we may (server-side request forgery).
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

_HOUSE_OF_THE_CLOUD = frozenset(
    {
        ip_address(
            "168.63.129.16"
        ),  # Azure's platform service answers here, a public address (Microsoft Learn, 2026-11)
    }
)
_GLOBAL_UNICAST = IPv6Network("2000::/3")
_CARRY_IPV4 = (
    # (network, how far the embedded IPv4 address stands from the right end)
    (IPv6Network("::ffff:0:0/96"), 0),  # IPv4-mapped, RFC 4291
    (IPv6Network("::ffff:0:0:0/96"), 0),  # IPv4-translated, RFC 2765
    (IPv6Network("64:ff9b::/96"), 0),  # NAT64, RFC 6052
    (IPv6Network("2002::/16"), 80),  # 6to4, RFC 3056
)
_NOBODY = (
    IPv6Network("2001::/23"),  # protocol assignments, with Teredo, which hides an IPv4 address (RFC 4380)
    IPv6Network("2001:db8::/32"),
    IPv6Network("3fff::/20"),  # documentation, RFC 9637
    ip_network("192.0.0.0/24"),  # protocol assignments, RFC 6890, and a cloud's metadata; some Pythons call it global
    ip_network("192.88.99.0/24"),  # relays of 6to4, RFC 7526
)


def is_public(text: str) -> bool:
    """Whether that address is on the public internet, whatever form it is written or wrapped in."""
    try:
        address = ip_address(text)
    except ValueError:
        return False
    if isinstance(address, IPv6Address):
        if address.scope_id is not None:
            return False
        for network, shift in _CARRY_IPV4:
            if address in network:
                return _is_global(IPv4Address(int(address) >> shift & 0xFFFF_FFFF))
        if address not in _GLOBAL_UNICAST:
            return False
    return _is_global(address)


def _is_global(address: IPv4Address | IPv6Address) -> bool:
    if address in _HOUSE_OF_THE_CLOUD or any(address in each for each in _NOBODY if each.version == address.version):
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved and not address.is_unspecified
