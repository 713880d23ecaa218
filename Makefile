# The same verbs for people and for the continuous integration.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo explorer docs test coverage test-slow test-heavy test-all lint format bench clean

# A stamp is older than what it was installed from only when that changed. The demo needs less than
# the tests, and a stranger should not wait for the rest.
FAST := fast/pyproject.toml $(wildcard fast/src/tidegate_fast/*)
$(VENV)/ready: pyproject.toml constraints.txt $(FAST)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[train,serve]'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check ./fast > $(VENV)/fast.log 2>&1 \
		|| echo "tidegate-fast was not built ($(VENV)/fast.log says why): NumPy answers, its tests skip"
	touch $@

$(VENV)/installed: $(VENV)/ready
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

demo: $(VENV)/ready
	$(BIN)/tidegate demo -o demo/model

# The demo's model in one page, to send to somebody or to put on a web server.
explorer: explorer.html

explorer.html: demo/model/manifest.json
	$(BIN)/tidegate explore demo/model -o $@

demo/model/manifest.json: $(VENV)/ready
	$(BIN)/tidegate demo -o demo/model

# The documentation as a site in build/site, warnings being errors; the explorer lies beside it.
docs: $(VENV)/installed explorer.html
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet
	@echo "build/site/index.html"

# Two processes test, so each takes one thread: more would only wait for one another.
SIDE_BY_SIDE := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal

test: $(VENV)/installed
	$(SIDE_BY_SIDE) -m "not slow and not heavy"

# Apart from `test`: tracing every line makes the suite a third slower.
coverage: $(VENV)/installed
	$(SIDE_BY_SIDE) -m "not slow and not heavy" --cov --cov-report=term

test-slow: $(VENV)/installed
	$(SIDE_BY_SIDE) -m slow

# Apart from the rest: on a busy machine a case may pass its limit of seconds. Clusters of several
# nodes on this machine are among them, whose processes are killed in mid-run.
test-heavy: $(VENV)/installed
	$(BIN)/python -m pytest -m heavy

test-all: test test-slow

lint: $(VENV)/installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python scripts/check_docs.py
	$(BIN)/python scripts/show_measured.py --check

format: $(VENV)/installed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,bench]'
	$(BIN)/python -m benchmarks

clean:
	rm -rf $(VENV) demo explorer.html build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage
