"""What the files mean: one module for each format, ``truth(path) -> Truth``, without tfreg."""
