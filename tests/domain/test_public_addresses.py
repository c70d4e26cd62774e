"""Only addresses on the public internet count as public, whatever they are wrapped in."""

from __future__ import annotations

import pytest

from app.domain.endpoints import LONGEST_URL, BadAddress, checked_url
from app.domain.public_addresses import is_public

PUBLIC = ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "2a00:1450:4001:80b::200e", "64:ff9b::8.8.8.8"]
NOT_PUBLIC = [
    "127.0.0.1",
    "127.255.255.254",
    "0.0.0.0",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "100.100.100.200",  # metadata, Alibaba Cloud
    "169.254.169.254",  # metadata, most clouds
    "168.63.129.16",  # platform service, Azure
    "192.0.0.192",  # metadata, Oracle Cloud
    "192.0.2.1",
    "192.88.99.1",
    "198.18.0.1",
    "198.51.100.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",  # IPv4-compatible
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:a9fe:a9fe",
    "::ffff:0:127.0.0.1",
    "64:ff9b::127.0.0.1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::8.8.8.8",
    "2002:7f00:1::",  # 6to4 of 127.0.0.1
    "2002:a00:1::1",
    "2001::1",  # Teredo
    "2001:db8::1",
    "3fff::1",
    "fc00::1",
    "fd00:ec2::254",  # metadata, Amazon
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "100::1",
    "5f00::1",
    "not an address",
    "",
]


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_any_other_address_is_not(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", [address for address in NOT_PUBLIC if address and " " not in address])
def test_no_endpoint_may_have_one_in_its_url(address: str) -> None:
    host = f"[{address}]" if ":" in address else address
    with pytest.raises(BadAddress):
        checked_url(f"https://{host}/events", allow_private=False)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("https://" + "a" * LONGEST_URL, "longer than"),
        ("https://game.example/e\n", "printable"),
        ("https://spiel.münchen/", "printable"),
        ("http://game.example/", "https"),
        ("gopher://game.example/", "https"),
        ("https://game.example:0/", "not a web address"),
        ("https://game.example:x/", "not a web address"),
        ("https://[::1/", "not a web address"),
        ("https://a@game.example/", "user and password"),
        ("https://game.example/#a", "fragment"),
        ("https://LOCALHOST./", "not on the public internet"),
        ("https://db.localhost/", "not on the public internet"),
    ],
)
def test_an_address_that_no_endpoint_may_have_says_why(url: str, why: str) -> None:
    with pytest.raises(BadAddress, match=why):
        checked_url(url, allow_private=False)


def test_private_networks_and_plain_http_are_for_those_who_allow_them() -> None:
    for url in ("http://127.0.0.1:8080/e", "https://10.0.0.1/", "http://localhost/"):
        assert checked_url(url, allow_private=True) == url
    with pytest.raises(BadAddress):
        checked_url("ftp://127.0.0.1/", allow_private=True)
