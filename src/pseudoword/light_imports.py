"""Parts of other people's libraries that others import and most commands never use.

The way to a training's first step is import for the most part: for the sake of one model, diffusers
and transformers import all of their models, training over many machines, statistics, and torch's
compiler. A module of LATE is put in its place without its own code, which runs once it is asked for
a name that is not promised here. So all works as it does without this, and a library that changes
costs time at most (docs/decisions/start.md).
"""

import functools
import gc
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import FunctionType, ModuleType
from typing import Any

COMPILER = "torch._dynamo"
LATE: dict[str, tuple[str, ...]] = {
    "diffusers.hooks": (),
    "diffusers.models.autoencoders": (),
    "diffusers.models.transformers": (),
    "diffusers.models.unets": (),
    "peft": (),
    "peft.tuners": (),
    "peft.tuners.tuners_utils": ("BaseTunerLayer",),
    "scipy.integrate": (),
    "scipy.optimize": ("linear_sum_assignment",),
    "scipy.stats": (),
    COMPILER: ("allow_in_graph", "assume_constant_result", "disable", "graph_break"),
    "torch.distributed._composable.fsdp": ("fully_shard",),
    "torch.distributed._functional_collectives": ("wait_tensor",),
    "torch.distributed.checkpoint": (),
    "torch.distributed.checkpoint.hf_storage": (
        "HuggingFaceStorageReader",
        "HuggingFaceStorageWriter",
    ),
    "torch.distributed.fsdp": ("CPUOffloadPolicy", "MixedPrecisionPolicy"),
    "torch.distributed.tensor": ("DTensor", "Partial", "Replicate", "Shard", "distribute_tensor"),
    "torch.distributed.tensor._utils": ("compute_local_shape_and_global_offset",),
    "torch.distributed.tensor.placement_types": ("Shard", "_StridedShard"),
    "transformers.distributed.expert_parallel": ("apply_expert_parallelism",),
    "transformers.distributed.tensor_parallel": (
        "apply_tensor_parallelism",
        "gather_state_dict_for_save",
        "get_kv_heads_per_rank",
        "verify_tp_plan",
    ),
    "transformers.models": (),
}
"""Modules and, of each, the classes and functions that others only name when they are imported."""

ALONE = {
    "diffusers.hooks",
    "diffusers.models.autoencoders",
    "diffusers.models.transformers",
    "diffusers.models.unets",
    "torch._dynamo._trace_wrapped_higher_order_op",
    "transformers.models",
}
"""Packages whose modules need nothing of the package's own code, and single such modules."""

_waiting: dict[str, SourceFileLoader] = {}
"""The modules that are in their places without their code, and what runs it."""
_lock = threading.RLock()


def import_lightly() -> None:
    """From here on, in the whole process; modules that are there already stay as they are."""
    if Finder not in sys.meta_path:
        sys.meta_path.insert(0, Finder)


