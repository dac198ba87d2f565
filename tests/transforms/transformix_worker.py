"""Takes points through parameter files with elastix's transformix; run in a process of its own.

Importing itk takes ten seconds and more, so all the work is handed over at once: a file of JSON
with ``[[parameter file, points], ...]``, and the name of the file to write the answers to.
"""

import json
import sys
from pathlib import Path

import itk
import numpy as np


def main(jobs, answers):
    folder = Path(answers).parent
    found = []
    images = {ndim: itk.image_from_array(np.zeros((4,) * ndim, "float32")) for ndim in (2, 3)}
    for path, points in json.loads(Path(jobs).read_text()):
        ndim = len(points[0])
        lines = ["point", str(len(points)), *(" ".join(map(repr, p)) for p in points)]
        (folder / "in.txt").write_text("\n".join(lines) + "\n")
        parameters = itk.ParameterObject.New()
        parameters.AddParameterFile(path)
        transformix = itk.TransformixFilter[itk.Image[itk.F, ndim]].New()
        transformix.SetMovingImage(images[ndim])
        transformix.SetTransformParameterObject(parameters)
        transformix.SetFixedPointSetFileName(str(folder / "in.txt"))
        transformix.SetOutputDirectory(str(folder))
        transformix.SetLogToConsole(False)
        transformix.Update()
        output = (folder / "outputpoints.txt").read_text().splitlines()
        found.append(
            [
                [float(v) for v in line.split("OutputPoint = [")[1].split("]")[0].split()]
                for line in output
            ]
        )
    Path(answers).write_text(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
