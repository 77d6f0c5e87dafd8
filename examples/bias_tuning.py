"""Bias tuning (BitFit, arXiv 2106.10199): only biases and the weights of norms learn."""

from typing import ClassVar

from pseudoword.methods.base import Group, Method, MethodSettings
from pseudoword.methods.weights import ChangedWeights


class BiasTuning(Method):
    """Every vector among the denoiser's weights learns; its matrices stay."""

    name = "bias-tuning"
    title = "Bias tuning"
    summary = "only the denoiser's biases and the weights of its norms learn"
    learns = frozenset({"weights"})
    has_strength = True
    Settings = MethodSettings
    presets: ClassVar = {"toybox": {"steps": 400, "learning_rate": 3e-3, "warmup_steps": 20}}
    trains_text = False

    def noun_phrase(self, class_noun):
        return f"sks {class_noun}"

    def attach(self, model, class_noun, seed):
        self.weights = self.small_weights(model)
        learnt = self.weights.unfreeze()
        return [Group(learnt, self.settings.learning_rate, weight_decay=0.0)]

    def state(self, model):
        return self.weights.state("full")

    def load(self, model, class_noun, tensors):
        self.weights = self.small_weights(model)
        self.weights.load(self, model, tensors)

    def set_strength(self, model, strength):
        self.weights.set_strength(strength)

    def small_weights(self, model):
        named = model.denoiser.named_parameters()
        return ChangedWeights({name: p for name, p in named if p.ndim == 1})
