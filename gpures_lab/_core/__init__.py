"""The C++ that both drivers share, and the module built from it (``_native``)."""
