"""Folders of studies as finished ones leave them."""

import json

import pandas as pd

import ikpaper
from ikpaper.profiles import PROFILES
from ikpaper.search import Study

SMOKE = PROFILES["smoke"]


def finished_study(folder, objectives, arm=None):
    """The folder of a study whose trials ended with these objectives."""
    arm = arm or ikpaper.PlanarArm.paper(4)
    study = Study("cvae", arm, profile=SMOKE, epochs=2)
    rows = [
        {
            "trial": i,
            "objective": value,
            "loss": value,
            "outcome": "trained",
            "learning_rate": 1e-3 * i,
            "hidden_layers": 1,
            "neurons": 8,
            "weight_decay": 1e-5,
            "epochs": 2,
            "seconds": 1.0,
            "cpus": 1.0,
            "gpus": 0.0,
            "seed": 42,
            "profile": "smoke",
        }
        for i, value in enumerate(objectives, 1)
    ]
    folder.mkdir()
    (folder / "study.json").write_text(json.dumps(study.stamp()))
    pd.DataFrame(rows, columns=study.columns).to_csv(folder / "trials.csv", index=False)
    return study
