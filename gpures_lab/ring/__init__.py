"""Messages and completions, host side: errors of posting and waiting, `await`, the engine.

The rings themselves are native (``_core/host``); `engine` starts one for a driver and reads it.
"""
