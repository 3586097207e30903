# The workshop. `make lab-1` is the first command; `make` alone lists the others.
# Works with GNU Make 3.81. MODE=docker|embedded, PORT=, ARGS=, FROM= and TARGET= are handed on.

PYTHON ?= python3
RUN = sh workshop/launch.sh
export MODE PORT PYTHON UI WORKERS

help:            ## this list
	@awk -F ':.*## ' '/^[a-z%-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' Makefile | sed 's/%/N/'

lab-%: FORCE     ## put nginx in front of your service, judge it, keep watching (FROM=solution fast-forwards)
	@$(if $(FROM),$(RUN) solution $* --apply &&) $(RUN) lab $* $(if $(TARGET),--target "$(TARGET)") $(ARGS)

check-%: FORCE   ## judge once; exit code 0 all passed, 1 some failed, 2 usage, 3 our fault
	@$(RUN) check $* $(if $(TARGET),--target "$(TARGET)") $(ARGS)

load-%: FORCE    ## put your service under load, beside the reference (UI=1, WORKERS=n)
	@$(RUN) load $* $(if $(TARGET),--target "$(TARGET)") $(ARGS); code=$$?; case $$code in 1|4) ;; *) exit $$code ;; esac

serve-%: FORCE   ## serve a lab at http://127.0.0.1:8000, without checks
	@$(RUN) serve $* $(if $(TARGET),--target "$(TARGET)") $(ARGS)

hint-%: FORCE    ## the next hint for the task that fails
	@$(RUN) hint $* $(ARGS)

solution-%: FORCE ## the solution's notes and where it is
	@$(RUN) solution $* $(ARGS)

reset-%: FORCE   ## the starter again; your work is kept in .workshop/attic
	@$(RUN) reset $* $(ARGS)

debug-%: FORCE   ## the checks' calls in one process, so that breakpoint() works; no points
	@$(RUN) debug $* $(ARGS)

progress: FORCE  ## how far you are
	@$(RUN) progress $(ARGS)

doctor: FORCE    ## what this machine has, and what is missing
	@$(RUN) doctor $(ARGS)

grade:           ## grade a class, in sandboxes: SUBMISSIONS=folder
regrade:         ## all of them once more; ARGS=--diff shows every grade that changed
grade regrade: FORCE
	@$(if $(SUBMISSIONS),$(RUN) $@ "$(SUBMISSIONS)" $(if $(LAB),--lab $(LAB)) $(ARGS),echo "make $@ SUBMISSIONS=folder" >&2; exit 2)

autograder: FORCE ## Gradescope's autograder.zip of a lab: LAB=5
	@$(if $(LAB),$(RUN) $@ --lab $(LAB) $(ARGS),echo "make $@ LAB=5" >&2; exit 2)

bundle: FORCE    ## everything that a room without a network needs
	@$(RUN) bundle $(ARGS)

down: FORCE      ## end what a run left behind
	@$(RUN) down

test: .venv-test ## the repository's own proof, in minutes; says what it leaves to `make proof`
	@.venv/bin/python -m pytest -q -rs -n 3 -m "not whole" $(ARGS)

proof: .venv-test ## the rest of it: all mistakes, load scripts, hostile programs, both modes, repeats
	@.venv/bin/python -m pytest -q -rs -n 3 -m whole $(ARGS)

flakes: .venv-test ## every solution and oracle N times, on a busy machine: what is not the same each time
	@.venv/bin/python -m tests.flakes $(or $(N),50) $(ARGS)

bench: .venv-test ## the measurements that the documents quote
	@for file in bench/*.py; do .venv/bin/python "$$file" || exit 1; done

lint: .venv-test ## ruff, and types, strictly
	@.venv/bin/ruff format --check . && .venv/bin/ruff check .
	@.venv/bin/python tests/typecheck.py

lock: .venv-test ## write the lock files from pyproject.toml
	@sh services/runtime/lock.sh

.venv-test: FORCE
	@$(PYTHON) workshop/bootstrap.py test

FORCE:
.PHONY: help test proof flakes bench lint lock .venv-test FORCE
