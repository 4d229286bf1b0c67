"""The `visionarium` command. Each sub-command is a module in `lab/commands`, which loads what is heavy when it runs."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import suppress

from lab.commands import app, assets, bench, data, export, look, methods, receipts, runs, sweep, train

COMMANDS = (app, methods, train, runs, sweep, look, export, data, receipts, assets, bench)


def parser() -> argparse.ArgumentParser:
    whole = argparse.ArgumentParser(
        "visionarium", description="A browser lab for computer-vision methods: understand, play, train, look inside."
    )
    commands = whole.add_subparsers(metavar="COMMAND", required=True)
    for command in COMMANDS:
        command.add(commands)
    return whole


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 0 well, 1 the work failed or faults were found, 2 wrong input, 3 paused, 4 cancelled."""
    given = parser().parse_args(arguments)
    try:
        code: int = given.run(given)
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ValueError, OSError, ImportError) as error:
        print(f"visionarium: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def entry() -> None:
    """The installed command: as `main`, but it does not wait a second for torch to take itself down."""
    code = main()
    with suppress(BrokenPipeError):
        sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    entry()
