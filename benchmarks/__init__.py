"""Speed, side by side with a reference implementation; run by `make bench`."""
