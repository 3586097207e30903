#!/bin/sh
# What `make` calls:   sh workshop/launch.sh lab 3 --all
# Decides between Docker and embedded, says which and why, runs `python -m workshop …` there, hands on its exit code.
# MODE=docker or MODE=embedded forces one, and then nothing falls back. Exit codes: 2 wrong usage, 3 our own trouble.
# What of the user's environment goes on from here: compose.yaml names it for containers, workshop/environment.py for
# processes. Python is started with -E, so that it reads nothing of it.

unset CDPATH IFS
here=$PWD
cd "$(dirname "$0")/.." || exit 2
checkout=$(pwd -P)
project=workshop-$(printf %s "$checkout" | cksum | cut -d ' ' -f 1)
state=.workshop
log=$state/docker.log

say() { if [ -n "$json" ]; then printf '%s\n' "$*" >&2; else printf '%s\n' "$*"; fi; }
stop() { code=$1; shift; printf '%s\n' "$*" >&2; exit "$code"; }

# --- What was asked for -------------------------------------------------------------------------------------------

target_is() {
    TARGET=$1 TARGET_DIR=$checkout/labs
    case $1 in starter | solution | oracle) return ;; esac
    TARGET_DIR=$(cd "$here" && cd -- "$1" 2>/dev/null && pwd -P) || stop 2 "--target: there is no folder $1"
    TARGET=$TARGET_DIR
}

lab_exists() {
    case ${1#0} in "" | *[!0-9]*) return 1 ;; esac
    set -- labs/"$(printf %02d "${1#0}")"-*/
    [ -d "$1" ]
}

is_writable() { mkdir -p $state 2>/dev/null && : 2>/dev/null >$state/.writable; }

# One run of each command in a checkout. The lock outlives an `exec`, and is stale once its process is gone.
take_lock() {
    lock=$state/$command.lock
    until mkdir "$lock" 2>/dev/null; do
        [ -s "$lock/pid" ] || sleep 1
        owner=$(cat "$lock/pid" 2>/dev/null)
        is_ours "$owner" "$command" && stop 2 "make $command is running here already (process $owner). End it there with Ctrl-C, or with: make down"
        # Who else saw that it is stale may have taken it since: what is taken away is looked at once more.
        mv "$lock" "$lock.$$" 2>/dev/null || continue
        [ "$(cat "$lock.$$/pid" 2>/dev/null)" = "$owner" ] || { mv "$lock.$$" "$lock"; continue; }
        rm -rf "$lock.$$"
        was_stale=yes
    done
    echo $$ >"$lock/pid"
}

is_ours() {    # is_ours PID COMMAND: does that process run that command of ours? Numbers come around again; COLUMNS cuts off.
    [ -n "$1" ] && [ "$1" != $$ ] && kill -0 "$1" 2>/dev/null && ps -wwo args= -p "$1" | grep -qE "(launch.sh|-m workshop) ${2:-[a-z]}"
}

# --- Is there an engine? ------------------------------------------------------------------------------------------

limited() {    # limited SECONDS COMMAND…: an engine that hangs must not hang us
    if command -v timeout >/dev/null; then timeout "$@"; return; fi
    seconds=$1; shift
    "$@" & running=$!
    { sleep "$seconds" & nap=$!; trap 'kill $nap' TERM; wait $nap && kill $running; } >/dev/null 2>&1 & watch=$!
    wait $running; ended=$?
    kill $watch 2>/dev/null
    return $ended
}

engine_answers() {    # else `why` says why not
    command -v docker >/dev/null || { why="docker is not installed"; return 1; }
    answer=$(limited 5 docker info -f '{{.ServerVersion}} {{.SecurityOptions}}' 2>&1)
    engine=${answer%% *}
    case $answer in
    [0-9]*) ;;
    *"permission denied"*) why="the Docker engine does not let this user in"; return 1 ;;
    *) why="no Docker engine answers"; return 1 ;;
    esac
    compose=$(limited 5 docker compose version --short 2>/dev/null) || compose=""
    [ -n "$compose" ] || { why="docker has no compose plugin"; return 1; }
    compose=${compose#v} major=${compose%%.*} minor=${compose#*.}
    [ "$major" -gt 2 ] || { [ "$major" -eq 2 ] && [ "${minor%%.*}" -ge 24 ]; } ||
        { why="Compose $compose is older than 2.24"; return 1; }
}

dc() { docker compose --ansi never --progress quiet -f compose.yaml -p "$project-$command" "$@"; }

# Compose's own `down` leaves a `run` container that still runs, and with it the network and the volume.
dc_down() {
    docker ps -aq --filter "label=com.docker.compose.project=$project-$command" | xargs docker rm -f
    dc down -v --remove-orphans
} >/dev/null 2>&1

