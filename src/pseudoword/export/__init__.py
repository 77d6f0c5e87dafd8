"""What a run learnt, in the formats of other programs; every export is loaded and drawn with."""

import tempfile
from pathlib import Path

from pseudoword.errors import UserError
from pseudoword.runs import hash_bytes, prepare_folder, read_json, write_json

FORMATS: dict[str, str] = {
    "diffusers": "for diffusers: a LoRA or embedding file, or DreamBooth's whole pipeline folder",
    "kohya": "LoRA file for ComfyUI, A1111, Forge and others that read Kohya's names",
    "a1111": "embedding file for A1111, Forge and ComfyUI",
    "peft": "LoRA as a PEFT adapter folder",
    "checkpoint": "the whole model with the concept merged in, as a diffusers folder",
}

NOTE = "export.json"


def export_run(run: Path, format: str, out: Path | None = None, model: str | None = None) -> Path:
    """Writes what `run` learnt in one of FORMATS and returns the file or folder to load.

    It lies in the folder `out` (default: run/export/<format>), beside export.json, which tells
    how to word the concept there. The folder appears only after the export has been loaded by its
    home's public loader and has drawn the run's own pictures. What is exported already stays.
    `model` names the run's model where it has moved. Raises UserError for a format that is unknown
    or does not apply, or a folder in use.
    """
    from pseudoword.export.table import WRITERS

    if format not in FORMATS:
        raise UserError(f"--format {format} is not known: use {', '.join(FORMATS)}.")
    method = read_json(run / "run.json")["method"]
    fitting = [name for name in FORMATS if (method, name) in WRITERS]
    if format not in fitting:
        raise UserError(f"--format {format} does not apply to {method}: use {', '.join(fitting)}.")
    out = out or run / "export" / format
    source = _identity(run, format)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        return out / _earlier(out, source)
    prepare_folder(out.parent)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".export-") as temporary:
        folder = Path(temporary) / out.name
        folder.mkdir()
        main = _write(run, WRITERS[method, format], folder, source, model)
        if out.exists():
            out.rmdir()
        folder.rename(out)
    return out / main


def _identity(run: Path, format: str) -> dict[str, str]:
    from pseudoword.train import ARTEFACT

    path = run / ARTEFACT
    if not path.is_file():
        raise UserError(f"{path} does not exist: train the run to its end first.")
    return {"format": format, "artefact_sha256": hash_bytes(path.read_bytes())}


def _earlier(out: Path, source: dict[str, str]) -> str:
    """The main file of an export that is there already, if it is the one that is asked for."""
    if (out / NOTE).is_file():
        note = read_json(out / NOTE)
        if source.items() <= note.items():
            return str(note["main"])
    raise UserError(f"--out {out} is in use already: remove it, or name a new folder.")


def _write(
    run: Path, writer: object, folder: Path, source: dict[str, str], model: str | None
) -> str:
    """Writes, loads again, compares and notes it; returns the main file's name ("." the folder)."""
    from pseudoword import __version__
    from pseudoword.artefact import load_run
    from pseudoword.device import pick_device
    from pseudoword.export.table import Writer
    from pseudoword.export.verify import largest_difference
    from pseudoword.families import load_again

    assert isinstance(writer, Writer)
    device = pick_device("auto")
    loaded = load_run(run, device, model)
    untouched = load_again(loaded.model)
    main = writer.write(loaded, folder)
    reloaded = writer.reload(loaded, untouched, folder / main)
    note = {
        "pseudoword": __version__,
        **source,
        "method": loaded.method.name,
        "model": loaded.run["model"],
        "main": main,
        "noun_phrase": writer.noun_phrase(loaded),
        "largest_difference": largest_difference(loaded, reloaded),
    }
    write_json(folder / NOTE, note)
    return main
