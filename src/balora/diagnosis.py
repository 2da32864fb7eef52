"""Check the installation and the hardware for `balora doctor`: returns findings, prints and raises nothing."""

import importlib
import os
import platform
import shutil
import sys
import threading
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal, NamedTuple
from urllib.request import Request, urlopen

from balora.errors import printable, shortened

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
"""Required packages, with the versions that the tests run with (constraints.txt)."""

MODULES = {"scikit-learn": "sklearn", "rouge-score": "rouge_score", "lm-eval": "lm_eval"}

OPTIONAL = {
    "trl": "BALoraSFTTrainer: pip install 'balora[trl]'",
    "openai": "a judge for MT-Bench: pip install 'balora[judge]'",
    "sacrebleu": "the score chrF of own tasks: pip install 'balora[text-scores]'",
    "rouge-score": "the score ROUGE-L of own tasks: pip install 'balora[text-scores]'",
    "lm-eval": "balora evaluate --harness lm-eval: pip install 'balora[lm-eval]'",
    "ray": "balora study run --executor ray: pip install 'balora[ray]'",
    "bitsandbytes": "model.quantization and eight-bit optimizers: pip install 'balora[quantized]'",
}
"""Packages that some of the code uses and most of it does not need."""
HUB = "https://huggingface.co"
ANSWERS_WITHIN = 3.0
"""Seconds in which the Hub has to answer."""

PYTHON = (3, 11)


class Check(NamedTuple):
    """One finding: what was checked, whether it is fine, and a text."""

    about: str
    status: Literal["ok", "note", "broken"]
    text: str


def examine(folder: Path = Path()) -> list[Check]:
    """Return all findings; ``folder`` is where output would go."""
    required = (_package(package, tested) for package, tested in TESTED.items())
    return [_python(), *required, *_optional(), *_hardware(folder), *_placement()]


def healthy(checks: list[Check]) -> bool:
    """Whether no check found anything broken."""
    return all(check.status != "broken" for check in checks)


def _python() -> Check:
    needed = ".".join(map(str, PYTHON))
    fine = sys.version_info >= PYTHON
    text = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    return Check("python", "ok" if fine else "broken", text if fine else f"{text}; needs {needed} or later")


def _package(package: str, tested: str) -> Check:
    installed = _version(package)
    if installed is None:
        return Check(package, "broken", f"not installed; tested with {tested}: pip install '{package}=={tested}'")
    fault = _import_fault(MODULES.get(package, package))
    if fault:
        return Check(package, "broken", f"{installed} is installed but does not import ({fault}); tested with {tested}")
    if _minor(installed) == _minor(tested):
        return Check(package, "ok", installed)
    if package == "peft":  # the adapters use private parts of peft
        return Check(
            package,
            "broken",
            f"{installed}, but balora's adapters work with {tested} only: pip install 'peft=={tested}'",
        )
    return Check(package, "note", f"{installed}, tested with {tested}")


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _minor(text: str) -> list[str]:
    return text.split("+")[0].split(".")[:2]


def _import_fault(module: str) -> str | None:
    """Return why ``module`` does not import, or None; a broken package may raise any exception."""
    try:
        importlib.import_module(module)
    except Exception as error:
        return " ".join(f"{type(error).__name__}: {error}".split())[:200]
    return None


def _optional() -> Iterator[Check]:
    for package, purpose in OPTIONAL.items():
        installed = _version(package)
        fault = _import_fault(MODULES.get(package, package)) if installed else None
        if installed is None:
            yield Check(package, "note", f"not installed (optional: {purpose})")
        elif fault:
            yield Check(package, "note", f"{installed} is installed but does not import ({fault}); optional: {purpose}")
        else:
            yield Check(package, "ok", installed)


