"""Models and runs that tests share: built once a session, never changed by a test."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from synthetic_study import TOYBOX_PROMPTS, build_study
from tiny import train_tiny
from tiny_families import build_sd1, build_sd2, build_sd3, build_xl

pytest.register_assert_rewrite("contract", "report_pages")

LONGEST = (
    "test_export.py",
    "test_study.py",
    "test_toybox_model.py",
    "test_toystudy.py",
    "test_failures.py",
    "test_kill.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The modules that take longest come first, so that no process waits for one at the end."""

    def place(item: pytest.Item) -> int:
        name = item.path.name
        return LONGEST.index(name) if name in LONGEST else len(LONGEST)

    items.sort(key=place)


if TYPE_CHECKING:
    from pseudoword.families.model import Model


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A diffusers folder: a random Stable Diffusion with v-prediction, 16 px."""
    return build_sd1(tmp_path_factory.mktemp("models") / "tiny", "v_prediction")


@pytest.fixture(scope="session")
def tiny_epsilon_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with epsilon-prediction."""
    return build_sd1(tmp_path_factory.mktemp("models") / "tiny-epsilon", "epsilon")


@pytest.fixture(scope="session")
def tiny_sd2_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stable Diffusion 2.x: v-prediction."""
    return build_sd2(tmp_path_factory.mktemp("models") / "tiny-sd2")


@pytest.fixture(scope="session")
def tiny_xl_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stable Diffusion XL: two text encoders."""
    return build_xl(tmp_path_factory.mktemp("models") / "tiny-xl")


@pytest.fixture(scope="session")
def tiny_sd3_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stable Diffusion 3 without T5."""
    return build_sd3(tmp_path_factory.mktemp("models") / "tiny-sd3", t5=False, dual=False)


@pytest.fixture(scope="session")
def tiny_sd35_t5_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stable Diffusion 3.5 (dual attention, normed queries and keys) with T5."""
    return build_sd3(tmp_path_factory.mktemp("models") / "tiny-sd35-t5", t5=True, dual=True)


@pytest.fixture(scope="session")
def tiny_trained(
    tiny_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., tuple["Model", Path]]:
    """`tiny_trained(method, **settings)`: `tiny_model` as a short run left it, and its folder."""
    runs: dict[str, tuple[Model, Path]] = {}

    def run(name: str, **settings: Any) -> tuple["Model", Path]:
        key = f"{name}-{sorted(settings.items())}"
        if key not in runs:
            folder = tmp_path_factory.mktemp("runs") / name
            runs[key] = (train_tiny(tiny_model, name, folder, **settings), folder)
        return runs[key]

    return run


@pytest.fixture(scope="session")
def tiny_run(tiny_trained: Callable[..., tuple["Model", Path]]) -> Callable[..., Path]:
    """`tiny_run(method, **settings)`: the folder of a short run of `tiny_model`, trained once."""
    return lambda name, **settings: tiny_trained(name, **settings)[1]


@pytest.fixture(scope="session")
def reported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A made-up study of three methods with its report.html, which no test changes."""
    from pseudoword.report.write import write_report

    folder = build_study(tmp_path_factory.mktemp("reported"), size=32)
    write_report(folder)
    return folder


@pytest.fixture()
def small_study(tmp_path: Path) -> Path:
    """A made-up study of two methods, two prompts and two trainings, for a test to change."""
    methods, prompts = ["lora", "dreambooth"], TOYBOX_PROMPTS[:2]
    return build_study(tmp_path / "study", methods, prompts, [0, 1], [0], size=32)


@pytest.fixture
def family_folder(family: str, request: pytest.FixtureRequest) -> Path:
    """The folder of the model whose fixture is called `family`; the toybox has none."""
    folder: Path = Path(family) if family == "toybox" else request.getfixturevalue(family)
    return folder
