"""The hyperparameter search: Ray Tune runs trials that scikit-optimize proposes."""

from ikpaper.search.confirm import AS_PRINTED, confirm, confirmed, spread
from ikpaper.search.run import run_study
from ikpaper.search.study import INITIAL_POINTS, VERSION, Study, StudyRecord, load_studies, space
from ikpaper.search.trial import Trial, held_out

__all__ = [
    "AS_PRINTED",
    "INITIAL_POINTS",
    "VERSION",
    "Study",
    "StudyRecord",
    "Trial",
    "confirm",
    "confirmed",
    "held_out",
    "load_studies",
    "run_study",
    "space",
    "spread",
]
