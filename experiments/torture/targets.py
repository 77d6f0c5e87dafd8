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

TARGETS = (
    Target("pictures", make_pictures, PICTURES, read_pictures),
    Target("captions", make_captions, CAPTIONS, read_captions),
    Target("concepts", make_concepts, ("concepts.yaml", "a-1/toy.json"), read_concepts),
    Target("configs", make_configs, ("study.yaml", "study.yaml", "train.yaml"), read_configs),
    Target("foreign", make_foreign, FOREIGN, read_foreign),
    Target("single", make_single, SINGLE, read_single),
    Target("run", make_run, RUN, read_run),
    Target("study", make_study, STUDY, read_study),
    Target("summary", make_summary, SUMMARY, read_summary),
    Target("large", make_large, (), read_large),
    Target("cache", make_cache, cache_files(), read_cache),
)
WHOLE = {"foreign": STRANGE, "large": LARGE}
"""Files that are spoilt as they were made, by target."""
