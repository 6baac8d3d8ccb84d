import pytest
import torch

import ikpaper

torch.set_num_threads(2)


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


@pytest.fixture
def arm():
    return ikpaper.PlanarArm.paper(dof=6)