@contextmanager
def uncollected() -> Iterator[None]:
    """Keeps the garbage collector from libraries while they are imported within.

    It would look through their hundreds of thousands of objects again and again. The first of them
    it never looks at again; what comes later may come when a model has just become garbage.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            if not gc.get_freeze_count():
                gc.freeze()
            gc.enable()


def load(name: str) -> ModuleType:
    """A module with its own code run, after that of the package around it."""
    with _lock, uncollected():
        package, _, last = name.rpartition(".")
        if package in _waiting and package not in ALONE:
            load(package)
        if name in _waiting:
            loader, module = _waiting.pop(name), sys.modules[name]
            for promised in LATE[name]:
                delattr(module, promised)
            assert module.__spec__ is not None
            module.__spec__.loader = module.__loader__ = loader
            try:
                loader.exec_module(module)
            except BaseException:
                sys.modules.pop(name, None)
                raise
            if package:
                # transformers puts other objects in the places of its packages.
                setattr(sys.modules[package], last, sys.modules[name])
            if name == COMPILER:
                _compiler.tell(module)
        return import_module(name)


class Late(ModuleType):
    """A module whose code has not run."""

    def __getattr__(self, name: str) -> Any:
        # Whether it is a package is known before.
        if name == "__path__":
            raise AttributeError(name)
        module = load(self.__name__)
        if module is self:
            # While its code runs, too, which may ask for what is not there yet.
            return super().__getattribute__(name)
        return getattr(module, name)


class Promise:
    """A class or function of a late module, which it loads when it is called or asked for anything.

    Nothing is an instance of a class that has not been loaded.
    """

    def __init__(self, module: str, name: str) -> None:
        self.__module__ = module
        self.__name__ = name

    def _kept(self) -> Any:
        return getattr(load(self.__module__), self.__name__)

    def __call__(self, *given: Any, **named: Any) -> Any:
        return self._kept()(*given, **named)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._kept(), name)

    def __instancecheck__(self, instance: Any) -> bool:
        return self.__module__ not in _waiting and isinstance(instance, self._kept())

    def __subclasscheck__(self, subclass: type) -> bool:
        return self.__module__ not in _waiting and issubclass(subclass, self._kept())

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[type, ...]:
        return (self._kept(),)

    def __or__(self, other: Any) -> Any:
        return self._kept() | other

    def __ror__(self, other: Any) -> Any:
        return other | self._kept()


class Compiler:
    """What torch._dynamo is to those who mark and wrap functions for it, until it is there."""

    def __init__(self) -> None:
        self._marked: list[tuple[str, Any]] = []

    def allow_in_graph(self, function: Any) -> Any:
        self._marked.append(("allow_in_graph", function))
        return function

    def assume_constant_result(self, function: Any) -> Any:
        self._marked.append(("assume_constant_result", function))
        return function

    def disable(self, function: Any = None, recursive: bool = True, **how: Any) -> Any:
        if function is None:
            return functools.partial(self.disable, recursive=recursive, **how)
        if not isinstance(function, FunctionType):
            return load(COMPILER).disable(function, recursive, **how)
        kept: list[Any] = []

        @functools.wraps(function)
        def call(*given: Any, **named: Any) -> Any:
            if COMPILER in _waiting:
                return function(*given, **named)
            if not kept:
                kept.append(load(COMPILER).disable(function, recursive, **how))
            return kept[0](*given, **named)

        # By this the compiler knows what to leave alone.
        call._torchdynamo_disable = True  # type: ignore[attr-defined]
        return call

    def graph_break(self, *given: Any, **named: Any) -> None:
        if COMPILER not in _waiting:
            load(COMPILER).graph_break(*given, **named)

    def tell(self, module: ModuleType) -> None:
        """Marks what was marked, now that it is there."""
        while self._marked:
            mark, function = self._marked.pop(0)
            getattr(module, mark)(function)


_compiler = Compiler()


class Finder:
    """Finds the modules of LATE, and runs a package's code before modules that need it."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name in LATE:
            spec = PathFinder.find_spec(name, path, target)
            if spec is not None and type(spec.loader) is SourceFileLoader:
                spec.loader = LateLoader(spec.loader)  # type: ignore[assignment]
            return spec
        package = name.rpartition(".")[0]
        if package in _waiting and not {package, name} & ALONE:
            load(package)
            if name in sys.modules:
                module = sys.modules[name]
                # Python takes the spec of a module that has come to be there meanwhile.
                module.__spec__ = ModuleSpec(name, Loaded(module))  # type: ignore[arg-type]
                return module.__spec__
        return None


class LateLoader:
    """Puts a module in its place with promises for code."""

    def __init__(self, loader: SourceFileLoader) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> None:
        """Python's own kind."""

    def exec_module(self, module: ModuleType) -> None:
        name = module.__name__
        _waiting[name] = self._loader
        for promised in LATE[name]:
            own = getattr(_compiler, promised) if name == COMPILER else Promise(name, promised)
            setattr(module, promised, own)
        module.__class__ = Late


class Loaded:
    """For a module that its package has loaded meanwhile."""

    def __init__(self, module: ModuleType) -> None:
        self._module, self._spec = module, module.__spec__

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return self._module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self._spec
