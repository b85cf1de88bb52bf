// Every library kernel that runs in passes.
#pragma once

#include "extremes.hpp"
#include "histogram.hpp"
#include "reductions.hpp"
#include "rows.hpp"
#include "scan.hpp"
#include "scatter.hpp"
#include "sort.hpp"
