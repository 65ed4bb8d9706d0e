# Needs Python 3.10 or newer, pip and make; everything else goes into .venv.
PYTHON ?= python3
BIN := .venv/bin
ARGS ?=

.PHONY: help demo test lint docs screenshots messages clean

help:
	@echo "make demo          the example site with the emulator; CHECK=1 verifies it and ends"
	@echo "                   PORT=8000 and EMULATOR_PORT=8899 choose the ports"
	@echo "make test          the test suite, on SQLite; ARGS='-k storage' is passed on"
	@echo "                   COVERAGE=1 tells what it reached of lines and branches"
	@echo "make lint          style, types and security"
	@echo "make docs          the documentation, into docs/_build/html"
	@echo "make screenshots   those of the documentation, anew; needs Chromium"
	@echo "make messages      the German and French catalogues, anew from the source; needs GNU gettext"
	@echo "make clean         remove what these made"

# One environment; a stamp for each set of extras, made anew when pyproject.toml changes.
.venv/.created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
		{ echo "Python 3.10 or newer is needed; choose one with: make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv .venv
	@touch $@

.venv/.demo: .venv/.created pyproject.toml
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[emulator]'
	@touch $@

.venv/.test: .venv/.created pyproject.toml
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[emulator,celery,test]'
	@touch $@

.venv/.lint: .venv/.created pyproject.toml
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[emulator,celery,test,servers,lint]'
	@touch $@

.venv/.docs: .venv/.created pyproject.toml
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[emulator,docs]'
	@touch $@

demo: .venv/.demo
ifdef CHECK
	@exec $(BIN)/python -m example_project.check
else
	@exec $(BIN)/python -m example_project.demo \
		$(if $(PORT),--port $(PORT)) $(if $(EMULATOR_PORT),--emulator-port $(EMULATOR_PORT))
endif

test: .venv/.test
ifdef COVERAGE
	$(BIN)/python -m coverage run -m pytest $(ARGS)
	$(BIN)/python -m coverage combine --quiet
	$(BIN)/python -m coverage report
else
	$(BIN)/python -m pytest $(ARGS)
endif

lint: .venv/.lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/bandit --quiet --recursive django_rokka

docs: .venv/.docs
	$(BIN)/sphinx-build -W --keep-going -q -b html docs docs/_build/html

# The browser tests make them; what the documentation shows is taken over. Look at it before you commit.
screenshots: .venv/.test
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[browser]'
	ROKKA_TEST_ALL=1 ROKKA_SCREENSHOTS=docs/_build/screenshots $(BIN)/python -m pytest -q -k "fits or fit or readable" \
		tests/admin/test_browser_listing.py tests/admin/test_browser_detail.py \
		tests/admin/test_browser_widget.py tests/admin/test_browser_actions.py
	$(BIN)/python docs/screenshots.py docs/_build/screenshots

messages: .venv/.test
	cd django_rokka && ../$(BIN)/django-admin makemessages -l de -l fr --add-location file
	cd django_rokka && ../$(BIN)/django-admin compilemessages

clean:
	rm -rf .venv .tox .node docs/_build build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
