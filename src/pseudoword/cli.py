"""The command line: finds the command, runs it, and tells a mistake in a line or two."""

import sys
from collections.abc import Sequence
from itertools import takewhile

from pseudoword import __version__, cli_commands, cli_lists, cli_photos, cli_toybox
from pseudoword.cli_arguments import Command, Parser, nearest
from pseudoword.console import drop, tell
from pseudoword.device import keep_memory
from pseudoword.disk import disk_error
from pseudoword.errors import UserError
from pseudoword.light_imports import import_lightly
from pseudoword.memory import lacking

COMMANDS: dict[str, Command] = {
    **cli_photos.COMMANDS,
    **cli_commands.COMMANDS,
    **cli_lists.COMMANDS,
    **cli_toybox.COMMANDS,
}


LESS_MEMORY = (
    "Try --gradient-checkpointing, --quantise nf4, --optimizer adamw-8bit, --offload (on a GPU),\n"
    "--batch-size 1 (pictures), or the option batch_size=1."
)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns the exit code: 0, 2 for a user's mistake, 130 interrupted."""
    try:
        run_command(list(sys.argv[1:] if argv is None else argv))
        sys.stdout.flush()
    except UserError as error:
        tell(f"error: {error}")
        return 2
    except KeyboardInterrupt:
        tell("interrupted: the same command goes on from here")
        return 130
    except BrokenPipeError:
        # The reader of the results has gone (`| head`); they are printed when all work is done.
        drop(sys.stdout)
    except OSError as error:
        told = disk_error(None, error) or memory_error(error)
        if told is None:
            raise
        tell(f"error: {told}")
        drop(sys.stdout)
        return 2
    except (RuntimeError, MemoryError) as error:
        told = memory_error(error)
        if told is None:
            raise
        tell(f"error: {told}")
        return 2
    return 0


def memory_error(error: BaseException) -> UserError | None:
    """What to tell of `error`, if it says that memory ran out; None where it does not."""
    memory = lacking(error)
    return UserError(f"{memory} is too small for this. {LESS_MEMORY}") if memory else None


def run_command(argv: list[str]) -> None:
    """Parses and runs; help and version stop here."""
    if argv[:1] == ["--version"]:
        print(f"pseudoword {__version__}")
        return
    words = list(takewhile(lambda word: not word.startswith("-"), argv))[:2]
    name = next((n for n in (" ".join(words), *words[:1]) if n in COMMANDS), None)
    if name is None:
        explain_commands(words, argv[len(words) :])
        return
    command = COMMANDS[name]
    parser = Parser(
        prog=f"pseudoword {name}",
        description=command.summary[0].upper() + command.summary[1:] + ".",
        allow_abbrev=False,
    )
    command.add(parser)
    keep_memory()
    import_lightly()
    command.run(parser.parse(argv[len(name.split()) :]))


def explain_commands(words: Sequence[str], rest: Sequence[str]) -> None:
    """The list of commands, or the mistake in naming one."""
    group = {n: c for n, c in COMMANDS.items() if words and n.startswith(f"{words[0]} ")}
    if words and not (group and len(words) == 1):
        given = " ".join(words if group else words[:1])
        raise UserError(
            f"{given} is no command{nearest(given, COMMANDS)}\n"
            "`pseudoword --help` lists the commands."
        )
    if rest and rest[0] not in ("-h", "--help"):
        raise UserError(f"{rest[0]} needs a command before it.\n`pseudoword --help` lists them.")
    shown = group or COMMANDS
    width = max(map(len, shown))
    print("usage: pseudoword COMMAND ...\n")
    print("Teach a text-to-image model a concept from a few photos, by several methods,")
    print("measure them honestly, and see which one serves it best.\n")
    for name, command in shown.items():
        print(f"  {name.ljust(width)}  {command.summary}")
    print("\n`pseudoword COMMAND --help` tells more; `pseudoword --version` the version.")
