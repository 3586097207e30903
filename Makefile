# The workshop. `make lab-1` is the first command; `make` alone lists the others.
# Works with GNU Make 3.81. make knows two exit codes, 0 and 2: `.venv/bin/workshop check 5` tells 0, 1, 2 and 3 apart.

PYTHON ?= python3
RUN = sh workshop/launch.sh

# These count on make's command line only: other tools have variables of the same names.
given = $(if $(filter command,$(word 1,$(origin $(1)))),$($(1)))
target = $(if $(call given,TARGET),--target "$(call given,TARGET)")
more = $(call given,ARGS)
from.solution = $(RUN) solution $* --apply &&
from.starter = $(RUN) reset $* &&
from = $(if $(call given,FROM),$(or $(from.$(FROM)),echo "FROM=$(FROM) can't be used: it is solution or starter." >&2; exit 2;))
ifneq ($(origin UI),command line)
unexport UI
endif
ifneq ($(origin WORKERS),command line)
unexport WORKERS
endif
# MODE=docker|embedded may be set for a whole machine. In the environment another word is somebody else's.
ifneq ($(filter docker embedded,$(MODE))$(filter command,$(origin MODE)),)
export MODE
else
unexport MODE
endif
export PORT PYTHON
# Where a learner reports to, and as whom, goes on under names that are nobody else's.
joins = $(strip $(foreach one,ROOM TOKEN NAME,$(call given,$(one))))
join = $(if $(joins),$(RUN) join $* &&)
export WORKSHOP_ROOM = $(call given,ROOM)
export WORKSHOP_ROOM_TOKEN = $(call given,TOKEN)
export WORKSHOP_ROOM_NAME = $(call given,NAME)
unexport FROM TARGET ARGS SUBMISSIONS ROOM TOKEN NAME
# `PYTEST_ADDOPTS=--co` would have the proof pass with nothing proven.
unexport PYTEST_ADDOPTS PYTEST_PLUGINS PYTEST_DISABLE_PLUGIN_AUTOLOAD

help:            ## this list
	@awk -F ':.*## ' '/^[a-z%-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' Makefile | sed 's/%/N/'

lab-%: FORCE     ## put nginx in front of your service, judge it, keep watching (FROM=solution fast-forwards; ROOM=host:port TOKEN=… shares)
	@$(join) $(from) $(RUN) lab $* $(target) $(more)

check-%: FORCE   ## judge once; exit code 0 when all passed, 2 otherwise
	@$(RUN) check $* $(target) $(more)

load-%: FORCE    ## put your service under load, beside the reference (UI=1, WORKERS=n)
	@$(RUN) load $* $(target) $(more); code=$$?; case $$code in 1|4) ;; *) exit $$code ;; esac

compare-%: FORCE ## its checks on real implementations, and yours (ARGS=--recorded runs only yours)
	@$(RUN) compare $* $(more)

compare: FORCE   ## the real implementations of every lab again, and what has changed
	@$(RUN) compare $(more)

serve-%: FORCE   ## serve a lab at http://127.0.0.1:8000, without checks; shows what it prints
	@$(RUN) serve $* $(target) $(more)

hint-%: FORCE    ## the next hint for the task that fails
	@$(RUN) hint $* $(more)

solution-%: FORCE ## the solution's notes and where it is
	@$(RUN) solution $* $(more)

reset-%: FORCE   ## the starter again; your work is kept in .workshop/attic
	@$(RUN) reset $* $(more)

catch-up: FORCE  ## be at the start of a lab: LAB=5; your work stays, earlier labs' references are lent
	@$(if $(call given,LAB),$(RUN) $@ "$(LAB)" $(more),echo "make $@ LAB=5" >&2; exit 2)

attic: FORCE     ## what of your work is kept in .workshop/attic
	@$(RUN) attic $(more)

restore-%: FORCE ## bring work back from the attic: the latest, or ARGS="--kept NAME"
	@$(RUN) restore $* $(more)

trace-%: FORCE   ## draw what happened on every hop: ARGS="-k words", or ARGS="--curl '/path'"
	@$(RUN) trace $* $(target) $(more)

debug-%: FORCE   ## the checks' calls in one process, so that breakpoint() works; no points
	@$(RUN) debug $* $(target) $(more)

progress: FORCE  ## how far you are
	@$(RUN) progress $(more)

doctor: FORCE    ## what this machine has, and what is missing
	@$(RUN) doctor $(more)

room: FORCE      ## for a host: who is stuck where, by what learners share (ARGS="--export FILE", ARGS=--wipe)
	@$(RUN) room $(if $(call given,PORT),--port "$(call given,PORT)") $(more)

grade:           ## grade a class, in sandboxes: SUBMISSIONS=folder
regrade:         ## all of them once more; ARGS=--diff shows every grade that changed
grade regrade: FORCE
	@$(if $(call given,SUBMISSIONS),$(RUN) $@ "$(SUBMISSIONS)" $(if $(call given,LAB),--lab $(LAB)) $(more),echo "make $@ SUBMISSIONS=folder" >&2; exit 2)

autograder: FORCE ## Gradescope's autograder.zip of a lab: LAB=5
	@$(if $(call given,LAB),$(RUN) $@ --lab $(LAB) $(more),echo "make $@ LAB=5" >&2; exit 2)

bundle: FORCE    ## everything that a room without a network needs
	@$(RUN) bundle $(more)

down: FORCE      ## end what a run left behind, all of this folder's
	@$(RUN) down

test: .venv-test ## the repository's own proof, in minutes; says what it leaves to `make proof`
	@.venv/bin/python -E -m pytest -q -rs -n auto -m "not whole" $(more)

proof: .venv-test ## the rest of it: all mistakes, load scripts, hostile programs, both modes, repeats
	@result=0; \
	.venv/bin/python -E -m pytest -q -rs -n auto -m "whole and not alone and not in_pairs" $(more) || result=1; \
	.venv/bin/python -E -m pytest -q -rs -n 2 --no-loadscope-reorder -m "whole and in_pairs" $(more) || result=1; \
	.venv/bin/python -E -m pytest -q -rs -p no:xdist -m "whole and alone" $(more) || result=1; \
	exit $$result

flakes: .venv-test ## every solution and oracle N times, on a busy machine: what is not the same each time
	@.venv/bin/python -E -m tests.flakes $(or $(call given,N),50) $(more)

mutants: .venv-test ## one mechanical change at a time in the solutions: LAB=5 SEED=7 N=40
	@.venv/bin/python -E -m tests.mutants $(if $(call given,LAB),--lab $(LAB)) $(if $(call given,SEED),--seed $(SEED)) -n $(or $(call given,N),40) $(more)

bench: .venv-test ## the measurements that the documents quote
	@for file in bench/*.py; do .venv/bin/python "$$file" || exit 1; done

recording: .venv-test ## recording.svg in README, made anew: red, edit and green, from a real run of lab 1
	@MODE=embedded .venv/bin/python -m tests.recording

lint: .venv-test ## ruff, and types, strictly
	@.venv/bin/ruff format --check . && .venv/bin/ruff check .
	@.venv/bin/python tests/typecheck.py

lock: .venv-test ## write the lock files from pyproject.toml
	@sh services/runtime/lock.sh

.venv-test: FORCE
	@$(PYTHON) -E workshop/bootstrap.py test

FORCE:
.PHONY: help test proof flakes mutants bench recording lint lock .venv-test FORCE
