"""Speed, side by side with the plain way of doing it; run by `make bench`."""
