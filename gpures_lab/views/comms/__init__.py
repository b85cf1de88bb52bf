"""What the JupyterLab extension is told, and what it may ask: two comms, opened by it.

``protocol`` (names, limits) → ``sampling`` (the last look, with ``grain_rows``) → ``ticks`` (a
frame of it) → ``telemetry`` (who is told, and how often); ``control`` (one handler) → ``queries``
(with ``documents``: the figures, and ``tracing``: the timeline) and ``commands``; ``hello`` comes
first on both; ``targets`` opens them.
"""
