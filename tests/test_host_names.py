"""By which names a server answers."""

from __future__ import annotations

import socket

import pytest

from understudy.errors import UserMistakeError
from understudy.host_names import HostNames


def test_a_server_of_this_machine_answers_to_addresses_of_this_machine_alone() -> None:
    names = HostNames("127.0.0.1")
    assert all(map(names.include, ("127.0.0.1:1", "127.8.8.8", "[::1]:1", "[::1]", "LOCALHOST.", "localhost:9")))
    foreign = ("", ":80", "evil.example", "localhost.evil.example", "192.168.1.7", "127.0.0.1.evil.example", "0x7f.1")
    assert not any(map(names.include, foreign))
    assert not names.include(socket.gethostname()), "nobody calls a loopback server by it"


def test_a_server_that_others_reach_answers_to_addresses_and_the_machines_own_name() -> None:
    names = HostNames("0.0.0.0", ("Proxy.Example",))
    assert all(map(names.include, ("192.168.1.7:8000", "[fe80::1]:8000", socket.gethostname(), "proxy.example:443")))
    assert not any(map(names.include, ("evil.example", "proxy.example.evil.example", "xproxy.example")))


@pytest.mark.parametrize("name", ["", "*", "http://a", "a:80", "a b", "-", "a" * 300])
def test_what_is_no_name_cannot_be_allowed(name: str) -> None:
    with pytest.raises(UserMistakeError, match="--allowed-host is no name"):
        HostNames("0.0.0.0", (name,))
