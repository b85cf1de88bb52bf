"""IPython magics: ``%load_ext gpures_lab``. They parse and call; the API has the logic.

``arguments`` (options, help, one-line errors) → ``names`` (what a line's names mean) → ``memory``
(the line magics that act), ``looking`` (those that look); ``inference`` and ``inference_cpp`` (what
a body's names are) → ``compute`` (the cell magic); ``programs`` (record, replay). ``display`` shows
handles, ``extension`` loads and unloads it all.
"""

from gpures_lab.magics.extension import load, unload

__all__ = ["load", "unload"]
