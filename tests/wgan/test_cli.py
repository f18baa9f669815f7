"""`ruo2-wgan` says what it is, what it will do, and refuses what it cannot do yet."""

import subprocess
import sys
from importlib.metadata import entry_points, version

import pytest
from click.testing import CliRunner, Result

from ruo2_wgan.cli import main

COMMANDS_TO_COME = ("train", "generate", "evaluate", "report", "presets")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments, prog_name="ruo2-wgan")


def test_help_names_the_commands_to_come_and_says_that_they_are_not_here() -> None:
    result = run("--help")
    assert result.exit_code == 0
    assert "no commands yet" in result.stdout
    for command in COMMANDS_TO_COME:
        assert f"  {command} " in result.stdout
    assert "Commands:" not in result.stdout


@pytest.mark.parametrize("command", COMMANDS_TO_COME)
def test_a_command_to_come_is_a_usage_error_not_a_pretence(command: str) -> None:
    result = run(command)
    assert result.exit_code == 2
    assert f"No such command '{command}'" in result.stderr


def test_version_is_that_of_the_installed_package() -> None:
    result = run("--version")
    assert result.exit_code == 0
    assert result.stdout.strip() == f"ruo2-wgan, version {version('ruo2-wgan')}"


def test_the_installed_command_and_the_module_are_one() -> None:
    (script,) = entry_points(group="console_scripts", name="ruo2-wgan")
    assert script.load() is main
    module = subprocess.run([sys.executable, "-m", "ruo2_wgan", "--help"], capture_output=True, text=True, check=True)
    assert module.stdout == run("--help").stdout
