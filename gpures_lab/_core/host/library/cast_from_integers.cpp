// Cast from bool and the integers.
#include "cast.hpp"

namespace gpures::library {

void append_casts_from_integers(Table& table) { append_casts<Join<Bools, Integers>>(table); }

}  // namespace gpures::library
