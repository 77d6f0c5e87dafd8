"""What is measured: one row a metric, with words for people. Importing this is cheap."""

from dataclasses import dataclass
from typing import Literal

Role = Literal["clip", "dino", "inception"]


@dataclass(frozen=True)
class Metric:
    """One metric: its names, its direction, the role of the encoder behind it and its source.

    The oracle is no encoder of a user's choice: it judges toys of the toybox, and nothing else.
    """

    title: str
    about: str
    higher_is_better: bool
    explanation: str
    encoder: Role | Literal["oracle"]
    source: str


_BIAS = (
    "With few pictures this number is biased upwards, so compare it only between sets of the same "
    "size and trust the KID beside it more."
)
_UNBIASED = "It is unbiased also for few pictures, and may therefore fall slightly below zero."

METRICS: dict[str, Metric] = {
    "dino": Metric(
        title="DINO",
        about="subject fidelity",
        higher_is_better=True,
        explanation="How much each picture looks like the subject in a photo that training never "
        "saw (or in all photos where none was held out): 1 is the same, 0 unrelated. DINO attends "
        "to what tells one thing from another of its class.",
        encoder="dino",
        source="DreamBooth, arXiv 2208.12242, section 4.1",
    ),
    "dino_train": Metric(
        title="DINO to training photos",
        about="subject fidelity, training photos",
        higher_is_better=True,
        explanation="The same likeness, but to the photos that the method was trained on. Far "
        "more than the likeness to the held-out photo means that it has learnt the photos by "
        "heart.",
        encoder="dino",
        source="DreamBooth, arXiv 2208.12242, section 4.1",
    ),
    "clip_i": Metric(
        title="CLIP-I",
        about="subject fidelity",
        higher_is_better=True,
        explanation="Likeness to the held-out photo (or to all photos) as CLIP sees it. CLIP "
        "weighs the background and the kind of thing more, so it agrees with people less than "
        "DINO does.",
        encoder="clip",
        source="DreamBooth, arXiv 2208.12242, section 4.1",
    ),
    "clip_i_train": Metric(
        title="CLIP-I to training photos",
        about="subject fidelity, training photos",
        higher_is_better=True,
        explanation="Likeness to the training photos as CLIP sees it.",
        encoder="clip",
        source="DreamBooth, arXiv 2208.12242, section 4.1",
    ),
    "clip_t": Metric(
        title="CLIP-T",
        about="prompt fidelity",
        higher_is_better=True,
        explanation="How well each picture fits its prompt, with the plain class noun in place of "
        "the learnt word. The untouched model usually scores highest: it has nothing else to heed.",
        encoder="clip",
        source="CLIPScore, arXiv 2104.08718; the bare cosine, neither scaled nor clipped",
    ),
    "fid_basic": Metric(
        title="FID, plain prompt",
        about="distance to the photos",
        higher_is_better=False,
        explanation="How far the pictures of the plain prompt, taken together, are from the "
        "photos. " + _BIAS,
        encoder="inception",
        source="Heusel et al., arXiv 1706.08500",
    ),
    "kid_basic": Metric(
        title="KID, plain prompt",
        about="distance to the photos",
        higher_is_better=False,
        explanation="How far the pictures of the plain prompt, taken together, are from the "
        "photos. " + _UNBIASED,
        encoder="inception",
        source="Bińkowski et al., arXiv 1801.01401, section 4",
    ),
    "fid_edit": Metric(
        title="FID, edit prompts",
        about="distance to true pictures of the prompts",
        higher_is_better=False,
        explanation="How far the pictures of all other prompts, taken together, are from what the "
        "prompts ask for: true pictures where they are known, otherwise the untouched model's "
        "pictures of the class. " + _BIAS,
        encoder="inception",
        source="Heusel et al., arXiv 1706.08500",
    ),
    "kid_edit": Metric(
        title="KID, edit prompts",
        about="distance to true pictures of the prompts",
        higher_is_better=False,
        explanation="How far the pictures of all other prompts, taken together, are from what the "
        "prompts ask for: true pictures where they are known, otherwise the untouched model's "
        "pictures of the class. " + _UNBIASED,
        encoder="inception",
        source="Bińkowski et al., arXiv 1801.01401, section 4",
    ),
    "right_toy": Metric(
        title="Right toy",
        about="truth, known for toys only",
        higher_is_better=True,
        explanation="The share of pictures in which the oracle picks this very toy out of a "
        "line-up of 100 near doubles, which differ from it in pattern, proportions or a colour. "
        "Guessing would give 1 %. Known for toys of the toybox only.",
        encoder="oracle",
        source="docs/toybox.md, The truth",
    ),
    "right_scene": Metric(
        title="Right scene",
        about="truth, known for toys only",
        higher_is_better=True,
        explanation="The share of pictures in which the oracle reads the setting, style, hat and "
        "neighbour that the prompt asks for, and no hat or neighbour beside. Known for toys of the "
        "toybox only.",
        encoder="oracle",
        source="docs/toybox.md, The truth",
    ),
    "right_both": Metric(
        title="Right toy in the right scene",
        about="truth, known for toys only",
        higher_is_better=True,
        explanation="The share of pictures that are right in both respects: what one wanted. Known "
        "for toys of the toybox only.",
        encoder="oracle",
        source="docs/toybox.md, The truth",
    ),
    "doubles_beaten": Metric(
        title="Near doubles beaten",
        about="truth, known for toys only",
        higher_is_better=True,
        explanation="The share of the line-up's near doubles that the oracle finds less fitting "
        "than this very toy: right toy by degrees. Guessing would give one half. Known for toys of "
        "the toybox only.",
        encoder="oracle",
        source="docs/toybox.md, The truth",
    ),
    "truth_likeness": Metric(
        title="Likeness to the truth",
        about="truth, known for toys only",
        higher_is_better=True,
        explanation="The likeness of each picture to true renders of exactly this toy in just what "
        "its prompt asks for, as the oracle sees them: 1 is the same, 0 unrelated. Known for toys "
        "of the toybox only.",
        encoder="oracle",
        source="docs/toybox.md, The truth",
    ),
    "kid_truth": Metric(
        title="KID to the truth",
        about="truth, known for toys only",
        higher_is_better=False,
        explanation="How far all pictures, taken together, are from true renders of what the "
        "prompts ask for, as the oracle sees them. Known for toys of the toybox only. " + _UNBIASED,
        encoder="oracle",
        source="Bińkowski et al., arXiv 1801.01401, section 4",
    ),
}
