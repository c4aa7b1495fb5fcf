"""What a server needs of the system and of packages."""

import signal
import sys

import pytest
from click.testing import CliRunner

from tagfit.cli.main import main
from tagfit.serve import connection, server


def test_without_a_limit_of_files_there_is_one_of_connections(monkeypatch):
    resource = pytest.importorskip("resource")
    monkeypatch.setattr(resource, "getrlimit", lambda _: (100, 200))
    assert connection.most_connections() == 50
    monkeypatch.setattr(resource, "getrlimit", lambda _: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert connection.most_connections() == 1000
    monkeypatch.setitem(sys.modules, "resource", None)  # as on Windows
    assert connection.most_connections() == 1000


def test_only_a_missing_package_is_blamed_on_the_extra(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "httptools", None)
    assert "[serve]'" in CliRunner().invoke(main, ["serve", str(tmp_path)]).output
    monkeypatch.undo()
    monkeypatch.delattr("tagfit.serve.server")
    monkeypatch.setitem(sys.modules, "tagfit.serve.server", None)  # a fault of our own
    done = CliRunner().invoke(main, ["serve", str(tmp_path)])
    assert isinstance(done.exception, ImportError)
    assert "pip install" not in done.output


def test_a_second_ctrl_c_ends_it_at_once():
    made = server._Server.__new__(server._Server)
    made.should_exit = made.force_exit = False
    made.handle_exit(signal.SIGTERM, None)
    assert (made.should_exit, made.force_exit) == (True, False)
    made.handle_exit(signal.SIGINT, None)
    assert made.force_exit
