"""New words: in every encoder, whatever its tokenizer."""

from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import NOUN, WORDS, load_tiny
from torch import nn

from pseudoword.errors import UserError
from pseudoword.families.model import Model
from pseudoword.methods import make_method
from pseudoword.methods.base import token_count
from pseudoword.methods.templates import TEMPLATES
from pseudoword.methods.words import NewWords, WithNewRows, WordSettings


def test_inversion_starts_from_the_mean_of_the_nouns_tokens(tiny_model: Path) -> None:
    model = load_tiny(tiny_model)
    noun = "zebra mug"
    count = token_count(model, noun)
    assert count > 2
    method = make_method("textual-inversion", "toybox", {"vectors": 3})
    assert str(count) in method.notes(model, noun)[0]
    assert method.notes(model, "mug") == []
    ids = model.tokenizers[0](noun, add_special_tokens=False).input_ids
    table = model.text_encoders[0].get_input_embeddings().weight.clone()
    ((rows,),) = (group.parameters for group in method.attach(model, noun, 0))
    assert rows.shape == (3, table.shape[1])
    torch.testing.assert_close(rows[0].detach(), table[ids].mean(dim=0))
    assert not torch.equal(rows[1], rows[0]) and not torch.equal(rows[1], rows[2])


def test_inversion_starts_from_initial_words_where_given(tiny_model: Path) -> None:
    model = load_tiny(tiny_model)
    table = model.text_encoders[0].get_input_embeddings().weight.clone()
    (ball,) = model.tokenizers[0]("ball", add_special_tokens=False).input_ids
    method = make_method("textual-inversion", "toybox", {"initial_words": "ball"})
    ((rows,),) = (group.parameters for group in method.attach(model, NOUN, 0))
    assert torch.equal(rows[0], table[ball])


def test_new_words_are_one_token_each_and_old_prompts_stay_the_same(tiny_model: Path) -> None:
    model, untouched = load_tiny(tiny_model), load_tiny(tiny_model)
    method = make_method("textual-inversion", "toybox", {"vectors": 3})
    phrase = method.noun_phrase(NOUN)
    assert phrase == "<concept> <concept>_1 <concept>_2"
    method.attach(model, NOUN, 0)
    ids = model.tokenizers[0](f"a photo of a {phrase}", add_special_tokens=False).input_ids
    assert ids[-3:] == [len(untouched.tokenizers[0]) + i for i in range(3)]
    prompts = ["a photo of a mug", ""]
    with torch.no_grad():
        assert torch.equal(
            model.encode_prompts(prompts).states, untouched.encode_prompts(prompts).states
        )


def test_gradient_reaches_every_vector_of_the_prompt(tiny_model: Path) -> None:
    model = load_tiny(tiny_model)
    method = make_method("textual-inversion", "toybox", {"vectors": 2})
    ((rows,),) = (group.parameters for group in method.attach(model, NOUN, 0))
    model.encode_prompts(["a photo of a <concept>"]).states.square().sum().backward()
    assert rows.grad is not None and rows.grad[0].abs().max() > 0
    assert rows.grad[1].abs().max() == 0


def test_a_table_with_spare_rows_is_extended_at_the_tokenizers_end(tiny_model: Path) -> None:
    model = load_tiny(tiny_model)
    encoder = model.text_encoders[0]
    encoder.resize_token_embeddings(len(model.tokenizers[0]) + 5, mean_resizing=False)
    groups = make_method("textual-inversion", "toybox").attach(model, NOUN, 0)
    ((rows,),) = (group.parameters for group in groups)
    model.encode_prompts(["a photo of a <concept>"]).states.square().sum().backward()
    assert rows.grad is not None and rows.grad.abs().max() > 0


def test_a_placeholder_that_the_model_knows_is_refused(tiny_model: Path) -> None:
    model = load_tiny(tiny_model)
    model.tokenizers[0].add_tokens(["<concept>"])
    with pytest.raises(UserError, match="choose another"):
        make_method("textual-inversion", "toybox").attach(model, NOUN, 0)


# Several encoders


def clip(vocabulary: int, end: int, width: int = 8) -> Any:
    from transformers import CLIPTextConfig, CLIPTextModelWithProjection

    config = CLIPTextConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        projection_dim=width,
        max_position_embeddings=32,
        eos_token_id=end,
    )
    return CLIPTextModelWithProjection(config).requires_grad_(False).eval()


def t5(vocabulary: int) -> Any:
    from transformers import T5Config, T5EncoderModel

    config = T5Config(vocab_size=vocabulary, d_model=12, d_kv=4, d_ff=16, num_layers=1, num_heads=2)
    return T5EncoderModel(config).requires_grad_(False).eval()


def t5_tokenizer() -> Any:
    """A unigram tokenizer, as T5 has."""
    from transformers import T5Tokenizer

    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("\u2581", -5.0)]
    return T5Tokenizer(vocab=pieces + [(f"\u2581{word}", -1.0) for word in WORDS], extra_ids=0)


def build_three(folder: Path) -> Model:
    """The tiny model with the encoders of Stable Diffusion 3: two CLIPs and a T5."""
    model = load_tiny(folder)
    first, second = model.tokenizers[0], load_tiny(folder).tokenizers[0]
    second.add_tokens(["<other>"])
    third = t5_tokenizer()
    model.tokenizers = [first, second, third]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model.text_encoders = [
            clip(len(first), first.eos_token_id),
            clip(len(second), 2, width=16),
            t5(len(third) + 7),
        ]
    return model


@pytest.fixture
def three(tiny_model: Path) -> Model:
    return build_three(tiny_model)


