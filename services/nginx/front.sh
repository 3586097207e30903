#!/bin/sh
# The container nginx: runs the configuration that the agent in `app` writes, and says nothing of its own.
# Where that is somebody else's (the agent writes `serial`, and a number into it): `nginx -t` first, its words go
# into `nginx.said` after the number, and a new number begins it all again.
run=/run/workshop
until [ -s $run/nginx.conf ]; do sleep 0.1; done
[ -e $run/serial ] || exec nginx -e stderr -c $run/nginx.conf -g 'daemon off;'

stop() {
    for file in /tmp/nginx-*.pid; do
        [ -s "$file" ] || continue
        pid=$(cat "$file")
        kill -TERM "$pid" 2>/dev/null
        while kill -0 "$pid" 2>/dev/null; do sleep 0.05; done
    done
}
trap 'stop; exit 0' TERM INT

while :; do
    serial=$(cat $run/serial)
    said=
    for conf in $run/nginx.conf $run/reference.conf; do
        [ -s $conf ] || continue
        said=$(nginx -t -q -e stderr -c $conf 2>&1) || break
        said=
        nginx -e stderr -c $conf
    done
    [ -z "$said" ] || printf '%s\n' "$said" >&2
    printf '%s\n%s\n' "$serial" "$said" >$run/nginx.said.new && mv $run/nginx.said.new $run/nginx.said
    while [ "$(cat $run/serial)" = "$serial" ]; do sleep 0.2; done
    stop
done
