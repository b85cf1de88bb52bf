// Cast from floats and complex.
#include "cast.hpp"

namespace gpures::library {

void append_casts_from_floats(Table& table) { append_casts<Join<Inexact, Halves>>(table); }

}  // namespace gpures::library
