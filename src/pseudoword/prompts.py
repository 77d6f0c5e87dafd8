"""The prompts that methods are compared on.

In a template `{}` stands for the noun phrase without its article, and the template brings the
article: "a photo of a {} in the snow". The untouched model is given "mug", DreamBooth "sks mug",
Textual Inversion "<toy>"; so a property may stand before it: "a photo of a purple {}".

Beside the suites that a study is judged by stand two more: validation suites, on which checkpoints
and strengths are chosen, and subject-free ones, which show what a model has forgotten.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from pseudoword.errors import UserError

Kind = Literal["basic", "setting", "property", "accessory", "style", "neighbour"]

BASIC_TEMPLATES = ("a photo of a {}", "a photo of {}")


@dataclass(frozen=True)
class Prompt:
    """One prompt of a suite; `id` is unique in its suite and names the pictures' files."""

    id: str
    template: str
    kind: Kind


@dataclass(frozen=True)
class DriftPrompt:
    """A prompt without the concept: of the class noun alone ("class"), or of something else.

    `text` is what is drawn from: the template with that noun in the place of `{}`.
    """

    id: str
    template: str
    kind: Literal["class", "other"]
    text: str


def _number(prompts: Sequence[tuple[Kind, str]]) -> tuple[Prompt, ...]:
    return tuple(
        Prompt(f"{index:02d}", template, kind) for index, (kind, template) in enumerate(prompts)
    )


# The evaluation prompts published with the DreamBooth data set (github.com/google/dreambooth,
# CC BY 4.0; arXiv 2208.12242, section 4): objects and live subjects share fifteen of twenty-five.
_DREAMBOOTH_SETTINGS: tuple[tuple[Kind, str], ...] = (
    ("setting", "a {} in the jungle"),
    ("setting", "a {} in the snow"),
    ("setting", "a {} on the beach"),
    ("setting", "a {} on a cobblestone street"),
    ("setting", "a {} on top of pink fabric"),
    ("setting", "a {} on top of a wooden floor"),
    ("setting", "a {} with a city in the background"),
    ("setting", "a {} with a mountain in the background"),
    ("setting", "a {} with a blue house in the background"),
    ("setting", "a {} on top of a purple rug in a forest"),
)
_DREAMBOOTH_PROPERTIES: tuple[tuple[Kind, str], ...] = (
    ("property", "a red {}"),
    ("property", "a purple {}"),
    ("property", "a shiny {}"),
    ("property", "a wet {}"),
    ("property", "a cube shaped {}"),
)

LIVE_NOUNS = ("cat", "dog")
"""The class nouns of DreamBooth's live subjects; its other twenty-one subjects are objects."""

SUITES: dict[str, tuple[Prompt, ...]] = {
    # The toybox's counterpart of "classic", in the words that its small model knows.
    "toybox": _number(
        (
            ("basic", "a photo of a {}"),
            ("setting", "a photo of a {} in the snow"),
            ("setting", "a photo of a {} on the beach"),
            ("setting", "a photo of a {} in the jungle"),
            ("setting", "a photo of a {} at night"),
            ("setting", "a photo of a {} in a kitchen"),
            ("property", "a photo of a purple {}"),
            ("accessory", "a photo of a {} wearing a red hat"),
            ("neighbour", "a photo of a {} next to a blue ball"),
            ("style", "a pencil sketch of a {}"),
        )
    ),
    # One basic and nine edit prompts, as in gnguralnick/stable-diffusion-fine-tuning.
    "classic": _number(
        (
            ("basic", "a photo of a {}"),
            ("setting", "a photo of a {} in a forest"),
            ("setting", "a photo of a {} in a city"),
            ("setting", "a photo of a {} in a desert"),
            ("setting", "a photo of a {} in a field"),
            ("setting", "a photo of a {} in a kitchen"),
            ("setting", "a photo of a {} in a bedroom"),
            ("style", "an oil painting of a {}"),
            ("style", "a painting of a {} in a forest"),
            ("neighbour", "Elmo holding a {}"),
        )
    ),
    "dreambooth-object": _number(
        (
            *_DREAMBOOTH_SETTINGS,
            ("setting", "a {} with a wheat field in the background"),
            ("setting", "a {} with a tree and autumn leaves in the background"),
            ("setting", "a {} with the Eiffel Tower in the background"),
            ("setting", "a {} floating on top of water"),
            ("setting", "a {} floating in an ocean of milk"),
            ("setting", "a {} on top of green grass with sunflowers around it"),
            ("setting", "a {} on top of a mirror"),
            ("setting", "a {} on top of the sidewalk in a crowded street"),
            ("setting", "a {} on top of a dirt road"),
            ("setting", "a {} on top of a white rug"),
            *_DREAMBOOTH_PROPERTIES,
        )
    ),
    "dreambooth-live": _number(
        (
            *_DREAMBOOTH_SETTINGS,
            ("accessory", "a {} wearing a red hat"),
            ("accessory", "a {} wearing a santa hat"),
            ("accessory", "a {} wearing a rainbow scarf"),
            ("accessory", "a {} wearing a black top hat and a monocle"),
            ("accessory", "a {} in a chef outfit"),
            ("accessory", "a {} in a firefighter outfit"),
            ("accessory", "a {} in a police outfit"),
            ("accessory", "a {} wearing pink glasses"),
            ("accessory", "a {} wearing a yellow shirt"),
            ("accessory", "a {} in a purple wizard outfit"),
            *_DREAMBOOTH_PROPERTIES,
        )
    ),
}


