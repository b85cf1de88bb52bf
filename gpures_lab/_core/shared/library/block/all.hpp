// Every library kernel as a block runs it.
#pragma once

#include "extremes.hpp"
#include "histogram.hpp"
#include "indexed.hpp"
#include "maps.hpp"
#include "matrix.hpp"
#include "random.hpp"
#include "reductions.hpp"
#include "rows.hpp"
#include "scan.hpp"
#include "sort.hpp"
