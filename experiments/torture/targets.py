"""What is spoilt: whole files that a user gives or a study keeps, and who reads them."""

from given_files import (
    CAPTIONS,
    PICTURES,
    make_captions,
    make_concepts,
    make_configs,
    make_pictures,
    read_captions,
    read_concepts,
    read_configs,
    read_pictures,
)
from kept_files import (
    RUN,
    STUDY,
    SUMMARY,
    cache_files,
    make_cache,
    make_run,
    make_study,
    make_summary,
    read_cache,
    read_run,
    read_study,
    read_summary,
)
from large_files import LARGE, make_large, read_large
from target import Target
from trained_files import (
    FOREIGN,
    SINGLE,
    STRANGE,
    make_foreign,
    make_single,
    read_foreign,
    read_single,
)

from pseudoword.settings import Settings, StudySettings, TrainSettings

KINDS: dict[str, type[Settings]] = {"study": StudySettings, "train": TrainSettings}
OPTIONS = {
    f"{name}.yaml": tuple(f"--{field.replace('_', '-')}" for field in kind.model_fields)
    + ("The prompt ", "--prompt", "--artefact", "settings of ")
    for name, kind in KINDS.items()
}
"""A setting that is of the right type and yet wrong goes by the name of its option or method."""
ADAPTERS = {name: (name.split("/")[0],) for name in FOREIGN if "/" in name}
"""A folder of peft is read as one: no file in it can be blamed for what does not fit the model."""

TARGETS = (
    Target("pictures", make_pictures, PICTURES, read_pictures),
    Target("captions", make_captions, CAPTIONS, read_captions),
    Target("concepts", make_concepts, ("concepts.yaml", "a-1/toy.json"), read_concepts),
    Target(
        "configs", make_configs, ("study.yaml", "study.yaml", "train.yaml"), read_configs, OPTIONS
    ),
    Target("foreign", make_foreign, FOREIGN, read_foreign, ADAPTERS),
    Target("single", make_single, SINGLE, read_single),
    Target("run", make_run, RUN, read_run),
    Target("study", make_study, STUDY, read_study),
    Target("summary", make_summary, SUMMARY, read_summary),
    Target("large", make_large, (), read_large),
    Target("cache", make_cache, cache_files(), read_cache),
)
WHOLE = {"foreign": STRANGE, "large": LARGE}
"""Files that are spoilt as they were made, by target."""
