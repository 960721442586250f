"""How stages declare and take their parameters.

What lives here: `param` (a parameter as a class attribute), converters for models and mappings, `Keywords` and `Saved`. `Keywords` adds a
getter and a setter for each declared parameter, and the keyword arguments of the constructor and of `setParams`. The classes of
parameters are generated (`_generated_params`).
"""

from __future__ import annotations

import difflib
import json
import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar, Union

from pyspark.ml.param import Param, Params
from pyspark.ml.util import JavaMLReadable, JavaMLReader, JavaMLWritable

from .._names import JAVA_PACKAGE

Model = Union[str, "os.PathLike[str]"]
S = TypeVar("S", bound="Keywords")
T = TypeVar("T", bound="Saved")


def model(value: Any) -> str:
    """A name, path or URI as text."""
    if not isinstance(value, (str, os.PathLike)):
        raise TypeError(f"the model must be a name, path or URI, not {type(value).__name__}")
    return os.fspath(value)


def path(value: Any) -> str:
    """A path or URI as text."""
    if not isinstance(value, (str, os.PathLike)):
        raise TypeError(f"must be a path or URI, not {type(value).__name__}")
    return os.fspath(value)


def mapping(value: Any) -> str:
    """A mapping of names as the JSON object that the parameter holds."""
    names = json.loads(value) if isinstance(value, str) else value
    if not isinstance(names, Mapping) or not all(isinstance(name, str) for pair in names.items() for name in pair):
        raise TypeError(f"the mapping must be a dict from names to names, not {value!r}")
    return json.dumps(dict(names))


def factors(value: Any) -> str:
    """Factors by name as the JSON object that the parameter holds."""
    numbers = json.loads(value) if isinstance(value, str) else value
    if not isinstance(numbers, Mapping) or not all(isinstance(name, str) for name in numbers):
        raise TypeError(f"the factors must be a dict from names to numbers, not {value!r}")
    return json.dumps({name: float(number) for name, number in numbers.items()})


def param(name: str, doc: str, converter: Callable[[Any], Any]) -> Any:
    """A parameter as a class attribute; Spark gives each instance a copy of its own."""
    return Param(Params._dummy(), name, doc, converter)


def _getter(own: Param[Any]) -> Callable[[Params], Any]:
    def get(self: Params) -> Any:
        value = self.getOrDefault(getattr(self, own.name))
        return dict(json.loads(value)) if own.typeConverter in (factors, mapping) else value

    get.__doc__ = f"{own.doc[:1].upper()}{own.doc[1:]}."
    return get


def _setter(own: Param[Any]) -> Callable[[Any, Any], Any]:
    def set_value(self: Any, value: Any) -> Any:
        return self._set(**{own.name: value})

    set_value.__doc__ = f"{own.doc[:1].upper()}{own.doc[1:]}."
    return set_value


class Keywords(Params):
    """Parameters by keyword, and accessors: a subclass that declares `x` gets `getX` and `setX`, unless it defines them."""

    # Spark's destructor reads it, even if the stage's constructor raised for its arguments.
    _java_obj: Any = None

    if TYPE_CHECKING:
        # The getters and setters that are made below.
        def __getattr__(self, name: str) -> Any: ...

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name in dir(cls):
            value = getattr(cls, name, None)
            if not isinstance(value, Param):
                continue
            capital = name[:1].upper() + name[1:]
            for prefix, make in (("get", _getter), ("set", _setter)):
                if not hasattr(cls, prefix + capital):
                    setattr(cls, prefix + capital, make(value))

    def _defaults(self) -> dict[str, Any]:
        """Defaults by name; a class adds its own."""
        return {}

    def _given(self: S, given: Mapping[str, Any]) -> S:
        """Sets the parameters that are given; None means not given."""
        for name in given:
            if not self.hasParam(name):
                known = [each.name for each in self.params]
                near = difflib.get_close_matches(name, known, 1)
                meant = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(known)}"
                raise TypeError(f"{type(self).__name__} has no parameter {name!r}; {meant}")
        return self._set(**{name: value for name, value in given.items() if value is not None})


class Saved(JavaMLReadable[Any], JavaMLWritable):
    """Saving and loading; must come after Spark's own base classes."""

    @classmethod
    def read(cls: type[T]) -> JavaMLReader[T]:
        """The reader of saved stages of this class."""
        # Spark derives the Java class from the Python one's module, so it gets a class with the name of the Java package.
        as_java = type(cls.__name__, (cls,), {"__module__": JAVA_PACKAGE})
        read: Callable[[type], JavaMLReader[T]] = JavaMLReadable.read.__func__  # type: ignore[attr-defined]  # a classmethod's own
        return read(as_java)
