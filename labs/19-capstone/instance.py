"""One instance of the site, which is given:   python -m instance one --host H --port P --state FOLDER

It reads deploy.toml, says which layers are whose, and becomes lab 15's main with the site as its application.
A layer is yours where the whole check of that lab has passed on your files, and the reference elsewhere;
deploy.toml can say otherwise. STACK_LAYERS has both folders of each, and how yours stands.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

MAIN = "15-uvicorn-main"


@dataclass(frozen=True)
class Deploy:
    """What deploy.toml says; `drain_seconds` is what requests get to finish in after SIGTERM."""

    application: str
    instances: list[str]
    store: str
    drain_seconds: int
    body_bytes: int
    layers: dict[str, str]


def read(path: Path) -> Deploy:
    """The deployment. Raises SystemExit with one line, NotImplementedError for what is still a hole."""
    try:
        said = tomllib.loads(path.read_text(encoding="utf-8"))
        limits, layers = said.get("limits", {}), said.get("layers", {})
        values = [*said.values(), *limits.values()]
        for value in (one for one in values if isinstance(one, str) and one.startswith("TODO ")):
            raise NotImplementedError(f"lab 19 {value.removeprefix('TODO ')}")
        return Deploy(
            application=_of(said, "application", str),
            instances=[str(one) for one in _of(said, "instances", list)],
            store=_of(said, "store", str),
            drain_seconds=_of(said, "drain_seconds", int),
            body_bytes=_of(limits, "body_bytes", int),
            layers={str(lab): str(whose) for lab, whose in layers.items()},
        )
    except (ValueError, KeyError) as error:
        raise SystemExit(f"{path.name}: {error.args[0] if error.args else error}") from None


def _of(table: dict[str, Any], key: str, kind: type) -> Any:
    if key not in table:
        raise KeyError(f"{key} is missing")
    if type(table[key]) is not kind:
        raise ValueError(f"{key} = {table[key]!r} is not of type {kind.__name__}")
    return table[key]


def chosen(layer: dict[str, str], wish: str) -> str:
    """The folder to use for a layer: what deploy.toml wishes, or yours where it passed."""
    if wish not in ("", "yours", "reference"):
        raise SystemExit(f'deploy.toml: {layer["lab"]} = "{wish}" is neither "yours" nor "reference"')
    yours = wish == "yours" or (not wish and layer["standing"] == "passed")
    return layer["yours" if yours else "reference"]


def become(words: list[str], path: Sequence[str], told: dict[str, str]) -> NoReturn:
    """Turn into another program; signals go straight to it, and its exit code is this process's."""
    python_path = os.pathsep.join([*path, os.environ.get("PYTHONPATH", "")])
    print(shlex.join(words), flush=True)
    os.execve(words[0], words, {**os.environ, **told, "PYTHONPATH": python_path})


def told(deploy: Deploy, name: str, state: str) -> dict[str, str]:
    """What the application learns about this deployment."""
    store = deploy.store.replace("@state@", state)
    return {"SITE_INSTANCE": name, "SITE_STORE": store, "SITE_BODY": str(deploy.body_bytes)}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="instance")
    parser.add_argument("name")
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", required=True)
    parser.add_argument("--state", required=True, help="a folder that all instances share")
    return parser.parse_args()


def main() -> None:
    options = arguments()
    deploy = read(Path("deploy.toml"))
    if options.name not in deploy.instances:
        raise SystemExit(
            f"deploy.toml names no instance {options.name!r}: it has {', '.join(deploy.instances)}"
        )
    layers = json.loads(os.environ["STACK_LAYERS"])
    folders = {one["lab"]: chosen(one, deploy.layers.get(one["lab"], "")) for one in layers}
    for one in layers:
        whose = "yours" if folders[one["lab"]] == one["yours"] else f"the reference ({one['standing']})"
        print(f"  {one['lab']:<18}  {whose}", flush=True)
    words = [sys.executable, f"{folders[MAIN]}/main.py", deploy.application, "--host", options.host]
    words += ["--port", options.port, "--timeout-graceful-shutdown", str(deploy.drain_seconds)]
    become(words, list(folders.values()), told(deploy, options.name, options.state))


if __name__ == "__main__":
    main()
