"""The commands of the toybox: photos of its toys, its training, its check."""

import json
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from pseudoword.cli_arguments import (
    Command,
    add_common,
    add_settings,
    comma_list,
    natural,
    positive,
    read_settings,
)
from pseudoword.console import reporting, table, tell

if TYPE_CHECKING:
    from pseudoword.toystudy.plan import ToyPlan


def add_render(parser: ArgumentParser) -> None:
    parser.add_argument("--seed", type=natural, required=True, help="number of the concept toy")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write")
    parser.add_argument("--count", type=positive, default=5, help="photos (default: 5)")
    parser.add_argument(
        "--captions", action="store_true", help="write each photo's caption beside it"
    )
    parser.add_argument(
        "--prompt",
        action="append",
        default=[],
        help="also draw what this prompt truly shows, {} being the toy; may be repeated",
    )
    parser.add_argument(
        "--truth-count", type=positive, default=4, help="true pictures a prompt (default: 4)"
    )


def render(arguments: Namespace) -> None:
    from pseudoword.locks import hold
    from pseudoword.toybox.photos import render_photo_set

    with hold(arguments.out, tell):
        pictures = render_photo_set(
            arguments.seed,
            arguments.out,
            arguments.count,
            arguments.captions,
            arguments.prompt,
            arguments.truth_count,
        )
    for picture in pictures:
        print(picture)


def add_train(parser: ArgumentParser) -> None:
    from pseudoword.settings import CheckpointSettings

    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to work in")
    parser.add_argument(
        "--stages", type=comma_list, metavar="A,B", help="stages to run (default: all)"
    )
    add_common(parser, "device")
    add_settings(parser, CheckpointSettings)


def train(arguments: Namespace) -> None:
    from pseudoword.settings import CheckpointSettings

    checkpoints = read_settings(arguments, CheckpointSettings)
    with reporting() as reporter:
        from pseudoword.device import pick_device
        from pseudoword.disk import told_of
        from pseudoword.locks import hold
        from pseudoword.toybox.recipe.pipeline import train_toybox

        device = pick_device(arguments.device)
        # Here and not in the recipe, a change of which makes work folders those of another one.
        with hold(arguments.out, reporter.note), told_of(arguments.out):
            folder = train_toybox(
                arguments.out, device, reporter, arguments.stages, checkpoints=checkpoints
            )
    print(folder)


def add_check(parser: ArgumentParser) -> None:
    from pseudoword.toybox.check import CAPTIONS

    add_common(parser, "model")
    parser.add_argument(
        "--captions",
        type=positive,
        default=CAPTIONS,
        help=f"pictures to draw, each of a caption of its own (default: {CAPTIONS})",
    )
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    add_common(parser, "device")


def check(arguments: Namespace) -> None:
    with reporting() as reporter:
        from pseudoword.toybox.check import check_toybox

        figures = check_toybox(reporter, arguments.model, arguments.device, arguments.captions)
    if arguments.json:
        print(json.dumps(figures, indent=2))
        return
    most = figures["reader"]
    rows = [["", "right", "at most"]]
    rows += [[name, f"{figures[name]:.1%}", f"{most[name]:.1%}"] for name in most]
    print(table(rows))
    print(
        f"KID to {figures['captions']} other renders: {figures['kid']:.4f}; "
        f"of renders themselves: {figures['kid_renders']:.4f}"
    )
    print(
        f"autoencoder: {figures['psnr']:.1f} dB PSNR; a small toy's colour moves by "
        f"{figures['small_toy_colour_error']:.1f} of 255 and "
        f"{figures['small_toy_pattern_kept']:.0%} of its pattern stays"
    )


def add_toys(parser: ArgumentParser) -> None:
    from pseudoword.toystudy.plan import CONCEPTS, ToyPlan

    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to work in")
    parser.add_argument(
        "--toys",
        type=positive,
        default=len(CONCEPTS),
        help=f"how many concept toys, from number {CONCEPTS[0]} on (default: {len(CONCEPTS)})",
    )
    parser.add_argument(
        "--seeds",
        type=positive,
        default=ToyPlan.seeds,
        help=f"trainings each (default: {ToyPlan.seeds})",
    )
    parser.add_argument(
        "--pictures",
        type=positive,
        default=ToyPlan.pictures,
        help=f"pictures a prompt (default: {ToyPlan.pictures})",
    )
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    add_common(parser, "model")
    add_common(parser, "device")


def _plan(arguments: Namespace) -> "ToyPlan":
    from pseudoword.toystudy.plan import CONCEPTS, ToyPlan

    toys = range(CONCEPTS[0], CONCEPTS[0] + arguments.toys)
    return ToyPlan(
        out=arguments.out,
        toys=tuple(toys),
        seeds=arguments.seeds,
        pictures=arguments.pictures,
        model=arguments.model,
        device=arguments.device,
    )


def study(arguments: Namespace) -> None:
    with reporting() as reporter:
        from pseudoword.toystudy.repeat import repeat_study

        found = repeat_study(_plan(arguments), reporter)
    if arguments.json:
        print(json.dumps(found, indent=2))
        return
    from pseudoword.toystudy.words import study_tables

    print("\n\n".join(table(rows) for rows in study_tables(found)))


def validate(arguments: Namespace) -> None:
    with reporting() as reporter:
        from pseudoword.toystudy.validate import validate_metrics

        found = validate_metrics(_plan(arguments), reporter)
    if arguments.json:
        print(json.dumps(found, indent=2))
        return
    from pseudoword.toystudy.words import validation_tables

    print("\n\n".join(table(rows) for rows in validation_tables(found)))


COMMANDS: dict[str, Command] = {
    "toybox render": Command("render photos of a concept toy", add_render, render),
    "toybox train": Command("train the toybox's model and encoders from scratch", add_train, train),
    "toybox study": Command(
        "repeat the original study: ten toys, three methods, three seeds", add_toys, study
    ),
    "toybox validate-metrics": Command(
        "measure how far each metric ranks pictures and methods as the truth does",
        add_toys,
        validate,
    ),
    "toybox check": Command("measure how well a model draws the toy world", add_check, check),
}
