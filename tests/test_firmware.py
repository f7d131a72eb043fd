"""webrepl frozen into firmware by MicroPython's own tools, its version, and the names that others rely on.

Runs on no board: it is the build of four ports that is looked at.
"""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from board import ROOT, source_tree

BOARD = ROOT / "build" / "board"
MANIFEST = ROOT / "manifest.py"
SOURCE = ROOT / "webrepl.py"
STUB = ROOT / "build" / "stubs" / "esp32" / "webrepl.pyi"

# What each port's build passes to mpy-cross: ports/*/{esp32_common.cmake,Makefile,CMakeLists.txt}.
FLAGS = {
    "esp32": "-march=xtensawin",
    "esp32-c3": "-march=rv32imc",
    "esp8266": "-march=xtensa",
    "rp2": "-march=armv6m",
}


@dataclass
class Build:
    """A firmware's build up to its frozen modules: the folder, and what the tools printed."""

    folder: Path
    output: str

    @property
    def content(self) -> Path:
        """The C source of the frozen modules."""
        return self.folder / "frozen_content.c"

    def names(self) -> list[str]:
        """Return the names of the frozen modules."""
        names = self.content.read_text().split("mp_frozen_names[] = {")[1].split("};")[0]
        return re.findall(r'"([^"\\]+)\\0"', names)

    def compile(self) -> str:
        """Compile the frozen modules, as C that is only checked; return the compiler's errors."""
        tree = source_tree()
        folders = (tree, tree / "ports" / "unix", BOARD, ROOT / "_webrepl_shim" / "unix")
        process = subprocess.run(
            [
                "gcc",
                "-std=gnu99",
                "-fsyntax-only",
                *(f"-I{folder}" for folder in folders),
                "-DMICROPY_MODULE_FROZEN_MPY=1",
                "-DMICROPY_QSTR_EXTRA_POOL=mp_qstr_frozen_const_pool",
                # The ports' words have 32 bits, and the headers here are for this machine.
                "-DMPZ_DIG_SIZE=16",
                self.content,
            ],
            capture_output=True,
            text=True,
            env={**os.environ, "LC_ALL": "C"},
        )
        return "\n".join(line for line in process.stderr.splitlines() if "error:" in line)


def freeze(folder: Path, manifest: str, flags: str, *, library: Path | None = None) -> Build:
    """Freeze what a board's manifest names, as MicroPython's build does."""
    tree = source_tree()
    (folder / "genhdr").mkdir(parents=True)
    shutil.copy(BOARD / "genhdr" / "qstrdefs.preprocessed.h", folder / "genhdr")
    (folder / "manifest.py").write_text(manifest)
    process = subprocess.run(
        [
            sys.executable,
            tree / "tools" / "makemanifest.py",
            *("-o", folder / "frozen_content.c"),
            *("-v", f"MPY_DIR={tree}"),
            *("-v", f"PORT_DIR={folder}"),
            *("-v", f"MPY_LIB_DIR={library or folder}"),
            *("-b", folder),
            f"-f={flags}",
            "--mpy-tool-flags=",
            folder / "manifest.py",
        ],
        capture_output=True,
        text=True,
        env={**os.environ, "MICROPY_MPYCROSS": str(BOARD / "mpy-cross" / "mpy-cross")},
    )
    assert process.returncode == 0, process.stdout + process.stderr
    return Build(folder, process.stdout)


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """Make a micropython-lib of which only the bundled webrepl is there, and that in name."""
    for name, manifest in (
        ("micropython/bundles/bundle-networking", 'require("webrepl")\n'),
        ("micropython/net/webrepl", 'module("webrepl.py", opt=3)\nmodule("webrepl_setup.py", opt=3)\n'),
    ):
        folder = tmp_path / "lib" / name
        folder.mkdir(parents=True)
        (folder / "manifest.py").write_text('metadata(description="", version="0.1.0")\n' + manifest)
    for name in "webrepl.py", "webrepl_setup.py":
        (folder / name).write_text("BUNDLED = True\n")
    return tmp_path / "lib"


