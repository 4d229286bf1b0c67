PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: app test install lint receipts

app: install  ## install what is missing, then serve the lab on http://127.0.0.1:8501
	$(BIN)/visionarium app

test: install lint  ## install what is missing, then check and test everything
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not browser and not faults and not learns"
	$(BIN)/python -m pytest -m "browser or faults"
	$(BIN)/python -m pytest -n 2 -m learns

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

install: $(VENV)/installed

$(VENV)/installed: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable ".[test]"
	touch $@

receipts: install  ## measure every method's claim again (about half an hour) and store it
	$(BIN)/visionarium receipts --measure
