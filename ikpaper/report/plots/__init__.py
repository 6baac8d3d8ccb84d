"""Every figure of the book, one function a figure."""
