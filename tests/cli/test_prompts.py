from __future__ import annotations

import os
import pty
import select
import signal
import sys
import termios
import time
from pathlib import Path

import pytest

from spellward.keys import Key

SPELL = "with oil pastel"


def on_terminal(arguments: list[str], answers: list[tuple[str, str]]) -> tuple[int, str]:
    """Runs the command on a terminal of its own, answers its questions, and gives its exit code and all it printed."""
    child, terminal = pty.fork()
    if child == 0:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # a shell has what runs in its background ignore it
        os.execv(sys.executable, [sys.executable, "-m", "spellward.cli.main", *arguments])
    printed, waiting, deadline = "", list(answers), time.monotonic() + 60
    seen, last, typed = 0, "", time.monotonic()
    while time.monotonic() < deadline:
        if select.select([terminal], [], [], 0.05)[0]:
            try:
                piece = os.read(terminal, 4096)
            except OSError:
                break  # the child has closed its side
            if not piece:
                break
            printed += piece.decode()
        # What is typed before the echo is off would be thrown away, as it should be.
        unseen = not termios.tcgetattr(terminal)[3] & termios.ECHO
        if unseen and waiting and waiting[0][0] in printed[seen:]:
            seen = len(printed)
            last, typed = waiting.pop(0)[1], time.monotonic()
            os.write(terminal, last.encode())
        elif last and not waiting and time.monotonic() - typed > 5:
            typed = time.monotonic()
            os.write(terminal, last.encode())  # as anyone would who sees nothing happen
    else:
        os.kill(child, signal.SIGKILL)
    # Closing the terminal first would hang up on a child that is still on its way out.
    status = os.waitpid(child, 0)[1]
    os.close(terminal)
    assert not waiting, f"never asked for {waiting[0][0]!r}: {printed}"
    return os.waitstatus_to_exitcode(status), printed


def test_the_spell_and_the_passphrase_are_asked_for_unseen(tmp_path: Path) -> None:
    path = str(tmp_path / "my.key")
    answers = [("Spell", f"{SPELL}\n"), ("New passphrase", "hidden word\n"), ("Repeat", "hidden word\n")]
    code, printed = on_terminal(["key", "new", path, "--protect"], answers)
    assert code == 0 and SPELL not in printed and "hidden word" not in printed
    assert Key.load(path, "hidden word").prompt == SPELL
    code, printed = on_terminal(["key", "show", path], [("Passphrase of", "hidden word\n")])
    assert code == 0 and "hidden word" not in printed


@pytest.mark.parametrize("key", ["\x03", "\x04"], ids=["ctrl-c", "ctrl-d"])
def test_leaving_a_prompt_is_an_interrupt(tmp_path: Path, key: str) -> None:
    code, printed = on_terminal(["key", "new", str(tmp_path / "my.key")], [("Spell", key)])
    assert code == 130 and "Traceback" not in printed
    assert not (tmp_path / "my.key").exists()
