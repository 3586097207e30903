"""Who is counted, in lab 19: no request from one address can show it, so an nginx.conf is read as text."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from workshop.paths import LABS, SOLUTIONS

CHECKS = LABS / "19-capstone" / "checks"
ZONE = "limit_conn_zone %s zone=streams:1m;"


def common_key(monkeypatch: pytest.MonkeyPatch, text: str) -> str:
    monkeypatch.syspath_prepend(str(CHECKS))
    monkeypatch.delitem(sys.modules, "nginx_conf_text", raising=False)
    found: str = importlib.import_module("nginx_conf_text").same_for_all_clients(text)
    return found


@pytest.mark.parametrize(
    ("before", "key"),
    [
        ("", "$remote_addr"),
        ("", '"${binary_remote_addr}$uri"'),
        (ZONE % "$server_name", "$binary_remote_addr"),
        ("map $uri $key { /events $remote_addr; default ''; }", "$key"),
        ("map $remote_addr $net { '~^(?<first>[0-9]+)' $first; }", "$first"),
        ("map $remote_addr $key { ~^10 office; default $remote_addr; }", "$key"),
        ("geo $net { default 0; 10.0.0.0/8 1; }", "$net"),
        ("split_clients $remote_addr $half { 50% a; * b; }", "$half"),
        ("server { set $key $remote_addr; }", "$key"),
    ],
)
def test_key_with_the_address_in_it_counts_each_client(
    monkeypatch: pytest.MonkeyPatch, before: str, key: str
) -> None:
    assert common_key(monkeypatch, before + ZONE % key) == ""


@pytest.mark.parametrize(
    ("before", "key"),
    [
        ("", "$server_name"),
        ("", "all"),
        ("map $host $key { default $uri; }", "$key"),
        ("map $key $key { default $key; }", "$key"),
    ],
)
def test_key_without_it_counts_all_together(monkeypatch: pytest.MonkeyPatch, before: str, key: str) -> None:
    assert common_key(monkeypatch, before + ZONE % key) == key


def test_solution_counts_each_client(monkeypatch: pytest.MonkeyPatch) -> None:
    conf: Path = SOLUTIONS / "19-capstone" / "nginx.conf"
    assert common_key(monkeypatch, conf.read_text(encoding="utf-8")) == ""
