"""Blocks of code that are not Python: commands exist, and what is data can be read."""

from __future__ import annotations

import configparser
import importlib.util
import json
import re
import runpy
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from .pages import ROOT, Block, blocks, in_the_repository

pytestmark = in_the_repository

OTHER_PROGRAMS = {"airflow", "curl", "jq", "openssl", "pip", "pytest", "python", "python3"}
"""What the reader has, or installs with the package."""
BUILTINS = {".", "cd", "export", "ls", "printf", "sleep", "umask"}
TARGETS = (
    set(re.findall(r"(?m)^([a-z-]+):", (ROOT / "Makefile").read_text())) if (ROOT / "Makefile").exists() else set()
)

SHELL = blocks("bash", "console")


def name(block: Block) -> str:
    return f"{block.page}: {block.text.strip().splitlines()[0][:40]}"


def commands(block: Block) -> list[str]:
    """Return the commands of a block; in a console block they follow a `$`, and the rest is output."""
    text = re.sub(r"\\\n\s*", " ", block.text)
    if block.language == "console":
        text = "\n".join(line.removeprefix("$ ") for line in text.splitlines() if line.startswith("$ "))
    lines, open_line = [], ""
    for line in text.splitlines():
        open_line += line + "\n"
        if len(re.findall(r"(?<!\\)'", open_line.partition(" #")[0])) % 2 == 0:
            lines.append(open_line.strip())
            open_line = ""
    return [line for line in lines if line and not line.startswith("#")]


def words_of(command: str) -> list[str]:
    """Return the words of a command without the variables that it sets."""
    words = shlex.split(command, comments=True)
    while words and re.match(r"\w+=", words[0]):
        words.pop(0)
    return words


def test_each_block_is_read_by_a_test_or_is_plain_text():
    known = {"bash", "console", "ini", "json", "python", "text", "toml"}
    assert {block.language for block in blocks()} <= known


@pytest.mark.parametrize("block", SHELL, ids=name)
def test_the_shell_can_read_it(block):
    script = "\n".join(commands(block))
    checked = subprocess.run(["bash", "-n"], input=script, text=True, capture_output=True, check=False)
    assert checked.stderr == ""


@pytest.mark.parametrize("block", SHELL, ids=name)
def test_each_command_exists(block):
    for command in commands(block):
        words = words_of(command)
        if not words:
            continue
        program, arguments = words[0].rpartition("/")[2], words[1:]
        if program == "make":
            assert [word for word in arguments if "=" not in word and word not in TARGETS] == []
        else:
            assert program in OTHER_PROGRAMS | BUILTINS, command
        if program.startswith("python") and arguments[:1] == ["-m"]:
            assert importlib.util.find_spec(arguments[1]), command
        files = [word for word in arguments if word.endswith(".py") and "/" in word]
        assert [file for file in files if not (ROOT / file).exists()] == []


@pytest.mark.parametrize(
    "block", [block for block in SHELL if "-m airflow_provider_mendix.simulator" in block.text], ids=name
)
def test_the_simulator_knows_its_options(block):
    from airflow_provider_mendix.simulator.__main__ import parser

    for command in commands(block):
        words = words_of(command)
        if words[1:3] == ["-m", "airflow_provider_mendix.simulator"]:
            parser().parse_args([word for word in words[3:] if word != "&"])


@pytest.mark.parametrize("block", blocks("ini", "json", "toml"), ids=name)
def test_what_is_data_can_be_read(block):
    if block.language == "json":
        json.loads(block.text)
    elif block.language == "toml":
        tomllib.loads(block.text)
    else:
        configparser.ConfigParser().read_string(block.text)


def test_what_the_simulator_prints_is_what_the_pages_show():
    ports = [word for option in ("--port", "--repository-port", "--files-port") for word in (option, "0")]
    command = [sys.executable, "-m", "airflow_provider_mendix.simulator", *ports]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        lines = [process.stdout.readline()]
        while not lines[-1].startswith("Stop it"):
            lines.append(process.stdout.readline())
        process.terminate()
    printed = "".join(lines)
    for port, usual in zip(re.findall(r"127\.0\.0\.1:(\d+)", lines[0]), ("8787", "8788", "8789"), strict=True):
        printed = printed.replace(f":{port}", f":{usual}")

    shown = [block.text for block in blocks("console") if "simulator\nA simulated" in block.text]
    assert [text.partition("\n")[2] for text in shown] == [printed]
    (export,) = re.findall(r"(?m)^export .*$", printed)
    exports = [line for block in SHELL for line in re.findall(r"(?m)^export .*demo-api-key.*$", block.text)]
    assert len(exports) >= 2
    assert set(exports) == {export}
    revisions = {found for block in SHELL for found in re.findall(r"\b[0-9a-f]{40}\b", block.text)}
    assert [revision for revision in revisions if revision not in printed] == []


def test_the_first_hour_finds_the_commands_of_the_readme():
    script = runpy.run_path(str(ROOT / "packaging" / "first_hour.py"))["script"](Path("the.whl"))
    checked = subprocess.run(["bash", "-n"], input=script, text=True, capture_output=True, check=False)
    assert checked.stderr == ""
    for command in ('pip install "the.whl"', "_mendix.simulator &", "airflow dags test example_mendix_build"):
        assert command in script
