class CppBody: pass
def read_cpp_body(*a): raise NotImplementedError
