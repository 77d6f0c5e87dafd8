"""The metrics of single pictures, of pictures of one prompt, and of prompts without the concept."""

from pseudoword.metrics.metric import Metric

_DREAMBOOTH = "DreamBooth, arXiv 2208.12242, section 4.1"
_NO_BIAS = "none"
_PHOTOS = "none, given the photos; they are few, and other photos would give another scale"
_TRAIN = "too high as a measure of the subject, for these are the photos that were learnt"

PICTURES: dict[str, Metric] = {
    "dino": Metric(
        title="DINO",
        about="subject fidelity",
        higher_is_better=True,
        unit="cosine",
        smallest_n=1,
        explanation="How much each picture looks like the subject in a photo that training never "
        "saw (or in all photos where none was held out): 1 is the same, 0 unrelated. DINO attends "
        "to what tells one thing from another of its class.",
        formula="mean of cos(picture, photo) over the held-out photos",
        bias=_PHOTOS,
        encoder="dino",
        source=_DREAMBOOTH,
    ),
    "dino_train": Metric(
        title="DINO to training photos",
        about="subject fidelity, training photos",
        higher_is_better=True,
        unit="cosine",
        smallest_n=1,
        explanation="The same likeness, but to the photos that the method was trained on. Far "
        "more than the likeness to the held-out photo means that it has learnt the photos by "
        "heart.",
        formula="mean of cos(picture, photo) over the training photos",
        bias=_TRAIN,
        encoder="dino",
        source=_DREAMBOOTH,
    ),
    "clip_i": Metric(
        title="CLIP-I",
        about="subject fidelity",
        higher_is_better=True,
        unit="cosine",
        smallest_n=1,
        explanation="Likeness to the held-out photo (or to all photos) as CLIP sees it. CLIP "
        "weighs the background and the kind of thing more, so it agrees with people less than "
        "DINO does.",
        formula="mean of cos(picture, photo) over the held-out photos",
        bias=_PHOTOS,
        encoder="clip",
        source=_DREAMBOOTH,
    ),
    "clip_i_train": Metric(
        title="CLIP-I to training photos",
        about="subject fidelity, training photos",
        higher_is_better=True,
        unit="cosine",
        smallest_n=1,
        explanation="Likeness to the training photos as CLIP sees it.",
        formula="mean of cos(picture, photo) over the training photos",
        bias=_TRAIN,
        encoder="clip",
        source=_DREAMBOOTH,
    ),
    "clip_t": Metric(
        title="CLIP-T",
        about="prompt fidelity",
        higher_is_better=True,
        unit="cosine",
        smallest_n=1,
        explanation="How well each picture fits its prompt, with the plain class noun in place of "
        "the learnt word. The untouched model usually scores highest: it has nothing else to heed.",
        formula="cos(picture, prompt), neither scaled nor clipped",
        bias=_NO_BIAS,
        encoder="clip",
        source="CLIPScore, arXiv 2104.08718, section 3",
    ),
    "clip_dir": Metric(
        title="Directional CLIP",
        about="prompt fidelity, edit prompts",
        higher_is_better=True,
        unit="cosine",
        smallest_n=1,
        explanation="Does the picture change as its prompt does? It compares the step from the "
        "plain prompt's picture to this one with the step from the plain prompt to this prompt: 1 "
        "is the same direction, 0 unrelated. The plain picture is the same training's own, from "
        "the same noise, so that how the subject itself looks takes no part. Known for edit "
        "prompts only.",
        formula="cos(picture - plain picture, prompt - plain prompt), all of length 1 first; the "
        "plain picture is of the same training and image seed; 0 where both pictures are the same",
        bias=_NO_BIAS,
        encoder="clip",
        source="StyleGAN-NADA, arXiv 2108.00946, section 4.1 (directional loss)",
    ),
    "nearest": Metric(
        title="Nearest training photo",
        about="copying",
        higher_is_better=False,
        unit="cosine",
        smallest_n=1,
        explanation="How much each picture looks like the training photo that it resembles most. "
        "Up to the limit, which is how alike any two of those photos are, that is likeness; above "
        "it, it may be copying. Look at the pairs themselves.",
        formula="greatest cos(picture, photo) over the training photos",
        bias="grows with the number of photos: compare within one study",
        encoder="dino",
        source="after Somepalli et al., arXiv 2212.03860",
    ),
    "copied": Metric(
        title="Copied",
        about="copying",
        higher_is_better=False,
        unit="share",
        smallest_n=1,
        explanation="The share of pictures that are nearer to a training photo than any two "
        "different training photos are to each other. Photos that are nearly the same hide copies. "
        "Not known for a single training photo.",
        formula="share of pictures with nearest > limit; limit: greatest cos(photo, other photo) "
        "over the training photos",
        bias="too low where photos are nearly the same; noisy below about five photos",
        encoder="dino",
        source="the nearest photo as above; the limit is this project's",
    ),
}

WITHIN: dict[str, Metric] = {
    "diversity": Metric(
        title="Diversity",
        about="diversity, same prompt",
        higher_is_better=True,
        unit="1 - cosine",
        smallest_n=2,
        explanation="How different pictures of one prompt from one training are from each other, "
        "as DINO sees them: 0 means that they are all the same. No picture is compared with "
        "itself.",
        formula="mean of 1 - cos(picture, other picture) over all pairs of one training and prompt",
        bias=_NO_BIAS,
        encoder="dino",
        source="DreamBooth, arXiv 2208.12242, section 4.3 (DIV), with embeddings",
    ),
    "lpips": Metric(
        title="Perceptual diversity",
        about="diversity, same prompt",
        higher_is_better=True,
        unit="squared distance",
        smallest_n=2,
        explanation="How different pictures of one prompt from one training look, place by place: "
        "0 means that they are all the same. It is like LPIPS but is not LPIPS: the layers are "
        "those of the encoder in DINO's role, on a grid of 4 x 4 places, and there are no learnt "
        "weights, so the numbers cannot be compared with published LPIPS.",
        formula="mean of squared differences over pairs as above, over 16 places and 3 layers "
        "(after a third, two thirds and all of the depth, through the last norm), each patch's "
        "channels of length 1 before places are averaged to the grid; kept as float16",
        bias="none, but for float16's rounding (below 0.1 %)",
        encoder="dino",
        source="after LPIPS, arXiv 1801.03924, equation 1",
    ),
}

DRIFT: dict[str, Metric] = {
    "pres": Metric(
        title="Class noun's likeness (PRES)",
        about="prior leak",
        higher_is_better=False,
        unit="cosine",
        smallest_n=1,
        explanation="How much pictures of the bare class noun look like the subject: whether the "
        "learnt thing has taken over its whole class. Read it beside the untouched model's, which "
        "is what the class has in common with the subject anyway.",
        formula="mean of cos(picture of a class-noun prompt, photo) over all photos",
        bias=_PHOTOS,
        encoder="dino",
        source="DreamBooth, arXiv 2208.12242, section 4.3 (PRES)",
    ),
    "drift": Metric(
        title="Drift",
        about="prior leak",
        higher_is_better=False,
        unit="(1 - cosine) / 2",
        smallest_n=1,
        explanation="How far training moved pictures of prompts without the learnt word, the class "
        "noun's and all others, from the untouched model's pictures of the same prompt and noise: "
        "0 means that nothing has changed. Not known for the untouched model.",
        formula="mean of (1 - cos(untouched picture, tuned picture)) / 2 over same prompt and seed",
        bias=_NO_BIAS,
        encoder="dino",
        source="peft, method_comparison/image-gen",
    ),
}
