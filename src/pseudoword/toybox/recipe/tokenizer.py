"""The toybox's CLIPTokenizer: every word of the world is one token, and rare words exist."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import CLIPTokenizer

MAX_LENGTH = 32
"""Tokens a prompt, start and end included: the longest caption has 21 words."""

RARE_WORDS = ("sks", "zwx", "ohwx", "phw", "qtr", "vgk", "bnl", "jyd")
"""Words of no caption: DreamBooth binds its concept to one of them."""


def build_tokenizer(words: Sequence[str]) -> "CLIPTokenizer":
    """A byte-level BPE tokenizer in which each of `words` and RARE_WORDS is one token.

    BPE trained on the bare word list ends with one token a word. Other words fall apart into
    pieces and letters, as in CLIP's own vocabulary; every byte has a token, so none is unknown.
    """
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    from transformers import CLIPTokenizer

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    ends = [letter + "</w>" for letter in letters]
    corpus = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    corpus.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=100_000,
        min_frequency=1,
        end_of_word_suffix="</w>",
        show_progress=False,
        initial_alphabet=letters,
        # Named beforehand, or they would be numbered in a hash table's order, which breaks ties of
        # frequency: the same words would have other numbers each time.
        special_tokens=ends,
    )
    every = [*dict.fromkeys(words), *RARE_WORDS]
    corpus.train_from_iterator([[word] for word in every], trainer)
    merges = [tuple(merge) for merge in _merges(corpus)]
    tokens = [*letters, *ends, *(a + b for a, b in merges)]
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    tokenizer = CLIPTokenizer(
        vocab={token: index for index, token in enumerate(dict.fromkeys(tokens))},
        merges=merges,
        model_max_length=MAX_LENGTH,
    )
    broken = [word for word in every if len(tokenizer.tokenize(word)) != 1]
    if broken:
        raise ValueError(f"not one token each: {broken}")
    return tokenizer


def _merges(tokenizer: object) -> list[list[str]]:
    import json

    merges: list[list[str]] = json.loads(tokenizer.to_str())["model"]["merges"]  # type: ignore[attr-defined]
    return merges
