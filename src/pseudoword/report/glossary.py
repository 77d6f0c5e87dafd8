"""Words that the report uses, in plain terms; the metrics bring their own."""

from pseudoword.report.data import Study

_WORDS: tuple[tuple[str, str, str], ...] = (
    (
        "adherence",
        "Adherence",
        "How much of the untouched model's obedience to the prompt is left: CLIP-T of the edit "
        "prompts, scaled so that the untouched model has 100 % and a photo that ignores the prompt "
        "0 %.",
    ),
    (
        "ceiling",
        "Ceiling",
        "The likeness of the photos to each other. A picture cannot be expected to be more like a "
        "photo than another photo of the same thing is.",
    ),
    (
        "p-best",
        "Chance of being best",
        "In how many of the resampled studies a method comes out ahead of all others. It speaks of "
        "this subject, these photos and these encoders.",
    ),
    (
        "improvement",
        "Chance of improvement",
        "How often one training of the first method has a better overall score than one of the "
        "second on an edit prompt. 50 % is none better than the other.",
    ),
    (
        "loss",
        "Change of the loss",
        "How large the error in training's own task is at a checkpoint, on fixed samples of a "
        "photo: 100 % is the untouched model's. Above it on the held-out photo, training has gone "
        "too far.",
    ),
    ("noun", "Class noun", "The plain word for the kind of thing that the photos show, here “{}”."),
    (
        "limit",
        "Copy, limit",
        "A picture that is nearer to a training photo than any two of the training photos are to "
        "each other may repeat it. A true picture of the very subject may be as near: the photo's "
        "background, in pictures that ask for another, tells copying from likeness.",
    ),
    (
        "edit",
        "Edit prompt",
        "A prompt that asks for more than the subject: another setting, property, accessory, "
        "neighbour or style.",
    ),
    (
        "noise",
        "Equal noise",
        "A picture grows out of random noise. Where two methods start from the same noise and "
        "prompt, the difference between their pictures comes from the methods.",
    ),
    (
        "fidelity",
        "Fidelity",
        "Likeness to the subject: DINO, scaled so that the untouched model has 0 % and the ceiling "
        "is 100 %.",
    ),
    (
        "floor",
        "Floor",
        "The score of the untouched model, which knows the class but not this subject.",
    ),
    (
        "held-out",
        "Held-out photo",
        "A photo that no method trained on. Likeness to it tells learning the subject from "
        "learning the photos by heart.",
    ),
    (
        "interval",
        "Interval",
        "A range that would hold the true value in about 95 of 100 such studies, over other "
        "training seeds and other prompts of these kinds; of a kind with a single prompt, over "
        "training seeds alone.",
    ),
    (
        "discrimination",
        "Measure that tells",
        "Whether the likeness is greater between photos of this {0} than to pictures of any {0}. "
        "An area of 1 tells them apart always, one of 0.5 is guessing.",
    ),
    (
        "overall",
        "Overall score",
        "Fidelity times adherence: a method needs both. It is the one score that the verdict goes "
        "by.",
    ),
    (
        "holm",
        "p after Holm",
        "How often chance alone would give a difference this great, made stricter for the number "
        "of pairs that were compared. Below 0.05 a difference is taken to be real.",
    ),
    (
        "pareto",
        "Pareto front",
        "The methods that no other beats in both fidelity and adherence. Its chance: in how many "
        "of the resampled studies a method is on it.",
    ),
    (
        "seeds",
        "Picture seed, training seed",
        "The numbers that fix the noise that a picture starts from, and all chance in one "
        "training.",
    ),
    (
        "separated",
        "Separated",
        "p after Holm is below 0.05; beside the untouched model, which is no competitor, the "
        "interval of the paired difference leaves out zero.",
    ),
    ("untouched", "Untouched model", "The model before any training, given the class noun."),
)


def glossary(study: Study) -> list[tuple[str, str, str]]:
    """(key, word, meaning) in order of the words."""
    noun = study.record["class_noun"]
    return [
        (key, word, text.replace("{0}", noun).replace("{}", noun)) for key, word, text in _WORDS
    ]
