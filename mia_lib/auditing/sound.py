"""Evidence from recordings, of a model or of a recipe: what goes with which, for the command line and for Python alike."""

from typing import Any

from mia_lib.auditing.evidence import Evidence
from mia_lib.support.errors import UsageError

OF_A_MODEL = ("control_model", "population")
OF_A_RECIPE = {
    "models": "are the reference models of --train: say that too",
    "executor": "says who trains: it goes with --train",
}


def evidence_of_sound(
    model: Any, members: Any, non_members: Any = None, *, train: Any = None, **options: Any
) -> Evidence:
    """Evidence of the model, and of the recipe `train` if there is one; options: of `evidence_of_recordings` or
    `evidence_of_recipe`, those that are None left as they usually are. Raises UsageError for what does not go together."""
    given = {name: value for name, value in options.items() if value is not None}
    if members is None:
        raise UsageError("say which recordings: --members DIR --non-members DIR, or --members FILE.csv for both sides")
    if model is None and train is None:
        raise UsageError("say what to audit: a model, or a recipe that trains one (train)")
    if train is None:
        given.pop("outputs", None)  # where the command keeps audits, too
        for name, why in OF_A_RECIPE.items():
            _refuse(given, name, why)
        from mia_lib.auditing.recordings import evidence_of_recordings

        return evidence_of_recordings(model, members, non_members, **given)
    for name in OF_A_MODEL:
        _refuse(given, name, "goes with --model alone: beside --train, reference models are asked, and play its part")
    if model is None and given.get("coins"):
        raise UsageError("--train without --model draws its own coins: leave --coins out")
    from mia_lib.auditing.recipe import evidence_of_recipe

    return evidence_of_recipe(train, members, non_members, model=model, **given)


def _refuse(given: dict[str, Any], name: str, why: str) -> None:
    if name in given:
        raise UsageError(f"--{name.replace('_', '-')} {why}")
