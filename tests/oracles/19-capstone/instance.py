"""One instance under uvicorn, with what deploy.toml says: the site's own server is not in it."""

from __future__ import annotations

import argparse
import os
import sys
import tomllib
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("name")
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", required=True)
    parser.add_argument("--state", required=True)
    options = parser.parse_args()
    deploy = tomllib.loads(Path("deploy.toml").read_text(encoding="utf-8"))
    told = {
        "SITE_INSTANCE": options.name,
        "SITE_STORE": deploy["store"].replace("@state@", options.state),
        "SITE_BODY": str(deploy["limits"]["body_bytes"]),
    }
    # --no-proxy-headers: the application itself reads what its one trusted hop says.
    words = [sys.executable, "-m", "uvicorn", deploy["application"], "--no-proxy-headers", "--no-access-log"]
    words += ["--ws", "websockets-sansio", "--host", options.host, "--port", options.port]
    words += ["--timeout-graceful-shutdown", str(deploy["drain_seconds"])]
    os.execve(words[0], words, {**os.environ, **told})


if __name__ == "__main__":
    main()
