from ikpaper import models, paper
from ikpaper.report.tables.models import counts_agree, hyperparameters, inn_loss, ranges, sources
from tests.report.committed import assert_committed


def test_tables_are_the_committed_ones():
    inn, inn10 = (models.build("inn", dof=dof).config for dof in (6, 10))
    made = {
        "sources": sources(inn),
        "inn-loss": inn_loss(inn, inn10),
        "ranges-inn": ranges(paper.INN_RANGES),
        "ranges-cvae": ranges(paper.CVAE_RANGES),
        "hyperparameters-inn": hyperparameters("inn", paper.INN_TABLE),
        "hyperparameters-cvae": hyperparameters("cvae", paper.CVAE_TABLE),
    }
    assert_committed(made)


def test_all_printed_counts_of_parameters_are_those_of_the_models():
    assert counts_agree() == "8 of 8 counts"