ca_bundle() {    # what a build trusts: as told, or as this machine does; 500 KiB are the most that it takes
    for bundle in "$LAB_CA_BUNDLE" "$SSL_CERT_FILE" /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/cert.pem; do
        [ -s "$bundle" ] && [ "$(wc -c <"$bundle")" -lt 500000 ] && echo "$bundle" && return
    done
    echo /dev/null
}

settings() {    # everything compose.yaml takes from the environment
    export LAB="${number:-1}" TARGET TARGET_DIR PORT="${PORT:-8000}" WORKSHOP_LOAD="$load" TERM NO_COLOR
    export WORKSHOP_RECORD="$record" WORKSHOP_PAGE="$page"
    LAB_CA_BUNDLE=$(ca_bundle)
    export LAB_CA_BUNDLE DOCKER_CLI_HINTS=false COMPOSE_IGNORE_ORPHANS=true
    # Images carry the fingerprint of what they are made from: nothing is built twice, nothing goes stale.
    WORKSHOP_TAG=$(cat services/runtime/Dockerfile services/runtime/uv.lock services/load/requirements.lock requirements.lock |
        cksum | cut -d ' ' -f 1)
    # No container runs as root, unless root inside is only this user outside (a rootless engine) or labs/ is root's.
    WORKSHOP_UID=$(id -u) WORKSHOP_GID=$(id -g)
    case $answer in
    *rootless*) WORKSHOP_UID=0 WORKSHOP_GID=0 ;;
    *)  if [ "$WORKSHOP_UID" -eq 0 ]; then
            [ "$service" = edit ] || WORKSHOP_UID=1000 WORKSHOP_GID=1000
            chown -R "$WORKSHOP_UID:$WORKSHOP_GID" $state
        fi ;;
    esac
    export WORKSHOP_TAG WORKSHOP_UID WORKSHOP_GID
}

reason() {
    if grep -qE 'CERTIFICATE_VERIFY_FAILED|invalid peer certificate' $log; then
        echo "a certificate on the way there is not known; LAB_CA_BUNDLE=/path/to/ca.pem names its authority's"
        return
    fi
    { grep -oE '(dial tcp|lookup|x509|pull access|manifest|[Nn]o space|timed out)[^"]*$' $log || cat $log; } | tail -n 1 | cut -c 1-120
}

readable_inside() {    # else `why`
    [ "$WORKSHOP_UID" -eq "$(id -u)" ] || [ -z "$(find labs workshop -name '*.py' ! -perm -004 | head -n 1)" ] ||
        { why="root's files here can be read by nobody else, and containers do not run as root: chmod -R a+rX ."; return 1; }
}

images_are_there() {    # here, or to be had; else `why`
    image=runtime; [ "$service" = load ] && image=load
    needed=app; [ "$service" = load ] && needed="app load"
    if ! docker image inspect "web-stack-workshop/runtime:$WORKSHOP_TAG" "web-stack-workshop/$image:$WORKSHOP_TAG" >/dev/null 2>&1; then
        say "docker: building the $image image: a minute or two, once"
        docker compose --ansi never --progress plain -f compose.yaml --profile load build $needed >$log 2>&1 ||
            { why="the $image image can't be built: $(reason); all of it is in $log"; return 1; }
    fi
    dc pull --policy missing nginx >$log 2>&1 || { why="nginx's image can't be had: $(reason)"; return 1; }
}

# --- Docker -------------------------------------------------------------------------------------------------------

cleanup() {
    code=$?
    trap '' INT TERM HUP
    dc_down && [ -n "$lock" ] && rm -rf "$lock"    # a lock left behind has the next run clear up first
    exit "$code"
}

stack_up() {
    wanted=$PORT tried=0
    until dc up -d --wait app nginx >$log 2>&1; do
        tried=$((tried + 1))
        if ! grep -qiE 'port is already allocated|address already in use|ports are not available' $log || [ $tried -ge 20 ]; then
            grep -v 'exited (' $log | tail -n 3 >&2
            docker logs --tail 25 "$project-$command-app-1" 2>&1 | cat >&2
            stop 3 "docker: the stack of lab $number did not start; the lines above say why."
        fi
        PORT=$((PORT + 1))
    done
    [ "$PORT" = "$wanted" ] || say "Port $wanted is taken; using $PORT."
}

docker_run() {    # docker_run ARGUMENTS…: in $service, on the stack that is up, if the command needs one
    options="--rm --no-deps"
    { [ -t 0 ] && [ -t 1 ]; } || options="$options -T"
    [ "$service" = load ] && [ -n "$UI" ] && options="$options -p 127.0.0.1:8089:8089"
    # shellcheck disable=SC2086
    dc run $options "$service" "$@"
    result=$?
    [ $result -eq 0 ] || limited 5 docker version >/dev/null 2>&1 ||
        stop 3 "docker: the engine stopped in the middle. Your files are as they were: start it, then run this again."
    return $result
}

