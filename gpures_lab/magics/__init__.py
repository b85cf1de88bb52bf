"""IPython magics: ``%load_ext gpures_lab``. They parse and call; the API has the logic.

``arguments`` (options, help, one-line errors) → ``names`` (what a line's names mean) → ``memory``
(the line magics that act), ``looking`` (those that look), ``keeping`` (checkpoints); ``inference``
and ``inference_cpp`` (what a body's names are) → ``compute`` (the cell magic; ``recipes`` keeps
what a cell came to); ``programs`` (record, replay). ``progress`` waits behind a bar, ``display``
shows handles, ``extension`` loads and unloads it all, ``comms`` for the JupyterLab extension.
"""

from gpures_lab.magics.extension import load, unload

__all__ = ["load", "unload"]
