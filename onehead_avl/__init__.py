"""One network with one head that learns vision tasks of different kinds, one after the other."""

import importlib.util
import sys
from pathlib import Path

__version__ = "0.1.0"


def _bind_sibling(name: str) -> None:
    """Import the package of this project that lies beside this one, whatever else is called so.

    ``python -m`` looks into the working directory first, where a user may well have a package ``strategies``.

    Raises:
        ImportError: Another package of the name was imported before this one.
    """
    folder = Path(__file__).resolve().parents[1] / name
    known = sys.modules.get(name)
    if known is not None:
        if Path(known.__file__ or "").resolve().parent != folder:
            found = known.__file__ or ", ".join(known.__path__)  # a folder of modules is no file
            raise ImportError(
                f"expected the package {name} of onehead-avl, found {found}; import onehead_avl before it, or give "
                "yours another name"
            )
        return
    spec = importlib.util.spec_from_file_location(
        name, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)


for _name in ("scenarios", "strategies"):
    _bind_sibling(_name)
