"""MLflow: model packages in its registry, and trainings as its runs.

    import flambeau.mlflow

    flambeau.mlflow.log_model("packages/flowers", registered_model_name="flowers")
    spark.sql("SELECT classify(content, 'models:/flowers/1') FROM photos")

    flambeau.mlflow.autolog()                       # from now on every fit is a run
    model = TorchClassifier(maxEpochs=20).fit(rows)

What lives here: `log_model`, `save_model` and `load_model` (`_flavor`: a package or a fitted model as a model of MLflow), and `autolog`
(`_autolog`: fits as runs). All of it goes through MLflow's own client. SQL, Scala and stages need none of it: the driver itself asks the
server about `models:/…` and `runs:/…`.

It needs MLflow 3: `python -m pip install 'flambeau[mlflow]'`.
"""

from __future__ import annotations

try:
    import mlflow as _mlflow
except ImportError as error:
    raise ImportError("flambeau.mlflow needs MLflow: python -m pip install 'flambeau[mlflow]'") from error

if int(_mlflow.__version__.split(".")[0]) < 3:
    raise ImportError(
        f"flambeau.mlflow needs MLflow 3, and this is {_mlflow.__version__}: python -m pip install 'flambeau[mlflow]'"
    )

from ._autolog import autolog
from ._flavor import load_model, log_model, save_model

__all__ = ["autolog", "load_model", "log_model", "save_model"]
