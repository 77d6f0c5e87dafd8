"""What to do next, as commands that can be run."""

import shlex
from dataclasses import dataclass
from pathlib import PurePath

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
    if kind == "trade_off" and verdict.get("likeness") and verdict.get("scenes"):
        likeness, scenes = study.arm(verdict["likeness"]), study.arm(verdict["scenes"])
        return [
            _export(study, likeness, f"Where likeness counts most, take {likeness.title}"),
            _export(study, scenes, f"Where the scene counts most, take {scenes.title}"),
        ]
    steps = [_more(study)] if kind == "not_enough_evidence" or study.power else []
    leader = standing(study)[0]
    overall = study.normalised.get(leader.name, {}).get("overall")
    if overall is None or not overall.value:
        return steps or [_more(study)]  # nothing leads
    return [*steps, _export(study, leader, f"Use what leads so far, {leader.title}")]


def _more(study: Study) -> Step:
    """The study that would tell more."""
    if study.discrimination.tells is False:
        noun = shlex.quote(study.record["class_noun"])
        return Step(
            "Look through the photos first", f"pseudoword photos PHOTOS --class-noun {noun}"
        )
    if all(prompt.kind == "basic" for prompt in study.prompts):
        return _again(study, "Ask for other scenes as well", prompts=True)
    if len(study.seeds) == 1:
        return _again(study, "Learn how results vary between trainings", seeds=MORE_SEEDS)
    if study.power and _any_learnt(study):
        step = _settle(study, study.power)
        if step is not None:
            return step
    effort = _EFFORTS.get(study.record["effort"])
    if effort:
        return _again(study, "Train longer and draw more", effort=effort)
    return _again(study, "Train more often", seeds=2 * len(study.seeds))


def _any_learnt(study: Study) -> bool:
    """Whether a method is nearer to the photos than the untouched model, beyond chance."""
    return any(row["fidelity"].sign > 0 for row in study.normalised.values())


def _settle(study: Study, power: Power) -> Step | None:
    """A study of the first two methods alone that would probably tell about them."""
    a, b, methods = study.arm(power.a).title, study.arm(power.b).title, (power.a, power.b)
    aim = f"See whether {a} and {b} are equal" if power.same else f"Separate {a} from {b}"
    if power.seeds:
        return _again(study, aim, seeds=power.seeds, methods=methods)
    if power.prompts:
        about = f"{aim}, with {power.prompts} prompts"
        return _again(study, about, methods=methods, prompts=True)
    if power.together:
        seeds, prompts = power.together
        about = f"{aim}, with {prompts} prompts"
        return _again(study, about, seeds=seeds, methods=methods, prompts=True)
    return None


def _again(
    study: Study,
    about: str,
    seeds: int | None = None,
    methods: tuple[str, ...] = (),
    effort: str | None = None,
    prompts: bool = False,
) -> Step:
    """A study with more evidence, in a folder of its own."""
    record = study.record
    # A method from outside the package is asked for by its file.
    files = {row["name"]: row["file"] for row in record["methods"]}
    names = [files[name] or name for name in methods or [arm.name for arm in study.methods]]
    folder = f"{study.folder}-more"
    words = ["pseudoword", "study", "PHOTOS", "--class-noun", record["class_noun"]]
    words += ["--model", str(record["model"]), "--methods", ",".join(names)]
    words += ["--effort", effort or str(record["effort"])]
    words += ["--seeds", str(seeds or len(study.seeds))]
    words += ["--prompt", "a photo of a {}", "--prompt", "..."] if prompts else []
    return Step(about, shlex.join([*words, "--out", folder]))


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
