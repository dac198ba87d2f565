"""The benchmark harness: speed and accuracy of the zoo beside elastix, one table per command."""
