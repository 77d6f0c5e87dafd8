"""The model card that lies beside an export: what it is, how to load it, how good it was."""

import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pseudoword.artefact import LoadedRun
from pseudoword.export.formats import Format, learns
from pseudoword.export.parts import absent_parts, adapter_kinds
from pseudoword.families import MODELS
from pseudoword.prompts import fill
from pseudoword.runs import picture_path, read_json, write_atomic

FILE = "README.md"
PICTURES = 4
UNEVEN = {"dora", "oft", "boft"}
"""Adapters whose change is no multiple of the weight that they are loaded with."""
TEMPLATE = "a photo of a {}"


def write_card(
    folder: Path, run: LoadedRun, source: Path, name: str, row: Format, main: str, phrase: str
) -> None:
    """Writes README.md, and images/ where the run `source` lies in a finished study.

    `name` is the format's, `row` its row, `main` what is to be loaded, and `phrase` how Python
    words the concept.
    """
    import yaml

    study = _study(source, run.method.name)
    pictures = _copy_pictures(study, source, folder, row.phrase(run)) if study else {}
    front = yaml.safe_dump(
        _front_matter(run, name, row.phrase(run), pictures), sort_keys=False, allow_unicode=True
    )
    sections = [
        f"---\n{front}---",
        f"# {run.run['class_noun']}, taught by {run.method.title}",
        _summary(run, row.phrase(run)),
        *[f"![{text}]({place})" for place, text in pictures.items()],
        *_loading(run, row, main, phrase),
        *_choice(run, row),
        *(_scores(study, run.method.name) if study else []),
        *_settings(run),
        "The licence of the base model and the rights in the photos hold for this too.",
    ]
    write_atomic(folder / FILE, "\n\n".join(section for section in sections if section) + "\n")


def base_name(run: LoadedRun) -> str:
    """The base model without the folders that it lies in here: a hub name, or the last of them."""
    model = str(run.run["model"])
    source = MODELS[model].source if model in MODELS else model
    if _is_hub_name(source):
        return source
    return model if model in MODELS else Path(model).name


def _is_hub_name(source: str) -> bool:
    return re.fullmatch(r"[\w.-]+/[\w.-]+", source) is not None and not Path(source).exists()


def _front_matter(
    run: LoadedRun, name: str, phrase: str, pictures: Mapping[str, str]
) -> dict[str, Any]:
    base, adapters = base_name(run), "adapters" in learns(run)
    lora = ["lora", "template:sd-lora"] if adapters and name in ("diffusers", "kohya") else []
    words = ["textual_inversion"] if learns(run) == {"words"} else []
    front: dict[str, Any] = {"library_name": "peft" if name == "peft" else "diffusers"}
    if _is_hub_name(base):
        front |= {"base_model": base}
    return front | {
        "pipeline_tag": "text-to-image",
        "tags": ["text-to-image", run.model.family, run.method.name, *lora, *words, "pseudoword"],
        "instance_prompt": fill(TEMPLATE, phrase),
        **({"widget": _widgets(pictures)} if pictures else {}),
    }


def _widgets(pictures: Mapping[str, str]) -> list[dict[str, Any]]:
    return [{"text": text, "output": {"url": place}} for place, text in pictures.items()]


def _summary(run: LoadedRun, phrase: str) -> str:
    return (
        f"{run.method.title} has taught {base_name(run)} one concept, a particular "
        f"{run.run['class_noun']}: {run.method.summary}. Prompts word it `{phrase}`, as in "
        f"`{fill(TEMPLATE, phrase)}`."
    )


def _loading(run: LoadedRun, row: Format, main: str, phrase: str) -> list[str]:
    sections = ["## Loading", row.hint(run, main)]
    lines = row.usage(run, main)
    if lines:
        used = [f'BASE = "{base_name(run)}"', ""] if any("BASE" in line for line in lines) else []
        place = lines.index("") + 1
        drawn = [
            f'picture = pipeline("{fill(TEMPLATE, phrase)}", guidance_scale=4.0).images[0]',
            'picture.save("picture.png")',
        ]
        code = "\n".join([*lines[:place], *used, *lines[place:], *drawn])
        about = "In Python, run beside the files"
        if used and not _is_hub_name(base_name(run)):
            about += " and with BASE as the path of the base model"
        sections += [f"{about}:", f"```python\n{code}\n```"]
    if absent_parts(run.model):
        sections.append("It was taught without the third text encoder, T5.")
    return sections


def _choice(run: LoadedRun, row: Format) -> list[str]:
    """What the run's study chose, where that is not all of the training at strength 1."""
    step, strength, steps = run.choice.step, run.choice.strength, run.run["steps"]
    told = []
    if step != steps:
        told.append(f"This is the training at step {step} of {steps}, as its study chose.")
    if strength != 1 and row.whole(run):
        told.append(f"What was learnt is merged in at strength {strength:g}, as its study chose.")
    elif strength != 1:
        told.append(
            f"Its study chose the strength {strength:g}, but this holds all that was learnt: give "
            f"{strength:g} in place of 1 as the weight of the adapter to draw as the study did."
        )
        if adapter_kinds(run.model) & UNEVEN:
            told.append(
                "Programs weigh such adapters each in their own way; the formats of whole models "
                "hold this strength exactly."
            )
    return [" ".join(told)] if told else []


def _study(source: Path, method: str) -> Path | None:
    """The finished study that a run folder lies in."""
    study = source.resolve().parent.parent
    if source.resolve().parent.name != "runs" or not (study / "results.json").is_file():
        return None
    return study if method in read_json(study / "results.json")["methods"] else None


def _copy_pictures(study: Path, source: Path, folder: Path, phrase: str) -> dict[str, str]:
    """Copies a few of the run's pictures of different prompts: place in `folder` => prompt."""
    record = read_json(study / "study.json")
    seeds = record["image_seeds"]
    prompts = record["prompts"]
    step = max(1, len(prompts) // PICTURES)
    copied = {}
    for prompt in prompts[::step][:PICTURES]:
        picture = picture_path(source, prompt["id"], seeds[0])
        if picture.is_file():
            (folder / "images").mkdir(exist_ok=True)
            shutil.copyfile(picture, folder / "images" / picture.name)
            copied[f"images/{picture.name}"] = fill(prompt["template"], phrase)
    return copied


def _scores(study: Path, method: str) -> list[str]:
    """The method's scores over all seeds of the study, beside the untouched model's."""
    results = read_json(study / "results.json")
    metrics = results["metrics"]
    scores, base = results["methods"][method]["scores"], results["base_model"]["scores"]
    rows = [
        f"| {metrics[name]['title']} | {metrics[name]['about']} | {_score(score)} | "
        f"{_score(base.get(name))} |"
        for name, score in scores.items()
        if name in metrics and score["value"] is not None
    ]
    return [
        "## Scores",
        "Means over the method's runs in one study, with 95 % intervals where they are known.",
        "\n".join(["| Metric | | This method | Untouched model |", "|---|---|---|---|", *rows]),
    ]


def _score(score: Mapping[str, Any] | None) -> str:
    if score is None or score["value"] is None:
        return "-"
    if score.get("low") is None or score.get("high") is None:
        return f"{score['value']:.3f}"
    return f"{score['value']:.3f} ({score['low']:.3f} to {score['high']:.3f})"


def _settings(run: LoadedRun) -> list[str]:
    values = {**run.run["settings"], "seed": run.run["seed"], **run.run["objective"]}
    rows = [f"| {name} | {value} |" for name, value in values.items()]
    return ["## Settings", "\n".join(["| Setting | Value |", "|---|---|", *rows])]
