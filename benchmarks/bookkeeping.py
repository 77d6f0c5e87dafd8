"""How fast thousands of runs are kept account of: python benchmarks/bookkeeping.py [--runs 10000]

Writes finished studies of made-up runs with small pictures, and measures what a command does beside
training and drawing: it finds out that all is done, looks pictures up in the embedding cache, and
writes the report and the summary of many concepts. Prints the processor's seconds a thousand runs,
the peak of memory as a run's pictures grow, and a last line of JSON.

Two shapes: one concept with many seeds (a study has 100 at most), and many concepts.
"""

import argparse
import importlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from pictures import photo_folder

ROOT = Path(__file__).parent.parent
SEEDS = 100
METHODS = ["lora", "dora", "loha", "lokr", "oft"]
FEW = ["lora", "dora"]
SEEDS_OF_CONCEPT = 9
LARGE = 2048
"""A photo's side, px."""


def studies() -> Any:
    """The tests' module that makes up studies."""
    sys.path.append(str(ROOT / "tests"))
    return importlib.import_module("synthetic_study")


def seconds(work: Callable[[], object]) -> float:
    """The processor's, which other work on the machine hardly changes."""
    clock = time.process_time()
    work()
    return time.process_time() - clock


def many_seeds(folder: Path, runs: int) -> dict[str, float]:
    """Studies of 5 methods and up to 100 seeds: the scan for what is done, and the report."""
    from pseudoword.report.read import read_study
    from pseudoword.report.write import write_report

    made = studies()
    prompts = made.TOYBOX_PROMPTS[:2]
    seeds = max(1, min(SEEDS, runs // len(METHODS)))
    made.build_study(folder, METHODS, prompts, range(seeds), [0], size=32, truth=False)
    count, found = seeds * len(METHODS), {}
    found["read a study"] = seconds(lambda: read_study(folder)) / count
    found["write its report"] = seconds(lambda: write_report(folder)) / count
    found["report, MiB"] = (folder / "report.html").stat().st_size / 2**20
    return found


def many_concepts(folder: Path, runs: int) -> dict[str, float]:
    """Many studies of 2 methods and 5 seeds: their summary and its page."""
    from pseudoword.metrics.concepts import summarise_concepts
    from pseudoword.report.across import write_summary
    from pseudoword.runs import write_json

    made = studies()
    first = folder / "c0"
    made.build_study(first, FEW, made.TOYBOX_PROMPTS[:3], range(5), [0], size=32, truth=False)
    places = {"c0": first}
    for index in range(1, max(2, runs // 10)):
        places[f"c{index}"] = folder / f"c{index}"
        shutil.copytree(first, folder / f"c{index}", copy_function=os.link)
    count, found = 10 * len(places), {}
    summary: dict[str, Any] = {}
    found["summarise concepts"] = (
        seconds(lambda: summary.update(summarise_concepts(places))) / count
    )
    write_json(folder / "summary.json", {"pseudoword": "0", **summary, "notes": []})
    found["write the summary's page"] = seconds(lambda: write_summary(folder)) / count
    return found


def few_steps(seeds: int) -> Any:
    """The settings of a true study that is over soon."""
    from pseudoword.settings import GenerateSettings, StudySettings

    return StudySettings(
        class_noun="duck",
        methods=["lora"],
        seeds=seeds,
        effort="quick",
        select=False,
        pictures=1,
        prompts=["a photo of a {}", "a photo of a {} in the snow"],
        options={"lora": {"steps": 1}},
        generate=GenerateSettings(sampling_steps=1),
    )


def finished(photos: Path, out: Path, seeds: int) -> None:
    """A true study, of few steps, with its runs multiplied."""
    from pseudoword.progress import Silent
    from pseudoword.study import run_study

    run_study([photos], few_steps(1), out, Silent())
    whole = out / "runs/lora-s0"
    for seed in range(1, seeds):
        shutil.copytree(whole, out / f"runs/lora-s{seed}", copy_function=os.link)
    _claim_seeds(out, few_steps(seeds))


def resumed(folder: Path, runs: int) -> dict[str, float]:
    """A study that is finished is run again."""
    from pseudoword.progress import Silent
    from pseudoword.study import run_study
    from pseudoword.toybox.photos import render_photo_set

    render_photo_set(1, folder / "photos", count=5)
    seeds = max(1, min(SEEDS, runs))
    finished(folder / "photos", folder / "study", seeds)
    again = [folder / "photos"], few_steps(seeds), folder / "study", Silent()
    return {"find a study finished": seconds(lambda: run_study(*again)) / seeds}


def concepts_resumed(folder: Path, runs: int) -> dict[str, float]:
    """Studies of many concepts with large photos are run again, with nothing left to do.

    Without their summary and its page, which `many_concepts` measures.
    """
    from pseudoword.metrics.concepts import summarise_concepts
    from pseudoword.progress import Silent
    from pseudoword.report.across import write_summary
    from pseudoword.studies import run_studies

    first = photo_folder([], LARGE, folder).rename(folder / "photos-0")
    (folder / "photos").mkdir()
    finished(first, folder / "study", SEEDS_OF_CONCEPT)
    places, out = {}, folder / "out"
    for index in range(max(2, runs // SEEDS_OF_CONCEPT)):
        places[f"c{index}"] = out / f"c{index}"
        shutil.copytree(first, folder / "photos" / f"c{index}", copy_function=os.link)
        shutil.copytree(folder / "study", places[f"c{index}"], copy_function=os.link)
    count = SEEDS_OF_CONCEPT * len(places)
    again = folder / "photos", few_steps(SEEDS_OF_CONCEPT), out, Silent()
    whole = seconds(lambda: run_studies(*again))
    summary = seconds(lambda: summarise_concepts(places)) + seconds(lambda: write_summary(out))
    return {"find concepts finished": (whole - summary) / count}


def _claim_seeds(out: Path, settings: Any) -> None:
    """The study's identity, as if it had been of so many seeds from the start."""
    from pseudoword.runs import read_json, write_json

    identity = read_json(out / "identity.json")
    identity["settings"]["seeds"] = settings.seeds
    write_json(out / "identity.json", identity)


def cached(folder: Path, runs: int) -> dict[str, float]:
    """Ten pictures a run are put into the embedding cache, run by run, and looked up again."""
    from PIL import Image

    from pseudoword.metrics.cache import EmbeddingCache

    class Means:
        name, sha256, preprocessing = "means", "0", "none"

        def embed_images(self, images: Any) -> np.ndarray:
            return np.array([np.resize(np.asarray(i), 768) for i in images], np.float32)

        def look(self, images: Any) -> tuple[np.ndarray, np.ndarray]:
            return self.embed_images(images), self.embed_images(images).astype(np.float16)

    def picture(run: int, place: int) -> Image.Image:
        return Image.new("RGB", (8, 8), (run % 256, run // 256, place))

    def fill() -> None:
        cache = EmbeddingCache(folder)
        for run in range(runs):
            cache.embed(Means(), [picture(run, place) for place in range(10)])

    return {"embeddings written": seconds(fill) / runs, "embeddings found": seconds(fill) / runs}


def peak(what: str, place: str) -> float:
    """MiB at most of a process that does one thing, and nothing else before."""
    command = [sys.executable, __file__, f"--{what}", place]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(result.stdout.split()[-1])


def score(folder: Path, pictures: int) -> None:
    """Embeds a run's pictures of 512 pixels with the toybox's encoders."""
    from PIL import Image

    from pseudoword.evaluate import Judges, picture_files

    Image.effect_noise((512, 512), 50).convert("RGB").save(folder / "0.png")
    for index in range(1, pictures):
        os.link(folder / "0.png", folder / f"{index}.png")
    names = {role: f"toybox-{role}" for role in ("clip", "dino", "inception")}
    judges = Judges.load(names, "cpu", folder / "cache")
    files = picture_files([folder / f"{index}.png" for index in range(pictures)])
    judges.look(files)
    for role in judges.encoders:
        judges.embed(role, files)


def report_peak(folder: Path, pictures: int) -> float:
    """MiB at most of writing the report of two trainings of so many pictures each."""
    made = studies()
    made.build_study(
        folder, FEW[:1], made.TOYBOX_PROMPTS[:1], range(2), range(pictures), size=32, truth=False
    )
    return peak("report", str(folder))


PARTS = {
    "resumed": resumed,
    "concepts resumed": concepts_resumed,
    "many seeds": many_seeds,
    "many concepts": many_concepts,
    "cache": cached,
}


def main() -> None:
    parser = argparse.ArgumentParser(description="Measures the bookkeeping of many runs.")
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--score", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--report", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bookkeeping-") as name:
        if given.score or given.report:
            one_thing(Path(name), given)
        else:
            measure(Path(name), given.runs)


def one_thing(folder: Path, given: argparse.Namespace) -> None:
    """What a process of its own does, which then prints its peak of memory."""
    from pseudoword.device import peak_resident_bytes
    from pseudoword.report.write import write_report

    if given.score:
        score(folder, given.score)
    else:
        write_report(given.report)
    print(peak_resident_bytes() / 2**20)


def measure(folder: Path, runs: int) -> None:
    found: dict[str, float] = {}
    for part, work in PARTS.items():
        place = folder / part.replace(" ", "-")
        place.mkdir()
        found |= work(place, runs)
    for what, value in found.items():
        shown = f"{value:.1f}" if "MiB" in what else f"{1000 * value:.2f} s a thousand runs"
        print(f"{what:28} {shown}")
    peaks = {
        count: {
            "score": round(peak("score", str(count))),
            "report": round(report_peak(folder / f"of-{count}", count)),
        }
        for count in (10, 100, 1000)
    }
    for count, mib in peaks.items():
        print(
            f"{count:5} pictures a run: {mib['score']} MiB at most to score them, "
            f"{mib['report']} to write a report"
        )
    told = {
        name: round(value if "MiB" in name else 1000 * value, 3) for name, value in found.items()
    }
    print(json.dumps({"runs": runs, "seconds_a_thousand": told, "peak_mib": peaks}))


if __name__ == "__main__":
    main()
