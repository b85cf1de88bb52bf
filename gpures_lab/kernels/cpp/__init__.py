"""C++ bodies: declarations, checks, generated source, the host's compiler."""
