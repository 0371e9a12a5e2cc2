"""The layout says the architecture: the grid's cells exist, the README's table is true, imports point downwards."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LAYERS = ("ingress", "router", "retrieval", "resolution", "gate", "outcome")
COLUMNS = ("schemas", "processors", "streams", "evals")
FORBIDDEN = {"utils", "common", "core", "base", "helpers", "services", "managers"}


def cell(column: str, layer: str) -> bool:
    return (ROOT / column / f"{layer}.py").is_file() or (ROOT / column / layer / "__init__.py").is_file()


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("column", COLUMNS)
def test_every_named_cell_of_the_grid_exists(column: str, layer: str) -> None:
    if (column, layer) == ("evals", "ingress"):
        assert not cell(column, layer), "the README says this cell is empty"
    else:
        assert cell(column, layer)


@pytest.mark.parametrize("layer", LAYERS)
def test_every_layer_has_a_unit_test(layer: str) -> None:
    assert list((ROOT / "tests" / "unit").glob(f"test_{layer}*.py"))


def test_every_path_the_readme_s_grid_names_exists() -> None:
    rows = [
        line
        for line in (ROOT / "README.md").read_text().splitlines()
        if re.match(r"\| ({}) \|".format("|".join(LAYERS)), line)
    ]
    assert [row.split("|")[1].strip() for row in rows] == list(LAYERS)
    columns = (*COLUMNS, "tests/unit")
    for row in rows:
        for column, text in zip(columns, row.split("|")[2:], strict=False):
            for name in re.findall(r"`([^`]+)`", text):
                assert list((ROOT / column).glob(name)), f"{column}/{name}"


def test_no_module_has_a_name_that_means_nothing() -> None:
    tracked = subprocess.run(["git", "ls-files", "*.py"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    names = {part.removesuffix(".py") for path in tracked.split() for part in Path(path).parts}
    assert not names & FORBIDDEN


def test_the_import_contracts_hold() -> None:
    run = subprocess.run(
        [Path(sys.executable).parent / "lint-imports"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout
