"""Memory: does the pool reuse it, and what does moving data cost?"""
