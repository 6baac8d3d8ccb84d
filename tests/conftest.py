import pytest
import torch

import ikpaper

# Tests work on small tensors: a second thread gains nothing, and waits where others compute.
torch.set_num_threads(1)


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


@pytest.fixture
def arm():
    return ikpaper.PlanarArm.paper(dof=6)
