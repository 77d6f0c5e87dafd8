"""Where do the thresholds of `pseudoword photos` lie?

    python experiments/vetting.py PHOTOS

PHOTOS holds a folder of photos for each subject. Prints how sharp photos and toys are as they are
and blurred on purpose, how far the hashes of different pictures and of changed copies lie apart,
and how often a picture of another subject is told from the rest. docs/decisions/vetting.md has the
figures for four subjects of the DreamBooth data set.
"""

import argparse
import io
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter

from pseudoword.concept import load_concept
from pseudoword.evaluate import Judges
from pseudoword.quality import BLURRED, NEARLY_SAME, difference_hash, sharpness
from pseudoword.toybox.world.concepts import concept_toy, photo_scenes
from pseudoword.toybox.world.render import render_many
from pseudoword.vetting import MIN_FOR_OUTLIERS, outliers

FIRST_TOY = 300
TOYS = 60
TOY_SIZE = 128
SIZES = (512, 768, 1024)
BLURS = (0.0, 1.0, 1.5, 2.0, 3.0, 4.0)
TRIALS = 4

Sets = Mapping[str, Sequence[Image.Image]]


def photo_sets(root: Path, size: int) -> Sets:
    """The photos of each subject, square, of `size` pixels."""
    return {
        folder.name: [
            Image.fromarray(photo.pixels) for photo in load_concept([folder], "thing", size).photos
        ]
        for folder in sorted(root.iterdir())
        if folder.is_dir()
    }


def toy_sets() -> Sets:
    """Six photos of each toy."""
    return {
        f"toy {seed}": [
            Image.fromarray(picture)
            for picture in render_many(photo_scenes(concept_toy(seed), 6, seed), TOY_SIZE)
        ]
        for seed in range(FIRST_TOY, FIRST_TOY + TOYS)
    }


def framed(picture: Image.Image) -> Image.Image:
    """The picture at half its size before a plain ground, as shops show things."""
    side = picture.width // 2
    ground = Image.new("RGB", picture.size, (240, 240, 240))
    half = picture.resize((side, side), Image.Resampling.LANCZOS)
    # Without a sharp frame of its own.
    inner = Image.new("L", (side, side), 0)
    inner.paste(255, (side // 8, side // 8, side - side // 8, side - side // 8))
    ground.paste(half, (side // 2, side // 2), inner.filter(ImageFilter.GaussianBlur(side / 24)))
    return ground


def print_sharpness(name: str, sets: Sets) -> None:
    pictures = [picture for group in sets.values() for picture in group]
    print(f"\n{name}: sharpness (least, median, most), and the share below {BLURRED:g}")
    for title, change in (("as they are", lambda p: p), ("before a plain ground", framed)):
        for blur in BLURS:
            values = []
            for picture in pictures:
                changed = change(picture)
                soft = changed.filter(ImageFilter.GaussianBlur(blur)) if blur else changed
                values.append(sharpness(np.asarray(soft)))
            low, middle, high = np.min(values), np.median(values), np.max(values)
            share = np.mean(np.array(values) < BLURRED)
            print(
                f"  {title}, blurred by {blur:g} px: {low:.0f} {middle:.0f} {high:.0f}, {share:.0%}"
            )


def jpeg(picture: Image.Image) -> Image.Image:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=50)
    return Image.open(buffer).convert("RGB")


def cropped(picture: Image.Image, left: float, top: float, right: float) -> Image.Image:
    """Without these shares of the width and height; the bottom goes with the right."""
    width, height = picture.size
    box = (left * width, top * height, (1 - right) * width, (1 - right) * height)
    return picture.crop(tuple(round(edge) for edge in box))  # type: ignore[arg-type]


CHANGES: Mapping[str, Callable[[Image.Image], Image.Image]] = {
    "JPEG of quality 50": jpeg,
    "half the size": lambda p: p.resize((p.width // 2, p.height // 2)),
    "contrast 80 %": lambda p: ImageEnhance.Contrast(p).enhance(0.8),
    "grey": lambda p: p.convert("L").convert("RGB"),
    "2 % cropped on each side": lambda p: cropped(p, 0.02, 0.02, 0.02),
    "moved by 2 %": lambda p: cropped(p, 0.02, 0.02, 0.0),
    "5 % cropped on each side": lambda p: cropped(p, 0.05, 0.05, 0.05),
    "moved by 5 %": lambda p: cropped(p, 0.05, 0.05, 0.0),
    "brightened by 20 %": lambda p: ImageEnhance.Brightness(p).enhance(1.2),
}


def distance(a: Image.Image, b: Image.Image) -> int:
    one, other = (difference_hash(np.asarray(picture)) for picture in (a, b))
    return int(np.count_nonzero(one != other))


def print_hashes(name: str, sets: Sets) -> None:
    print(f"\n{name}: differing bits of 128 (least, median, most), share of {NEARLY_SAME} or fewer")
    rows = {
        "other pictures of a subject": [
            distance(a, b) for group in sets.values() for a, b in combinations(group, 2)
        ]
    }
    pictures = [picture for group in sets.values() for picture in group]
    for title, change in CHANGES.items():
        rows[title] = [distance(picture, change(picture)) for picture in pictures]
    for title, values in rows.items():
        share = np.mean(np.array(values) <= NEARLY_SAME)
        print(f"  {title}: {min(values)} {np.median(values):g} {max(values)}, {share:.1%}")


def print_outliers(name: str, sets: Sets) -> None:
    """Sets of five with toybox-dino: as they are, and with one picture of another subject."""
    judges = Judges.load({"dino": "toybox-dino"}, "cpu", None, ("dino",))
    vectors = [judges.embed("dino", group) for group in sets.values()]
    rng = np.random.default_rng(0)
    clean, told, wronged = [], [], []
    for index, group in enumerate(vectors):
        for _ in range(TRIALS):
            chosen = group[rng.permutation(len(group))[:MIN_FOR_OUTLIERS]]
            clean.append(bool(outliers(chosen)))
            stranger = (index + int(rng.integers(1, len(vectors)))) % len(vectors)
            chosen[-1] = vectors[stranger][int(rng.integers(len(vectors[stranger])))]
            found = outliers(chosen)
            told.append(len(chosen) - 1 in found)
            wronged.append(bool(found - {len(chosen) - 1}))
    print(f"\n{name}: outliers in {len(clean)} sets of {MIN_FOR_OUTLIERS} by toybox-dino")
    print(f"  told although all are of one subject: {np.mean(clean):.0%}")
    print(f"  a picture of another subject told: {np.mean(told):.0%}")
    print(f"  another one told beside it: {np.mean(wronged):.0%}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the thresholds of `pseudoword photos`.")
    parser.add_argument("photos", type=Path, help="a folder of photos for each subject")
    root = parser.parse_args().photos
    toys = toy_sets()
    photos = {size: photo_sets(root, size) for size in SIZES}
    for size in SIZES:
        print_sharpness(f"photos at {size} px", photos[size])
    print_sharpness(f"toys at {TOY_SIZE} px", toys)
    print_hashes("photos", photos[512])
    print_hashes("toys", toys)
    print_outliers("photos", photos[512])
    print_outliers("toys", toys)


if __name__ == "__main__":
    main()
