"""What to do next, as commands that can be run."""

import shlex
from dataclasses import dataclass
from pathlib import PurePath

from pseudoword.metrics.verdict import HARDLY
from pseudoword.report.data import Arm, Power, Run, Study
from pseudoword.report.tables import standing

EXPORTS: dict[str, str] = {
    "textual-inversion": "a1111",
    "dreambooth": "single-file",
    "lora": "kohya",
    "dora": "kohya",
    "loha": "kohya",
    "lokr": "kohya",
    "oft": "peft",
    "boft": "peft",
    "custom-diffusion": "diffusers",
    "pivotal-tuning": "kohya",
    "full-fine-tuning": "single-file",
}
"""The format of `export` that most programs read, by method."""
_ANY = "checkpoint"  # holds whatever a method learnt

MORE_SEEDS = 3
_EFFORTS = {"quick": "standard", "standard": "thorough"}


@dataclass(frozen=True)
class Step:
    """A command and what it is for."""

    about: str
    command: str


def next_steps(study: Study) -> list[Step]:
    """At most three, the most useful first."""
    verdict, kind = study.verdict, study.verdict["kind"]
    if kind == "winner":
        arm = study.arm(verdict["best"])
        return [_export(study, arm, f"Take {arm.title} with you"), _generate(study, arm)]
    if kind == "trade_off":
        likeness, scenes = study.arm(verdict["likeness"]), study.arm(verdict["scenes"])
        return [
            _export(study, likeness, f"Where likeness counts most, take {likeness.title}"),
            _export(study, scenes, f"Where the scene counts most, take {scenes.title}"),
        ]
    leader = standing(study)[0]
    if kind == "tie":
        return [_export(study, leader, f"Take one of them, say {leader.title}")]
    more = _more(study)
    steps = [more] if more else []
    if _any_learnt(study):
        steps.append(_export(study, leader, f"Use what leads so far, {leader.title}"))
    return steps


def _more(study: Study) -> Step | None:
    """The study that would tell more; None where none in reach would."""
    if study.discrimination.tells is not True:
        noun = shlex.quote(study.record["class_noun"])
        return Step(
            "Look through the photos first", f"pseudoword photos PHOTOS --class-noun {noun}"
        )
    edits = sum(prompt.kind != "basic" for prompt in study.prompts)
    if edits < 2:
        return _again(study, "Ask for other scenes as well", prompts=10 - edits)
    if not _any_learnt(study):
        if any((row["fidelity"].value or 0) >= HARDLY for row in study.normalised.values()):
            seeds = max(MORE_SEEDS, 2 * len(study.seeds))
            return _again(study, "Learn how much is chance", seeds=seeds)
        effort = _EFFORTS.get(study.record["effort"])
        about = "Train longer" if effort else "Train again, with more photos"
        return _again(study, about, effort=effort)
    if len(study.seeds) == 1:
        return _again(study, "Learn how results vary between trainings", seeds=MORE_SEEDS)
    if study.power is not None:
        return _settle(study, study.power)
    effort = _EFFORTS.get(study.record["effort"])
    if effort:
        return _again(study, "Train longer and draw more", effort=effort)
    return _again(study, "Train more often", seeds=2 * len(study.seeds))


def _any_learnt(study: Study) -> bool:
    """Whether a method is nearer to the photos than the untouched model, as far as can be told."""
    rows = [row["fidelity"] for row in study.normalised.values()]
    return any((row.value or 0) > 0 and (row.low is None or row.low > 0) for row in rows)


def _settle(study: Study, power: Power) -> Step | None:
    """A study that would probably tell the first two methods apart, or show them to be equal."""
    a, b = study.arm(power.a).title, study.arm(power.b).title
    aim = f"See whether {a} and {b} are equal" if power.same else f"Separate {a} from {b}"
    seeds, prompts = power.together or (power.seeds, None if power.seeds else power.prompts)
    if seeds is None and prompts is None:
        return None
    return _again(study, aim, seeds=seeds, prompts=prompts and max(1, prompts - len(study.prompts)))


def _again(
    study: Study,
    about: str,
    seeds: int | None = None,
    effort: str | None = None,
    prompts: int | None = None,
) -> Step:
    """The same study with more evidence, in a folder of its own; `prompts` are to be added."""
    folder = study.folder if study.folder.name else study.folder.resolve()
    config = folder / "settings.yaml"
    words = ["pseudoword", "study", "PHOTOS", "--config", str(config)]
    words += ["--effort", effort] if effort else []
    words += ["--seeds", str(seeds)] if seeds else []
    if prompts:
        about = f"{about}: add {prompts} prompts to those in {config}, then"
    return Step(about, shlex.join([*words, "--out", f"{folder}-more"]))


def _export(study: Study, arm: Arm, about: str) -> Step:
    words = ["pseudoword", "export", _run(study, arm), "--format", EXPORTS.get(arm.name, _ANY)]
    return Step(about, shlex.join(words))


def _generate(study: Study, arm: Arm) -> Step:
    prompt = "a photo of a {} in the snow"
    words = ["pseudoword", "generate", _run(study, arm), "--prompt", prompt]
    return Step("Draw with it", shlex.join(words))


def _run(study: Study, arm: Arm) -> str:
    """The folder of the training that came out best, as the user names it."""
    seed = best_run(study, arm).seed if arm.runs else study.seeds[0]
    return str(PurePath(study.folder, "runs", f"{arm.name}-s{seed}"))


def best_run(study: Study, arm: Arm) -> Run:
    """The training with the greatest product of likeness above the floor and adherence."""
    floor = study.base.scores["dino"].value or 0.0

    def score(run: Run) -> float:
        return max(0.0, run.dino - floor) * max(0.0, run.clip_t)

    return max(arm.runs, key=score)
