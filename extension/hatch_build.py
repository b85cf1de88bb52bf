"""Build hook: the labextension goes into wheels and sdists, built by Node where it is not yet.

A wheel made from an sdist that has it needs no Node; an editable installation never runs it (the
Makefile does). Where Node is missing the package is built without the extension, and says so.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

EXTENSION = Path(__file__).parent
BUILT = EXTENSION / "labextension"
INSTALLED = "share/jupyter/labextensions/gpures-lab"
SOURCES = ("package.json", "yarn.lock", "tsconfig.json", "src", "style", "schema")


class LabextensionHook(BuildHookInterface[Any]):
    """Builds the extension if it must, and adds it to the artifact if it is there."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Serve hatchling: called before an artifact is made."""
        if version != "editable" and not _fresh() and not os.environ.get("SKIP_JUPYTER_BUILDER"):
            if shutil.which("node") and shutil.which("npm"):
                build()
            elif not _present():
                self.app.display_warning(
                    "no Node: building without the JupyterLab extension; install Node 20 or newer "
                    "(package nodejs, with npm) and build again to have it"
                )
        if not _present():
            return
        if self.target_name == "wheel":
            build_data["shared_data"][str(BUILT)] = INSTALLED
        else:
            build_data["artifacts"].append("/extension/labextension/")


def _present() -> bool:
    return (BUILT / "package.json").is_file()


def _fresh() -> bool:
    """Whether what is built is no older than what it is built from."""
    if not _present():
        return False
    built = (BUILT / "package.json").stat().st_mtime
    paths = [EXTENSION / name for name in SOURCES]
    files = [each for path in paths for each in ([path] if path.is_file() else path.rglob("*"))]
    return all(each.stat().st_mtime <= built for each in files if each.is_file())


def build() -> None:
    """Run the TypeScript build; what it prints is shown if it fails.

    Raises
    ------
    SystemExit
        Node, or the registry behind it, failed.
    """
    environment = {**os.environ, "NODE_NO_WARNINGS": "1"}
    if "YARN_NPM_REGISTRY_SERVER" not in environment:
        # jlpm does not read npm's settings: a registry that npm was told of would be passed by.
        said = subprocess.run(
            ["npm", "config", "get", "registry"], capture_output=True, text=True, check=False
        )
        if said.returncode == 0 and said.stdout.startswith("http"):
            environment["YARN_NPM_REGISTRY_SERVER"] = said.stdout.strip()
    scripts = Path(sys.executable).parent  # where jupyter-builder is, whether on PATH or not
    environment["PATH"] = f"{scripts}{os.pathsep}{environment.get('PATH', '')}"
    jlpm = [sys.executable, "-c", "from jupyter_builder.jlpm import main; main()"]
    for step in (["install", "--immutable"], ["build"]):
        done = subprocess.run(
            [*jlpm, *step], cwd=EXTENSION, env=environment, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        if done.returncode != 0:
            sys.exit(f"jlpm {step[0]} failed in {EXTENSION}:\n{done.stdout}{done.stderr}")
    _label()


def _label() -> None:
    """Say in the built extension which package it belongs to, and that package's version."""
    project = tomllib.loads((EXTENSION.parent / "pyproject.toml").read_text(encoding="utf-8"))
    described = BUILT / "package.json"
    found = json.loads(described.read_text(encoding="utf-8"))
    found["version"] = project["project"]["version"]
    described.write_text(json.dumps(found, indent=2), encoding="utf-8")
    installed = {
        "packageManager": "python",
        "packageName": project["project"]["name"],
        "uninstallInstructions": "pip uninstall gpures_lab",
    }
    (BUILT / "install.json").write_text(json.dumps(installed, indent=2), encoding="utf-8")


if __name__ == "__main__":
    build()