def embed(model: Model, index: int, text: str) -> torch.Tensor:
    ids = model.tokenizers[index](text, return_tensors="pt").input_ids
    states: torch.Tensor = model.text_encoders[index](ids).last_hidden_state
    return states


def test_every_encoder_learns_its_own_rows(three: Model) -> None:
    words = NewWords(WordSettings(vectors=2))
    shapes = words.shapes(three)
    before = [embed(three, index, "a photo of a mug") for index in range(3)]
    rows = words.add(three, NOUN, 0)
    assert [tuple(row.shape) for row in rows] == [(2, 8), (2, 16), (2, 12)] == [*shapes.values()]
    for index, row in enumerate(rows):
        assert torch.equal(embed(three, index, "a photo of a mug"), before[index])
        states = embed(three, index, f"a photo of a {words.phrase}")
        # The norm of the last layer takes out the mean, and T5's a scale: weigh the states.
        (states * torch.arange(states.numel()).view_as(states)).sum().backward()
        assert row.grad is not None and (row.grad.abs().amax(1) > 0).all()
        learnable = [p for p in three.text_encoders[index].parameters() if p.requires_grad]
        assert len(learnable) == 1 and learnable[0] is row


def test_rows_of_three_encoders_load_again(three: Model, tiny_model: Path) -> None:
    method, again = (make_method("textual-inversion", "toybox", {"vectors": 2}) for _ in range(2))
    for row in method.attach(three, NOUN, 0)[0].parameters:
        row.data += 1.0
    loaded = build_three(tiny_model)
    again.load(loaded, NOUN, method.state(three))
    for index in range(3):
        text = f"a photo of a {method.noun_phrase(NOUN)}"
        assert torch.equal(embed(loaded, index, text), embed(three, index, text))
        assert not any(p.requires_grad for p in loaded.text_encoders[index].parameters())


def test_encoders_that_share_a_tokenizer_share_its_words(three: Model) -> None:
    shared = three.tokenizers[0]
    three.tokenizers = [shared, shared]
    three.text_encoders = [clip(len(shared), 2), clip(len(shared), 2, width=16)]
    before = len(shared)
    rows = NewWords(WordSettings(vectors=3)).add(three, NOUN, 0)
    assert len(rows) == 2 and len(shared) == before + 3


def test_pooled_states_stay_those_of_the_texts_end(three: Model) -> None:
    """An early CLIP takes the largest id for the end; a new word's id is larger."""
    encoder, tokenizer = three.text_encoders[1], three.tokenizers[1]
    ids = tokenizer("a photo of a mug", return_tensors="pt").input_ids
    before = encoder(ids).text_embeds
    NewWords(WordSettings()).add(three, NOUN, 0)
    assert torch.equal(encoder(ids).text_embeds, before)
    ids = tokenizer("a <concept> on a beach", return_tensors="pt").input_ids
    end = encoder(ids).last_hidden_state[:, -1]
    torch.testing.assert_close(encoder(ids).text_embeds, encoder.text_projection(end))


def test_new_rows_keep_the_tables_precision() -> None:
    extended = WithNewRows(nn.Embedding(4, 3).to(torch.bfloat16), torch.ones(1, 3), 4)
    found = extended(torch.tensor([[0, 4]]))
    assert found.dtype == torch.bfloat16 and extended.rows.dtype == torch.float32


@pytest.mark.parametrize("name", ["textual-inversion", "custom-diffusion", "pivotal-tuning"])
@pytest.mark.parametrize("templates", TEMPLATES)
def test_templates_are_those_of_the_setting(name: str, templates: str) -> None:
    method = make_method(name, "toybox", {"templates": templates})
    assert method.templates == TEMPLATES[templates]  # type: ignore[index]
    assert all(template.count("{}") == 1 for template in method.templates)
    assert len(set(method.templates)) == len(method.templates)
    assert make_method(name, "toybox").templates == ("a photo of a {}",)


# Pivotal tuning and Custom Diffusion


def test_the_word_learns_first_and_the_factors_after_it(tiny_model: Path) -> None:
    changes = {"word_share": 0.25, "plus_ratio": 8.0, "learning_rate": 1e-3}
    method = make_method("pivotal-tuning", "toybox", changes)
    word, first, second = method.attach(load_tiny(tiny_model), NOUN, 0)
    assert (word.start, word.end) == (0.0, 0.25)
    assert (first.start, first.end) == (second.start, second.end) == (0.25, 1.0)
    assert second.learning_rate == pytest.approx(8 * first.learning_rate)


class Joint(nn.Module):
    """Names of a diffusion transformer, where attn2 is attention of the picture alone."""

    def __init__(self) -> None:
        super().__init__()
        self.attn = nn.ModuleDict(
            {n: nn.Linear(4, 4) for n in ("to_k", "add_k_proj", "add_v_proj")}
        )
        self.attn2 = nn.ModuleDict({n: nn.Linear(4, 4) for n in ("to_k", "to_v")})


def test_custom_diffusion_trains_what_is_made_of_the_text(tiny_model: Path) -> None:
    model = load_tiny(tiny_model)
    model.denoiser = Joint().requires_grad_(False)
    make_method("custom-diffusion", "toybox").attach(model, NOUN, 0)
    learnt = {name for name, p in model.denoiser.named_parameters() if p.requires_grad}
    assert learnt == {
        f"attn.add_{what}_proj.{kind}" for what in "kv" for kind in ("weight", "bias")
    }
    model.denoiser = nn.Linear(2, 2)
    with pytest.raises(UserError, match="no attention to its text"):
        make_method("custom-diffusion", "toybox").attach(model, NOUN, 0)
