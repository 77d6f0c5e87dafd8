"""The metrics of sets of pictures, and those that only toys of the toybox have."""

from dataclasses import replace

from pseudoword.metrics.metric import Metric

_BIASED = (
    "With few pictures this number is biased upwards. So it is taken of each training by itself "
    "and then averaged, which gives the untouched model and all methods equally many pictures; "
    "trust the KID beside it more."
)
_ROLE = (
    "What it sees is what the encoder in Inception's role sees, on photos DINOv2 unless another is "
    "named: not to be compared with published numbers of other encoders. "
)
_UNBIASED = "It is unbiased also for few pictures, and may therefore fall slightly below zero."
_FEW = (
    "upwards, the more so the fewer pictures: n is one training's for all arms; by how much "
    "differs between models"
)
_NONE = (
    "none for independent pictures; edit prompts are the same on both sides, which lowers the "
    "value, for all methods alike"
)


def _both(name: str, basic: Metric) -> dict[str, Metric]:
    """The same distance for the plain prompt (to the photos) and for all others."""
    explanation = basic.explanation
    edit = replace(
        basic,
        title=basic.title.format("edit prompts"),
        about="distance to true pictures of the prompts",
        explanation="How far the pictures of all other prompts, taken together, are from what the "
        "prompts ask for: true pictures where they are known, otherwise the untouched model's "
        "pictures of the class. " + explanation,
    )
    basic = replace(
        basic,
        title=basic.title.format("plain prompt"),
        explanation="How far the pictures of the plain prompt, taken together, are from the "
        "photos. " + explanation,
    )
    return {f"{name}_basic": basic, f"{name}_edit": edit}


_FID = Metric(
    title="FID, {}",
    about="distance to the photos",
    higher_is_better=False,
    unit="squared distance",
    smallest_n=2,
    explanation=_ROLE + _BIASED,
    formula="distance of means squared + tr(S1 + S2 - 2 (S1 S2)^1/2), the trace of the root as the "
    "nuclear norm of A B', which is exact for any n; of the pictures of one training, mean over "
    "trainings; n and the covariance's rank stand beside it",
    bias=_FEW,
    encoder="inception",
    source="Heusel et al., arXiv 1706.08500, section 2",
)
_KID = Metric(
    title="KID, {}",
    about="distance to the photos",
    higher_is_better=False,
    unit="squared MMD",
    smallest_n=2,
    explanation=_ROLE + _UNBIASED,
    formula="mean k within each set, no picture with itself, - 2 mean k between the sets; "
    "k = (x.y / d + 1)^3; over all pairs, not random subsets",
    bias=_NONE,
    encoder="inception",
    source="Bińkowski et al., arXiv 1801.01401, section 4",
)
_FD_DINO = replace(
    _FID,
    title="FD in DINO's features, {}",
    explanation="The FID's formula with what DINO sees. Where the encoder in Inception's role is "
    "the same, this stands alone: the FID would be equal. " + _BIASED.replace("KID", "SCD"),
    formula="that of FID, of one training at a time too",
    encoder="dino",
    source="Stein et al., arXiv 2306.04675 (FD-DINOv2)",
)
_SCD = replace(
    _KID,
    title="SCD, {}",
    unit="squared distance",
    explanation="The squared distance of the mean embeddings, as DINO sees them, less what the "
    "variety within the sets adds to it. " + _UNBIASED,
    formula="KID's form with k = cos(x, y): the distance of means squared, less Var1 / (n - 1) and "
    "Var2 / (m - 1)",
    encoder="dino",
    source="LyCORIS, arXiv 2309.14859, equation 23",
)
_CMMD = replace(
    _KID,
    title="CMMD, {}",
    unit="squared MMD x 1000",
    explanation="The same as CLIP sees it. " + _UNBIASED,
    formula="1000 times KID's form with k = exp(-distance^2 / (2 10^2)) on vectors of length 1",
    encoder="clip",
    source="Jayasumana et al., arXiv 2401.09603, section 4",
)

SETS: dict[str, Metric] = {
    **_both("fid", _FID),
    **_both("kid", _KID),
    **_both("fd_dino", _FD_DINO),
    **_both("scd", _SCD),
    **_both("cmmd", _CMMD),
    "vendi": Metric(
        title="Vendi score",
        about="diversity, all prompts",
        higher_is_better=True,
        unit="pictures",
        smallest_n=2,
        explanation="How many different pictures a training's pictures amount to, over all "
        "prompts, as DINO sees them: 1 means that they are all the same. It cannot exceed the "
        "number of pictures of one training, which is the same for all methods of a study.",
        formula="exp(-sum l log l) over the eigenvalues l of K / n, K the cosines of all pictures "
        "of one training; mean over trainings",
        bias="grows with n, which is at its most the score: compare at equal n",
        encoder="dino",
        source="Friedman & Dieng, arXiv 2210.02410, definition 3.1",
    ),
}

_ORACLE = Metric(
    title="",
    about="truth, known for toys only",
    higher_is_better=True,
    unit="share",
    smallest_n=1,
    explanation="",
    formula="",
    bias="the oracle errs itself: docs/toybox.md says how often",
    encoder="oracle",
    source="docs/toybox.md, The truth",
)

TRUTH: dict[str, Metric] = {
    "right_toy": replace(
        _ORACLE,
        title="Right toy",
        explanation="The share of pictures in which the oracle picks this very toy out of a "
        "line-up of 100 near doubles, which differ from it in pattern, proportions or a colour. "
        "Guessing would give 1 %. Known for toys of the toybox only.",
        formula="share of pictures that fit this toy best of its line-up",
    ),
    "right_scene": replace(
        _ORACLE,
        title="Right scene",
        explanation="The share of pictures in which the oracle reads the setting, style, hat and "
        "neighbour that the prompt asks for, and no hat or neighbour beside. Known for toys of the "
        "toybox only.",
        formula="share of pictures in which every word asked for is read",
    ),
    "right_both": replace(
        _ORACLE,
        title="Right toy in the right scene",
        explanation="The share of pictures that are right in both respects: what one wanted. Known "
        "for toys of the toybox only.",
        formula="share of pictures with the right toy and the right scene",
    ),
    "doubles_beaten": replace(
        _ORACLE,
        title="Near doubles beaten",
        explanation="The share of the line-up's near doubles that the oracle finds less fitting "
        "than this very toy: right toy by degrees. Guessing would give one half. Known for toys of "
        "the toybox only.",
        formula="share of the line-up's other toys that fit the picture less than this one",
    ),
    "truth_likeness": replace(
        _ORACLE,
        title="Likeness to the truth",
        unit="cosine",
        explanation="The likeness of each picture to true renders of exactly this toy in just what "
        "its prompt asks for, as the oracle sees them: 1 is the same, 0 unrelated. Known for toys "
        "of the toybox only.",
        formula="mean of cos(picture, true render of its prompt)",
    ),
    "kid_truth": replace(
        _KID,
        title="KID to the truth",
        about="truth, known for toys only",
        explanation="How far all pictures, taken together, are from true renders of what the "
        "prompts ask for, as the oracle sees them. Known for toys of the toybox only. " + _UNBIASED,
        encoder="oracle",
    ),
}
