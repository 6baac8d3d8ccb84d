"""What a fork publishes with: workflows, Binder, buttons, and one version everywhere."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PYTHONS = SpecifierSet(PROJECT["requires-python"])
CONFIG = (ROOT / "book" / "_config.yml").read_text()
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def jobs():
    return {
        (path.stem, name): job
        for path in WORKFLOWS
        for name, job in yaml.safe_load(path.read_text())["jobs"].items()
    }


def test_supported_pythons_are_tested_from_the_first_one_on():
    matrix = jobs()["tests", "test"]["strategy"]["matrix"]
    versions = matrix["python"]
    assert SpecifierSet(f">={versions[0]}") == PYTHONS
    assert len(versions) >= 3
    assert {"ubuntu-latest", "macos-latest"} <= set(matrix["os"])
    others = [entry["python"] for entry in matrix["include"]]
    for step in (step for job in jobs().values() for step in job["steps"]):
        others.append(step.get("with", {}).get("python-version", versions[0]))
    assert set(others) - {"${{ matrix.python }}"} <= set(versions)


def test_workflows_install_what_is_locked_and_name_files_that_are_there():
    for name, job in jobs().items():
        commands = [step["run"] for step in job["steps"] if "run" in step]
        if commands:
            assert "-r requirements.lock -e ." in commands[0], name
        for path in re.findall(r"(?<!\S)[\w/]+(?:\.lock|\.py|\.yml)\b", "\n".join(commands)):
            assert (ROOT / path).is_file(), path


def test_actions_are_pinned_to_a_version_and_permissions_are_few():
    for path in WORKFLOWS:
        workflow = yaml.safe_load(path.read_text())
        assert workflow["permissions"]["contents"] == "read"
        assert not {"packages", "actions"} & set(workflow["permissions"])
    for job in jobs().values():
        for step in job["steps"]:
            assert re.fullmatch(r"actions/[\w-]+@v\d+", step.get("uses", "actions/x@v1"))


def test_binder_has_a_supported_python_and_the_lock():
    version = (ROOT / ".binder" / "runtime.txt").read_text().strip().removeprefix("python-")
    assert PYTHONS.contains(version)
    lines = (ROOT / ".binder" / "requirements.txt").read_text().splitlines()
    assert (ROOT / ".binder" / "../requirements.lock").is_file()
    assert {"-r ../requirements.lock", "-e ."} <= set(lines)


def options(text):
    return yaml.safe_load(text)["sphinx"]["config"]["html_theme_options"]


def test_buttons_are_absent_until_an_address_is_set_in_one_place():
    assert not [name for name in options(CONFIG) if "repository" in name or "button" in name]
    block = re.compile(r"^(\s+)# (?=[a-z_]+: )", re.M)
    address = "https://example.org/someone/something"
    with_address = block.sub(r"\1", CONFIG).replace("https://github.com/OWNER/NAME", address)
    found = options(with_address)
    assert found["repository_url"] == address
    assert found["path_to_docs"] == "book"
    wanted = ("use_repository_button", "use_edit_page_button", "use_issues_button")
    assert all(found[name] is True for name in wanted)
    assert found["launch_buttons"]["binderhub_url"]
    # Nothing else moved.
    assert options(CONFIG).items() <= found.items()


def versions():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    changelog = (ROOT / "CHANGELOG.md").read_text()
    version, date = re.search(r"^## \[(\d[^\]]*)\] – (\S+)$", changelog, re.M).groups()
    footer = yaml.safe_load(CONFIG)["html"]["extra_footer"]
    yield "CITATION.cff", citation["version"], str(citation["date-released"])
    yield "CHANGELOG.md", version, date
    yield "footer", *re.search(r"Version (\S+) of ([\d-]+)", footer).groups()
    for name in ("README.md", "book/index.md"):
        note = re.search(r"report, version ([\d.]+)\}", (ROOT / name).read_text())
        yield name, note[1], date


@pytest.mark.parametrize(("place", "version", "date"), list(versions()))
def test_one_version_and_one_date_everywhere(place, version, date):
    assert version == PROJECT["version"]
    assert date == str(yaml.safe_load((ROOT / "CITATION.cff").read_text())["date-released"])


def test_the_citation_names_what_the_project_is():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    config = yaml.safe_load(CONFIG)
    assert citation["title"] == config["title"]
    assert citation["license"] == PROJECT["license"]
    assert [author["name"] for author in citation["authors"]] == [config["author"]]
