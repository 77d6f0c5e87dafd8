"""Small files that become large."""

import zipfile
from pathlib import Path

from given_files import read_pictures
from PIL import Image


def make_large(folder: Path) -> None:
    """A hundred megapixels, and gigabytes, in kilobytes: what is asked is what they become."""
    import torch

    for name, mode in {"large.png": "RGBA", "large.gif": "P"}.items():
        Image.new(mode, (10_900, 11_000)).save(folder / name)
    grey = Image.new("F", (10_900, 11_000))
    grey.save(folder / "large.tif", compression="tiff_adobe_deflate")
    torch.save({"*": torch.zeros(3, 24)}, folder / "bomb.pt")
    with zipfile.ZipFile(folder / "bomb.pt") as file:
        members = {name: file.read(name) for name in file.namelist()}
    with zipfile.ZipFile(folder / "bomb.pt", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
        for name, content in members.items():
            with file.open(name, "w", force_zip64=True) as inside:
                inside.write(content)
                for _ in range(160 if name.endswith("data/0") else 0):
                    inside.write(bytes(16 * 2**20))


LARGE = ("large.png", "large.tif", "large.gif", "bomb.pt")


def read_large(folder: Path, file: Path) -> None:
    from pseudoword.foreign.embedding import pickled_embedding

    if file.suffix == ".pt":
        pickled_embedding(file)
    else:
        read_pictures(folder, file)
