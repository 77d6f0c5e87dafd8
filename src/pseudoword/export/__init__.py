"""What a run learnt, in the formats of other programs; every export is loaded and drawn with."""

import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pseudoword.checksum import check_files, sha256_of
from pseudoword.disk import sync, sync_all, told_of
from pseudoword.errors import UserError
from pseudoword.locks import hold
from pseudoword.runs import kept_sha256, read_json, write_json

if TYPE_CHECKING:
    from pseudoword.artefact import LoadedRun

FORMATS: dict[str, str] = {
    "diffusers": "for diffusers: a LoRA or DoRA file, an embedding file or both, or the whole "
    "pipeline folder where the model's own weights learnt",
    "kohya": "adapter file for ComfyUI, A1111, Forge and others that read Kohya's names or "
    "LyCORIS'",
    "a1111": "embedding file for A1111, Forge and ComfyUI",
    "peft": "adapters as PEFT folders",
    "checkpoint": "the whole model with the concept merged in, as a diffusers folder",
    "single-file": "the same as one .safetensors file in the original checkpoint layout",
}

NOTE = "export.json"


def export_run(
    run: Path,
    format: str,
    out: Path | None = None,
    model: str | None = None,
    device: str = "cpu",
    note: Callable[[str], None] = lambda text: None,
) -> Path:
    """Writes what `run` learnt in one of FORMATS and returns the file or folder to load.

    It lies in the folder `out` (default: run/export/<format>), beside a model card, README.md, and
    export.json, which tells how to word the concept there. The folder appears only after the
    export has been loaded by its home's public loader and has drawn the run's own pictures. What
    is exported already stays. `model` names the run's model where it has moved; the proof takes
    several whole models, so it runs in main memory unless `device` says otherwise. A run of a study
    is exported as that chose: its checkpoint, and its strength where the format holds a whole one;
    files of adapters hold all that was learnt, and the card names the strength to load them with.
    Raises UserError for a format that is unknown or does not apply, or a folder in use; HeldError
    where another process is exporting into it.
    """
    from pseudoword.artefact import load_run
    from pseudoword.device import pick_device

    if format not in FORMATS:
        raise UserError(f"--format {format} is not known: use {', '.join(FORMATS)}.")
    read_json(run / "run.json")
    out = out or run / "export" / format
    source = _identity(run, format)
    if _in_use(out) and not _work(out).exists():
        return out / _earlier(out, source)
    return export_loaded(load_run(run, pick_device(device), model), run, format, out, note)


def export_loaded(
    loaded: "LoadedRun",
    run: Path,
    format: str,
    out: Path,
    note: Callable[[str], None] = lambda text: None,
) -> Path:
    """`export_run` of a run that is loaded already, into a folder that is new or empty."""
    from pseudoword.export.formats import WRITERS, fitting

    refusal = WRITERS[format].refusal(loaded)
    if refusal:
        raise UserError(
            f"--format {format} does not apply to this run: {refusal}.\n"
            f"For it use {', '.join(fitting(loaded))}."
        )
    # What is held is where it is made; a killed process leaves that to the next.
    work = _work(out)
    try:
        return out / _made(loaded, run, format, out, work, note)
    finally:
        with suppress(OSError):
            work.rmdir()


def _work(out: Path) -> Path:
    return out.parent / f".export-{out.name}"


def _made(
    loaded: "LoadedRun",
    run: Path,
    format: str,
    out: Path,
    work: Path,
    note: Callable[[str], None],
) -> str:
    """Makes the export within `work`, where it is not there yet; its main file."""
    with told_of(out), hold(work, note):
        folder = work / out.name
        shutil.rmtree(folder, ignore_errors=True)
        if _in_use(out):
            return _earlier(out, _identity(run, format))
        folder.mkdir()
        try:
            main = _write(loaded, run, format, folder)
            sync_all(folder)
            if out.exists():
                out.rmdir()
            folder.rename(out)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        sync(out.parent)
    return main


def _in_use(out: Path) -> bool:
    return out.exists() and (not out.is_dir() or any(out.iterdir()))


def _identity(run: Path, format: str) -> dict[str, Any]:
    from pseudoword.runs import read_choice
    from pseudoword.snapshots import ARTEFACT

    choice = read_choice(run)
    path = run / (choice.artefact if choice else ARTEFACT)
    if not path.is_file():
        raise UserError(f"{path} does not exist: train the run to its end first.")
    strength = choice.strength if choice else 1.0
    return {"format": format, "artefact_sha256": kept_sha256(path), "strength": strength}


def _earlier(out: Path, source: dict[str, Any]) -> str:
    """The main file of an export that is there already, if it is the one that is asked for."""
    if (out / NOTE).is_file():
        note = read_json(out / NOTE)
        if source.items() <= note.items():
            check_files(out, note.get("sha256_of"))
            return str(note["main"])
    raise UserError(f"--out {out} is in use already: remove it, or name a new folder.")


def _write(loaded: "LoadedRun", run: Path, format: str, folder: Path) -> str:
    """Writes, loads again, compares and notes it; returns the main file's name ("." the folder)."""
    from pseudoword import __version__
    from pseudoword.export.card import FILE as CARD
    from pseudoword.export.card import base_name, write_card
    from pseudoword.export.formats import WRITERS
    from pseudoword.export.verify import largest_difference
    from pseudoword.families import load_again

    row = WRITERS[format]
    at = loaded.choice.strength
    if at != 1 and not row.whole(loaded):
        # Adapters are written as they were learnt, and proved so; the card tells the strength.
        loaded.method.set_strength(loaded.model, 1.0)
    main = row.write(loaded, folder)
    reloaded = row.reload(loaded, load_again(loaded.model), folder / main)
    note = {
        "pseudoword": __version__,
        **_identity(run, format),
        "method": loaded.method.name,
        "model": base_name(loaded),
        "main": main,
        "noun_phrase": row.phrase(loaded),
        "step": loaded.choice.step,
        "strength_merged": row.whole(loaded),
        "proved_by": reloaded.loader,
        "largest_difference": largest_difference(loaded, reloaded),
    }
    write_card(folder, loaded, run, format, row, main, reloaded.noun_phrase)
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != CARD)
    note["sha256_of"] = sha256_of(folder, files)
    write_json(folder / NOTE, note, sealed=True)
    if at != 1:
        loaded.method.set_strength(loaded.model, at)
    return main