in_docker() {
    # Inside, a folder is /target; a report says what it is called here.
    [ "$TARGET" != "$TARGET_DIR" ] || export TARGET=/target WORKSHOP_TARGET="$TARGET_DIR"
    trap cleanup EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    if [ -n "$stack" ]; then
        [ -z "$was_stale" ] || dc_down
        stack_up
    fi
    [ -z "$given_target" ] || set -- "$@" --target "$TARGET"
    # In the background, as a shell hears no SIGTERM while it waits for a command in the foreground.
    [ "$command" != serve ] || { docker_run "$@" </dev/null & wait $!; exit; }
    # 75: the watch asks for a load run, which is a stack of its own beside this one.
    until docker_run "$@"; [ $result -ne 75 ]; do PORT=8000 sh workshop/launch.sh load "$number"; done
    exit $result
}

# --- Embedded -----------------------------------------------------------------------------------------------------

embedded() {
    # Where .venv is ready no other Python is asked: a version manager's is a script that takes its time.
    .venv/bin/python -E -S workshop/bootstrap.py --is-ready 2>/dev/null || set_up
    [ -z "$given_target" ] || set -- "$@" --target "$TARGET"
    WORKSHOP_CHECKOUT=$checkout exec .venv/bin/python -E -m workshop "$@"
}

set_up() {
    for python in "$PYTHON" python3.14 python3.13 python3.12 python3.11 python3 ""; do
        [ -n "$python" ] && "$python" -E -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && break
    done
    [ -n "$python" ] || stop 2 "Python 3.11 or newer is needed (or Docker), and there is none on PATH."
    "$python" -E workshop/bootstrap.py || exit
}

everything_down() {
    for pid in $(cat $state/*.lock/pid 2>/dev/null); do
        is_ours "$pid" "" && kill "$pid"
    done
    [ ! -x .venv/bin/python ] || .venv/bin/python -E -m workshop down
    if engine_answers; then
        settings
        for network in $(docker network ls --filter "name=$project-" --filter "label=com.docker.compose.network=back" --format '{{.Name}}'); do
            command=${network#"$project-"} command=${command%_back}
            dc_down
        done
    fi
    exit 0
}

# --- Choose -------------------------------------------------------------------------------------------------------

command=${1:-help} MODE=${MODE:-auto} service=grade left=$#
number="" stack="" load="" record="" page="" plain="" given_target="" json="" lock="" was_stale=""
target_is starter
[ "$command" = load ] && service=load load=1
[ "$command" = trace ] && record=1
[ "$command" = lab ] && [ -t 0 ] && [ -t 1 ] && page=1    # as the watch does, whose page it is
while [ "$left" -gt 0 ]; do    # takes out --mode, and --target, which goes back in with the name it has there
    word=$1 value=${2:-}; shift; left=$((left - 1))
    case $word in
    --mode | --target | --port) [ "$left" -eq 0 ] || { shift; left=$((left - 1)); } ;;
    --mode=* | --target=* | --port=*) value=${word#*=} word=${word%%=*} ;;
    esac
    case $word in
    --mode) MODE=$value; continue ;;
    --target) target_is "$value"; given_target=yes; continue ;;
    --port) PORT=$value; set -- "$@" --port "$value"; continue ;;
    --json) json=yes ;;
    --direct | -h | --help) plain=yes ;;
    *[!0-9]* | "") ;;
    *) number=${number:-$word} ;;
    esac
    set -- "$@" "$word"
done
case ${PORT:-8000} in *[!0-9]* | ?????? | ? | ?? | ???) stop 2 "PORT=$PORT can't be used: give a number from 1024 to 65535." ;; esac
case $MODE in auto | docker | embedded) ;; *) stop 2 "MODE is docker or embedded, not '$MODE'." ;; esac
case $command in
lab | check | trace | load | serve) [ -n "$plain" ] || ! lab_exists "$number" || stack=yes ;;
catch-up | reset | restore | solution) service=edit ;;
join) service=report ;;
down) everything_down ;;
esac
is_writable || stop 2 "This folder can't be written to: $checkout. Copy the workshop to a folder of your own."
[ "$command" != lab ] || [ -z "$WORKSHOP_ROOM" ] || service=report
case $command in autograder | bundle | compare | grade | regrade | room | bench | test) embedded "$@" ;; esac

if [ -n "$stack" ]; then
    take_lock
else
    [ "$MODE" = docker ] || [ ! -x .venv/bin/python ] || embedded "$@"
    command=tool$$
fi
why="MODE=embedded"
if [ "$MODE" != embedded ] && engine_answers; then
    [ -z "$stack" ] || say "docker: engine ${engine%%+*}, compose ${compose%%-*}"
    settings
    readable_inside && images_are_there && in_docker "$@"
fi
[ "$MODE" != docker ] || stop 2 "docker: $why"
[ -z "$stack" ] || say "embedded: $why"
embedded "$@"
