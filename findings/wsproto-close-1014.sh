#!/bin/sh
# wsproto answers a Close with 1014 (Bad Gateway, IANA's registry) with 1002, but sends 1014 itself; websockets takes it.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check wsproto==1.3.2 websockets==17.4
cd "$folder"
venv/bin/python - <<'PYTHON'
import importlib.metadata
import sys

from websockets.client import ClientProtocol
from websockets.protocol import OPEN
from websockets.uri import parse_uri
from wsproto.connection import Connection, ConnectionType
from wsproto.events import CloseConnection

frame = Connection(ConnectionType.SERVER).send(CloseConnection(1014, ""))
wsproto = Connection(ConnectionType.CLIENT)
wsproto.receive_data(frame)
(heard,) = wsproto.events()
websockets = ClientProtocol(parse_uri("ws://localhost/"), state=OPEN)
websockets.receive_data(frame)
for name, code in (("wsproto", int(heard.code)), ("websockets", websockets.close_rcvd.code)):
    print(name, importlib.metadata.version(name), "hears", frame, "as", code)
sys.exit((int(heard.code), websockets.close_rcvd.code) != (1002, 1014))
PYTHON