def _hardware(folder: Path) -> Iterator[Check]:
    yield Check("cores", "ok", f"{_cores()} usable of {os.cpu_count()}")
    memory = _memory_gib()
    yield Check("memory", "ok" if memory else "note", f"{memory:.1f} GiB" if memory else "size unknown on this system")
    gpus = _gpus()
    yield Check("gpus", "ok" if gpus else "note", "; ".join(gpus) or "torch finds none")
    try:
        free = shutil.disk_usage(folder).free / 2**30
        yield Check("disk", "ok" if free >= 1 else "note", f"{free:.1f} GiB free in {folder.absolute()}")
    except OSError as error:  # also where the present folder was removed
        yield Check("disk", "note", f"{folder}: {error.strerror}")


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def _memory_gib() -> float | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    except (ValueError, OSError, AttributeError):
        return None


def memory_of_a_run() -> int | None:
    """Return the bytes that a run may take: the first GPU's, else this machine's; None if that is unknown."""
    import torch

    if torch.cuda.is_available():
        return int(torch.cuda.get_device_properties(0).total_memory)
    memory = _memory_gib()
    return None if memory is None else int(memory * 2**30)


def _gpus() -> list[str]:
    try:
        import torch

        return [
            f"{properties.name} ({properties.total_memory / 2**30:.0f} GiB)"
            for properties in map(torch.cuda.get_device_properties, range(torch.cuda.device_count()))
        ]
    except Exception:  # a torch that does not import has a finding of its own
        return []


def _placement() -> Iterator[Check]:
    try:
        import torch

        cuda = torch.cuda.is_available()
        first = f"the first of {torch.cuda.device_count()} GPUs"
        device = first if cuda else f"the CPU with {torch.get_num_threads()} threads"
        precision = "float32 or bfloat16" if not cuda or torch.cuda.is_bf16_supported() else "float32"
        yield Check("training", "ok", f"one run uses {device}, in {precision}")
    except Exception as error:
        yield Check("training", "broken", f"cannot run: torch is not usable ({type(error).__name__})")
    yield _sandbox()
    yield Check("studies", "ok", f"several runs at a time with --workers; use at most {_cores()} on this machine")
    yield _hub()


def _sandbox() -> Check:
    """Find out where programs that a model writes would run."""
    from balora.errors import ConfigError
    from balora.sandbox.availability import find_sandbox

    try:
        return Check("programs", "ok", f"HumanEval and MBPP run in {find_sandbox().description}")
    except ConfigError as error:
        return Check("programs", "note", printable(shortened(str(error))))


def _hub() -> Check:
    """Ask the Hub for an answer, unless the environment forbids it."""
    local = "models and data come from folders and the local cache only"
    for variable in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        if os.environ.get(variable, "").lower() in {"1", "true", "yes", "on"}:
            return Check("hub", "ok", f"offline ({variable}): {local}")
    endpoint = os.environ.get("HF_ENDPOINT") or HUB
    host = printable(shortened(endpoint.partition("://")[2].rpartition("@")[2] or endpoint))
    silence = _silence(endpoint)
    if silence:
        return Check("hub", "note", f"{host} does not answer ({silence}): {local}")
    return Check("hub", "ok", f"{host} answers: models and data can be downloaded by name")


def _silence(endpoint: str) -> str:
    """Return why ``endpoint`` gives no answer in time, or nothing; the name of its host may take longer than that."""
    found = [f"nothing within {ANSWERS_WITHIN:g} s"]

    def ask() -> None:
        try:
            if not endpoint.lower().startswith(("http://", "https://")):  # urllib would open file:// too
                raise ValueError("HF_ENDPOINT is no http(s) address")
            with urlopen(Request(endpoint, method="HEAD"), timeout=ANSWERS_WITHIN):
                found[0] = ""
        except Exception as error:  # whatever a network, a proxy or a certificate comes up with
            found[0] = printable(shortened(" ".join(f"{getattr(error, 'reason', None) or error}".split())))

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(ANSWERS_WITHIN)
    return found[0]
