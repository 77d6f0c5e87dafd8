"""The command that looks through photos before anything is taught."""

import json
import shlex
from argparse import ArgumentParser, Namespace
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pseudoword.cli_arguments import Command, add_setting, positive, read_settings
from pseudoword.console import silence_libraries, table, tell
from pseudoword.errors import UserError

if TYPE_CHECKING:
    from pseudoword.vetting import Vetted, Vetting


def add_photos(parser: ArgumentParser) -> None:
    from pseudoword.settings import StudySettings

    parser.add_argument(
        "photos", type=Path, nargs="*", metavar="PHOTOS", help="pictures, or their folder"
    )
    parser.add_argument(
        "--size", type=positive, metavar="PIXELS", help="side of the model's pictures, if not known"
    )
    parser.add_argument("--json", action="store_true", help="print all findings")
    for name in ("class_noun", "model", "device"):
        add_setting(parser, StudySettings, name)


def photos(arguments: Namespace) -> None:
    from pseudoword.settings import StudySettings

    settings = read_settings(arguments, StudySettings)
    if not arguments.photos:
        raise UserError("PHOTOS are missing: name pictures of the concept, or their folder.")
    silence_libraries()
    from pseudoword.vetting import vet_photos

    vetting = vet_photos(
        arguments.photos, settings.class_noun, settings.model, settings.device, arguments.size
    )
    following = next_command(vetting, arguments.photos, settings.model)
    if arguments.json:
        print(json.dumps(record(vetting, following), indent=2, ensure_ascii=False))
        return
    for note in vetting.notes:
        tell(note)
    print(table([_row(picture) for picture in vetting.pictures]))
    print(f"\n{summary(vetting)}\nNext: {following}")


def _row(picture: "Vetted") -> list[str]:
    """Name, size, companions, findings."""
    photo = picture.photo
    size = f"{photo.original_width} x {photo.original_height}" if photo else "-"
    companions = [word for word, has in _companions(picture).items() if has]
    findings = [f"{finding.kind}: {finding.text}" for finding in picture.findings]
    name = picture.path.name if photo is None else photo.name
    return [name, size, ", ".join(companions), "; ".join(findings) or "fine"]


def _companions(picture: "Vetted") -> dict[str, bool]:
    return {"caption": picture.caption is not None, "mask": picture.masked}


def summary(vetting: "Vetting") -> str:
    """All pictures in one line."""
    pictures = vetting.pictures
    kinds = Counter(finding.kind for picture in pictures for finding in picture.findings)
    fine = sum(not picture.findings for picture in pictures)
    found = "".join(f", {count} {kind}" for kind, count in kinds.items())
    captions = sum(picture.caption is not None for picture in pictures)
    masks = sum(picture.masked for picture in pictures)
    extra = f"; with a caption: {captions}, with a mask: {masks}" if captions or masks else ""
    return f"{len(pictures)} picture(s) for {vetting.size} px: {fine} fine{found}{extra}"


def next_command(vetting: "Vetting", photos: Sequence[Path], model: str) -> str:
    """What to do after this."""
    chosen = [] if model == "toybox" else ["--model", model]
    words = [*map(str, photos), "--class-noun", vetting.class_noun, *chosen]
    study = shlex.join(["pseudoword", "study", *words])
    broken = [picture.path.name for picture in vetting.pictures if picture.photo is None]
    if broken:
        return f"replace or remove {', '.join(broken)}, then {study}"
    return study


def record(vetting: "Vetting", following: str) -> dict[str, Any]:
    """What --json prints."""
    return {
        "class_noun": vetting.class_noun,
        "size": vetting.size,
        "pictures": [
            {
                "file": str(picture.path),
                "usable": picture.photo is not None,
                "width": picture.photo.original_width if picture.photo else None,
                "height": picture.photo.original_height if picture.photo else None,
                "caption": picture.caption,
                "masked": picture.masked,
                "notes": list(picture.photo.notes) if picture.photo else [],
                "findings": [vars(finding) for finding in picture.findings],
            }
            for picture in vetting.pictures
        ],
        "notes": list(vetting.notes),
        "summary": summary(vetting),
        "next": following,
    }


COMMANDS: dict[str, Command] = {
    "photos": Command("look through photos before they are learnt from", add_photos, photos),
}
