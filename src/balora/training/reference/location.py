"""Choose the cache folder for the outputs of the frozen model, where rows are seen more than once."""

from balora.folders import cache_folder
from balora.training.reference.reference_cache import ReferenceFolder
from balora.training.spec import RunSpec
from balora.training.team import Team


def reference_folder(spec: RunSpec, rows: int, has_siblings: bool, team: Team) -> ReferenceFolder | None:
    """Return the folder in the user's cache for ``spec`` on ``rows`` training rows; None where no row comes again.

    Runs whose rows are drawn share it where they drew the same ones, with one seed, batch size and number of processes
    (the ``team``): these see the same batches in the same order, so that what one caches is to the bit what the other
    would compute. Each process of a team has its own, since it computes a row in another batch than the others would.
    """
    training, data = spec.training, spec.data
    taken = (training.stretched_steps or 0) * training.batch_size * training.accumulation * team.size
    comes_again = taken > rows if taken else training.stretched_epochs > 1
    if not training.reference_cache_mib or not (has_siblings or comes_again):
        return None
    drawn = spec.testbed is not None or data.train_rows is not None
    words = [spec.task, data.model_dump_json(exclude={"folder", "eval_split", "eval_rows", "max_new_tokens"})]
    words += [f"batches of {training.batch_size}", f"seed {training.seed}" if drawn else "all rows"]
    words += [f"process {team.rank} of {team.size}"] if team.size > 1 else []
    return ReferenceFolder(cache_folder() / "reference", training.reference_cache_mib, " ".join(words))
