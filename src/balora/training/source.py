"""Where the files of a run's model are: given, or pre-trained on the testbed's text."""

from balora.progress import OnProgress, Progress
from balora.tasks.catalogue import find_task
from balora.training.spec import RunSpec


def located(spec: RunSpec, tell: OnProgress) -> RunSpec:
    """Return ``spec`` with the folder of its model; a testbed's that is not there yet is pre-trained first.

    Raises:
        ModelError, OutputError, TrainingError: as :func:`balora.tasks.testbed.model_cache.model_folder`.
    """
    if spec.testbed is None:
        return spec
    from balora.tasks.testbed.model_cache import model_folder

    def on_steps(done: int, steps: int, loss: float) -> None:
        tell(Progress("pretrain", done, steps, loss))

    folder = model_folder(spec.testbed, find_task(spec.task).family, on_steps=on_steps)
    return spec.model_copy(update={"model": str(folder)})