World = Literal["toybox", "photos"]
"""What a model knows: the toybox's few words, or those of models of photos."""

VALIDATION: Mapping[World, tuple[Prompt, ...]] = {
    # No prompt of these is in a suite above, nor is any of its settings, colours or styles.
    "toybox": _number(
        (
            ("basic", "a {}"),
            ("setting", "a photo of a {} on the moon"),
            ("accessory", "a photo of a {} wearing a yellow hat"),
            ("style", "a pixel art picture of a {}"),
        )
    ),
    "photos": _number(
        (
            ("basic", "a picture of a {}"),
            ("setting", "a photo of a {} in a library"),
            ("property", "a photo of a golden {}"),
            ("style", "a charcoal drawing of a {}"),
        )
    ),
}


_OTHER_NOUNS: Mapping[World, tuple[str, ...]] = {
    "toybox": ("robot", "teapot", "boat", "tree"),
    "photos": ("chair", "bicycle", "tree", "sandwich"),
}
OTHERS = 3
"""Other nouns than the class's that a study draws."""


def load_suite(name: str, class_noun: str = "") -> tuple[Prompt, ...]:
    """The prompts of a suite. Raises UserError for an unknown name.

    "dreambooth" stands for the half of DreamBooth's prompts that suits the class noun.
    """
    if name == "dreambooth":
        name = "dreambooth-live" if class_noun.lower() in LIVE_NOUNS else "dreambooth-object"
    if name not in SUITES:
        known = ", ".join([*SUITES, "dreambooth"])
        raise UserError(f"There is no prompt suite {name!r}: choose one of {known}.")
    return SUITES[name]


def validation_suite(world: World, final: Sequence[Prompt]) -> tuple[Prompt, ...]:
    """The validation prompts without those that `final` holds, whatever their case and blanks."""
    taken = {_plain(prompt.template) for prompt in final}
    return tuple(p for p in VALIDATION[world] if _plain(p.template) not in taken)


def subject_free_suite(world: World, class_noun: str) -> tuple[DriftPrompt, ...]:
    """The class noun alone, and other things, none of which bears a word of the class."""
    template, noun = "a photo of a {}", class_noun.lower()
    others = [other for other in _OTHER_NOUNS[world] if not any(w in noun for w in other.split())]
    texts = [fill(template, other) for other in others[:OTHERS]]
    return (
        DriftPrompt("class-00", template, "class", fill(template, class_noun)),
        *(DriftPrompt(f"other-{i:02d}", text, "other", text) for i, text in enumerate(texts)),
    )


def _plain(template: str) -> str:
    return " ".join(template.lower().split())


def custom_suite(templates: Sequence[str]) -> tuple[Prompt, ...]:
    """A suite of the user's own templates, numbered in their order.

    A kind may stand before it: "style: a sketch of a {}". Without one "a photo of a {}" is basic,
    and every other one counts as a setting. Raises UserError for no template, an invalid one, or
    one that is given twice.
    """
    if not templates:
        raise UserError("No prompts were given: name at least one, such as 'a photo of a {}'.")
    suite = [_with_kind(" ".join(template.split())) for template in templates]
    plain = [template for _, template in suite]
    for index, template in enumerate(plain):
        validate_template(template)
        if template in plain[:index]:
            raise UserError(f"The prompt {template!r} is given twice: remove one.")
    return _number(suite)


def _with_kind(text: str) -> tuple[Kind, str]:
    for kind in get_args(Kind):
        if text.startswith(f"{kind}: "):
            return kind, text.removeprefix(f"{kind}: ")
    return ("basic" if text.lower() in BASIC_TEMPLATES else "setting"), text


def validate_template(text: str) -> None:
    """Raises UserError unless `text` holds `{}` exactly once and no other brace."""
    shown = " ".join(text.split())
    if re.search(r"[{}]", text.replace("{}", "")):
        raise UserError(f"The prompt {shown!r} holds a brace that is no {{}}: write only {{}}.")
    if text.count("{}") != 1:
        number = text.count("{}") or "no"
        raise UserError(
            f"The prompt {shown!r} holds {number} {{}}: write it once, where the concept's name "
            "belongs, such as 'a photo of a {} in the snow'."
        )


def fill(template: str, noun_phrase: str) -> str:
    """The prompt for one method: `noun_phrase` ("sks mug", without article) in the place of `{}`.

    The template must be valid (`validate_template`). An empty phrase is refused, because it would
    make every method's prompt another one than was asked for.
    """
    if not noun_phrase.strip():
        raise ValueError("the noun phrase is empty")
    return template.replace("{}", noun_phrase)
