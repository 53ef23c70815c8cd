"""The files around the code agree with each other."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

import facegen_keras

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
# Colab's versions, checked again whenever Colab moves on.
COLAB = {"tensorflow": "2.20", "keras": "3.13", "jax": "0.7", "numpy": "2.0", "matplotlib": "3.10"}


def load(name: str) -> dict:
    return yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))


def test_one_version_everywhere():
    assert load("CITATION.cff")["version"] == PROJECT["version"] == facegen_keras.__version__


def test_pre_commit_runs_a_ruff_that_the_project_allows():
    hooks = {repo["repo"]: repo["rev"] for repo in load(".pre-commit-config.yaml")["repos"]}
    rev = hooks["https://github.com/astral-sh/ruff-pre-commit"]
    (allowed,) = (d for d in PROJECT["optional-dependencies"]["test"] if d.startswith("ruff"))
    assert re.fullmatch(allowed.removeprefix("ruff==").replace("*", r"\d+"), rev.removeprefix("v"))


def test_requirements_hold_the_dependencies_of_the_package():
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    assert set(PROJECT["dependencies"]) <= {line for line in lines if not line.startswith("#")}


def test_the_notebooks_are_run_with_the_versions_of_colab():
    lines = (ROOT / ".github" / "colab.txt").read_text(encoding="utf-8").splitlines()
    pinned = dict(re.findall(r"^(\w+)==([\d.]+)\.\*$", "\n".join(lines), re.MULTILINE))
    assert {name: pinned.get(name) for name in COLAB} == COLAB
    rows = load(".github/workflows/notebooks.yml")["jobs"]["run"]["strategy"]["matrix"]["include"]
    (colab,) = (row for row in rows if row["versions"] == "colab")
    assert colab["python"] == "3.12"
    assert ".github/colab.txt" in colab["constraints"]


def test_the_badges_of_the_readme_are_written_by_a_workflow():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = set(re.findall(r"/badges/(\w+)\.json", readme))
    rows = load(".github/workflows/notebooks.yml")["jobs"]["run"]["strategy"]["matrix"]["include"]
    assert shown == {row["versions"] for row in rows}
    workflows = set(re.findall(r"actions/workflows/([\w.]+)", readme))
    assert workflows == {path.name for path in (ROOT / ".github/workflows").glob("*.yml")}


@pytest.mark.parametrize("workflow", ["test.yml", "notebooks.yml", "pages.yml"])
def test_every_job_has_a_time_limit_and_few_rights(workflow):
    content = load(f".github/workflows/{workflow}")
    assert content["permissions"] == {"contents": "read"}
    assert all("timeout-minutes" in job for job in content["jobs"].values())


def test_the_page_is_published_from_where_make_writes_it():
    build, publish = load(".github/workflows/pages.yml")["jobs"].values()
    folder = build["steps"][-1]["with"]["path"]
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.search(rf"--format web \\\n\s+--output {folder}$", makefile, re.MULTILINE)
    assert publish["permissions"] == {"pages": "write", "id-token": "write"}