def frozen_size(build: Build) -> int:
    """Return the size of the frozen webrepl.mpy, in bytes: which of the two it is shows in that."""
    return (build.folder / "frozen_mpy" / "webrepl.mpy").stat().st_size


@pytest.mark.parametrize("port", FLAGS)
def test_freeze(tmp_path: Path, port: str) -> None:
    build = freeze(tmp_path / "build", f'include("{MANIFEST}")\n', FLAGS[port])
    assert build.names() == ["webrepl.py", "webrepl_setup.py"]
    assert build.compile() == ""


def test_instead_of_bundled(tmp_path: Path, library: Path) -> None:
    # A folder named webrepl, as a clone of the project is, in one that is searched before micropython-lib: then the
    # port's own manifest, which requires the bundled one, finds it there.
    clone = tmp_path / "clones" / "webrepl"
    clone.mkdir(parents=True)
    for name in "manifest.py", "webrepl.py", "webrepl_setup.py":
        shutil.copy(ROOT / name, clone)
    manifest = f'add_library("webrepl", "{clone.parent}", prepend=True)\nrequire("bundle-networking")\n'
    build = freeze(tmp_path / "build", manifest, FLAGS["esp32"], library=library)
    assert build.names() == ["webrepl.py", "webrepl_setup.py"]
    assert build.compile() == ""
    assert frozen_size(build) > 1000


@pytest.mark.parametrize("first", ["bundled", "ours"])
def test_both(tmp_path: Path, library: Path, first: str) -> None:
    # No tool complains, and the one that comes first is frozen twice, until the compiler sees it.
    lines = ['require("bundle-networking")\n', f'include("{MANIFEST}")\n']
    manifest = "".join(lines if first == "bundled" else reversed(lines))
    build = freeze(tmp_path / "build", manifest, FLAGS["esp32"], library=library)
    assert sorted(build.names()) == ["webrepl.py"] * 2 + ["webrepl_setup.py"] * 2
    assert build.output.count("MPY webrepl.py") == 1
    assert (frozen_size(build) > 1000) == (first == "ours")
    # The first line is one that a builder will search for.
    assert "error: redefinition of 'const_qstr_table_data_webrepl'" in build.compile().splitlines()[0]


def test_version() -> None:
    versions = re.findall(r'^__version__ = "(.+)"$', SOURCE.read_text(), re.MULTILINE)
    assert len(versions) == 1, "webrepl.py has no __version__"
    # As makemanifest.py looks for it: else it adds a second one.
    assert "__version__ =" in SOURCE.read_text()
    assert re.findall(r'version="(.+?)"', MANIFEST.read_text()) == versions
    assert json.loads((ROOT / "package.json").read_text())["version"] == versions[0]


def definitions(path: Path) -> tuple[dict[str, ast.arguments], set[str]]:
    """Return the parameters of a module's functions, and its public variables."""
    functions: dict[str, ast.arguments] = {}
    variables: set[str] = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef):
            functions[node.name] = node.args
        elif isinstance(node, ast.Assign):
            variables |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            variables.add(node.target.id)
    return functions, {name for name in variables if not name.startswith("_")}


def test_stub_variables() -> None:
    assert definitions(STUB)[1] <= definitions(SOURCE)[1]


@pytest.mark.parametrize("name", sorted(definitions(STUB)[0]) if STUB.exists() else ["no stubs"])
def test_stub_function(name: str) -> None:
    stub, ours = definitions(STUB)[0][name], definitions(SOURCE)[0][name]
    # All that the stub's can be called with, by place or by name, ours can; and what may be left out, may be.
    names = [argument.arg for argument in stub.args]
    assert [argument.arg for argument in ours.args][: len(names)] == names
    assert len(ours.args) - len(ours.defaults) <= len(stub.args) - len(stub.defaults)
    assert not ours.posonlyargs
    assert not any(default is None for default in ours.kw_defaults)
    # Defaults that the stub tells are the same, but None, which has no type, may have one here.
    for theirs, default in zip(reversed(stub.defaults), reversed(ours.defaults), strict=False):
        if not (isinstance(theirs, ast.Constant) and theirs.value is ...):
            assert ast.dump(theirs) == ast.dump(default)
