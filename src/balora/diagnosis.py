"""What is installed, what hardware is seen, what will run where: facts first, nothing printed, nothing raised."""

import importlib
import os
import platform
import shutil
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal, NamedTuple

TESTED = {
    "torch": "2.13.0",
    "transformers": "5.23.0",
    "peft": "0.21.2",
    "accelerate": "1.15.0",
    "datasets": "5.2.0",
    "safetensors": "0.8.0",
    "pydantic": "2.14.3",
    "numpy": "2.4.6",
    "scipy": "1.17.1",
    "scikit-learn": "1.9.1",
}
"""The versions that the tests run with (constraints.txt); all are needed."""

MODULES = {"scikit-learn": "sklearn", "lm-eval": "lm_eval"}

OPTIONAL = {
    "trl": "BALoraSFTTrainer: pip install 'balora[trl]'",
    "lm-eval": "public NLG benchmarks",
    "ray": "studies across machines",
    "triton": "faster kernels on a GPU",
}

PYTHON = (3, 11)


class Check(NamedTuple):
    """One line of the doctor's report."""

    about: str
    status: Literal["ok", "note", "broken"]
    text: str


def examine(folder: Path = Path()) -> list[Check]:
    """Return everything worth knowing before a first run; ``folder`` is where output would go."""
    return [*_python(), *_needed(), *_optional(), *_hardware(folder), *_placement()]


def healthy(checks: list[Check]) -> bool:
    """Whether nothing that is needed is broken."""
    return all(check.status != "broken" for check in checks)


def _python() -> Iterator[Check]:
    needed = ".".join(map(str, PYTHON))
    fine = sys.version_info >= PYTHON
    text = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    yield Check("python", "ok" if fine else "broken", text if fine else f"{text}; needs {needed} or later")


def _needed() -> Iterator[Check]:
    for package, tested in TESTED.items():
        yield _package(package, tested)


def _package(package: str, tested: str) -> Check:
    found = _version(package)
    if found is None:
        return Check(package, "broken", f"not installed; tested with {tested}: pip install '{package}=={tested}'")
    fault = _import_fault(MODULES.get(package, package))
    if fault:
        return Check(package, "broken", f"{found} is installed but does not import ({fault}); tested with {tested}")
    if _minor(found) == _minor(tested):
        return Check(package, "ok", found)
    if package == "peft":  # the adapters build on parts of it that it calls private
        return Check(package, "broken", f"{found}, but adapters are tested with {tested} alone: install that minor")
    return Check(package, "note", f"{found}, tested with {tested}")


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _minor(text: str) -> list[str]:
    return text.split("+")[0].split(".")[:2]


def _import_fault(module: str) -> str | None:
    """Return why ``module`` does not import; a broken package may raise anything at all."""
    try:
        importlib.import_module(module)
    except Exception as error:
        return " ".join(f"{type(error).__name__}: {error}".split())[:200]
    return None


def _optional() -> Iterator[Check]:
    for package, purpose in OPTIONAL.items():
        found = _version(package)
        fault = _import_fault(MODULES.get(package, package)) if found else None
        if found is None:
            yield Check(package, "note", f"not installed (optional: {purpose})")
        elif fault:
            yield Check(package, "note", f"{found} is installed but does not import ({fault}); optional: {purpose}")
        else:
            yield Check(package, "ok", found)


def _hardware(folder: Path) -> Iterator[Check]:
    yield Check("cores", "ok", f"{_cores()} usable of {os.cpu_count()}")
    memory = _memory_gib()
    yield Check("memory", "ok" if memory else "note", f"{memory:.1f} GiB" if memory else "size unknown on this system")
    gpus = _gpus()
    yield Check("gpus", "ok" if gpus else "note", "; ".join(gpus) or "none seen by torch")
    try:
        free = shutil.disk_usage(folder).free / 2**30
        yield Check("disk", "ok" if free >= 1 else "note", f"{free:.1f} GiB free in {folder.absolute()}")
    except OSError as error:
        yield Check("disk", "note", f"{folder.absolute()}: {error.strerror}")


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def _memory_gib() -> float | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    except (ValueError, OSError, AttributeError):
        return None


def _gpus() -> list[str]:
    try:
        import torch

        return [
            f"{properties.name} ({properties.total_memory / 2**30:.0f} GiB)"
            for properties in map(torch.cuda.get_device_properties, range(torch.cuda.device_count()))
        ]
    except Exception:  # a torch that does not import is reported under its own name
        return []


def _placement() -> Iterator[Check]:
    try:
        import torch

        cuda = torch.cuda.is_available()
        where = (
            f"the first GPU of {torch.cuda.device_count()}" if cuda else f"the CPU, {torch.get_num_threads()} threads"
        )
        numbers = "float32 or bfloat16" if not cuda or torch.cuda.is_bf16_supported() else "float32"
        yield Check("training", "ok", f"one run uses {where}, in {numbers}")
    except Exception as error:
        yield Check("training", "broken", f"cannot run: torch is not usable ({type(error).__name__})")
    yield Check("studies", "ok", f"runs side by side with --workers, at most {_cores()} sensible here")
    offline = os.environ.get("HF_HUB_OFFLINE", "0").lower() in {"1", "true", "yes", "on"}
    text = (
        "models and data by name come from the Hub"
        if not offline
        else "models and data from folders and the cache only"
    )
    yield Check("hub", "ok", f"{'offline (HF_HUB_OFFLINE)' if offline else 'online'}: {text}")
