"""Tables of the pages on the models and on their hyperparameters."""

from __future__ import annotations

import pandas as pd

from ikpaper import models, paper
from ikpaper.format import concise, significant
from ikpaper.models import INNConfig
from ikpaper.profiles import PUBLISHED, get_profile
from ikpaper.report.tables.base import NETWORKS
from ikpaper.report.tables.search import PARAMETERS


def sources(inn: INNConfig) -> pd.DataFrame:
    """What the slides say about the models, and what the authors' public configuration adds.

    Args:
        inn: Hyperparameters of the INN.
    """
    profile = get_profile(PUBLISHED)
    rows = [
        ("layers, neurons, learning rate, weight decay", "Tables III and IV", "the same"),
        ("size of z", "not given", "DoF − 2 for both networks, nothing padded"),
        (
            "coupling block",
            "formulas in both directions",
            f"four separate subnets; log scales clamped to ±{inn.clamp:g}; LeakyReLU also after "
            "the subnets' last layer",
        ),
        (
            "between coupling blocks",
            "not given",
            "fixed random permutation, none after the last block",
        ),
        ("terms of the losses", "formulas", "the same, squared errors as sums over the batch"),
        ("weights, ramp, noise", "not given", "as listed on this page"),
        ("differences of angles", "not given", "wrapped to (−π, π]"),
        ("kernel of the MMD", "not given", "rational in the unsquared distance, V-statistic"),
        ("printed mismatches", "called MMD", "the square of it"),
        (
            "optimisation",
            "not given",
            f"Adam, batches of {profile.batch}, {models.INN.epochs_for(profile)} epochs, "
            "learning rate reduced on plateaus",
        ),
    ]
    columns = ["what", "the slides", "the authors' public configuration"]
    return pd.DataFrame(rows, columns=columns)


def inn_loss(inn: INNConfig, inn10: INNConfig) -> pd.DataFrame:
    """The terms of the INN's loss.

    Args:
        inn: Hyperparameters of the INN.
        inn10: Those for 10 DoF, where the weight of a term differs.
    """
    rows = [
        ("L_y", "squared error of the predicted TCP", f"{inn.weight_y:g}"),
        (
            "L_z",
            "MMD between predicted (z, TCP) and (noise, true TCP); no gradient through the "
            "predicted TCP",
            f"{inn.weight_z:g} ({inn10.weight_z:g} for 10 DoF)",
        ),
        (
            "L_x",
            "squared error of the wrapped angles from the inverse pass on predicted z plus noise, "
            "and the true TCP",
            f"{inn.weight_x:g}",
        ),
        (
            "L_p(x)",
            "MMD between the inverse pass on fresh noise and the true TCP, and the joint angles",
            f"as L_z, ramped from {significant(2 * inn.ramp, 2)} to 1",
        ),
    ]
    return pd.DataFrame(rows, columns=["term", "what", "weight"])


def ranges(table: paper.Ranges) -> pd.DataFrame:
    """Ranges of a network's hyperparameters in the search; see `paper.INN_RANGES`."""
    columns = {PARAMETERS[name]: [concise(bound) for bound in table[name]] for name in table}
    return pd.DataFrame({"": ["min", "max"], **columns})


def hyperparameters(model: str, table: paper.Table) -> pd.DataFrame:
    """Hyperparameters of a network, its parameter count as printed and as built: a column an arm.

    Args:
        model: Name of the network.
        table: See `paper.INN_TABLE`.
    """
    values = {
        f"{dof} DoF": {
            **{
                PARAMETERS[name]: concise(value)
                for name, value in row.items()
                if name in PARAMETERS
            },
            "parameters, printed": f"{row['trainable_parameters']:,}",
            "parameters, built": f"{models.build(model, dof=dof).num_parameters:,}",
        }
        for dof, row in table.items()
    }
    return pd.DataFrame(values).rename_axis("hyperparameter").reset_index()


def counts_agree() -> str:
    """How many of the printed numbers of trainable parameters are those of the models here."""
    agree = [
        models.build(model, dof=dof).num_parameters == row["trainable_parameters"]
        for model in NETWORKS
        for dof, row in models.model_type(model).table.items()
    ]
    return f"{sum(agree)} of {len(agree)} counts"
