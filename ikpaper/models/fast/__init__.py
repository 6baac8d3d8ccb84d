"""What the models compute, computed fast: batched layers, coupling blocks, and the MMD loss."""
