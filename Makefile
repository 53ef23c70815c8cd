# `make faces`: the main job on a fresh machine. `make test`: all tests. `make notebooks`: run the
# notebooks again. `make docs`: rewrite the reference in docs/python.md. All make their own
# environment in .venv first, with Python 3.11 or newer. `make repo NAME=owner/name` puts the address
# of your copy on GitHub into every link and notebook.

PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
PIP := $(RUN) -m pip install --quiet --disable-pip-version-check

.PHONY: faces test coverage notebooks docs page lint repo clean

faces: $(VENV)/installed
	$(RUN) train.py --model dcgan --data_path dataset/sample_faces.zip --epochs 2 \
	  --batch_size 64 --base_channels 16 --saved_models_dir output/first_training
	@for model in saved_models/*_generator.h5 saved_models/*_decoder.h5; do \
	  [ -e "$$model" ] || continue; \
	  family=$$(basename $$model .h5); family=$${family%_*}; \
	  $(RUN) generate.py --model_path $$model --num_images 36 --grid 6x6 \
	    --output_dir output/$$family || exit 1; \
	done

# Two workers of one thread each: most of a test's time is a start-up that no thread helps with.
# glibc keeps the memory that TensorFlow frees; giving it back took a third of a step's time.
# Coverage makes them take half as long again: it has a target of its own.
PYTEST = OMP_NUM_THREADS=1 TF_NUM_INTRAOP_THREADS=1 TF_NUM_INTEROP_THREADS=1 \
  MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=2000000000 \
  $(RUN) -m pytest -n 2 --dist loadgroup --durations=25

test: $(VENV)/installed-test lint
	$(PYTEST)

coverage: $(VENV)/installed-test
	$(PYTEST) --cov

# Run every notebook again and keep what it drew.
notebooks: $(VENV)/installed-test
	$(RUN) notebooks/execute.py notebooks/*.ipynb

# The reference of the public names comes from their docstrings.
docs: $(VENV)/installed
	$(RUN) docs/make_reference.py

# ONNX Runtime Web is downloaded once, and kept in the cache.
page: $(VENV)/installed
	$(PIP) --editable '.[web]'
	$(RUN) -m facegen_keras.cli export saved_models/stylegan2_generator.h5 --format web \
	  --output output/page

# The schemas of check-jsonschema are part of the package: nothing is fetched.
lint: $(VENV)/installed-test
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(VENV)/bin/lint-imports --cache-dir build/import_linter
	$(RUN) -m mypy --cache-dir build/mypy
	$(RUN) -m check_jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(RUN) -m check_jsonschema --builtin-schema vendor.citation-file-format CITATION.cff

$(VENV)/installed: requirements.txt pyproject.toml
	$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11), "needs Python 3.11 or newer"'
	$(PYTHON) -m venv $(VENV)
	$(PIP) -r requirements.txt
	$(PIP) --no-deps --editable .
	touch $@

$(VENV)/installed-test: $(VENV)/installed
	$(PIP) --editable '.[test]'
	touch $@

repo:
	@$(PYTHON) scripts/repo.py '$(NAME)'

clean:
	rm -rf $(VENV) build *.egg-info
