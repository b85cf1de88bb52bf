// A library kernel in the form of device/kernel.hpp.
#pragma once

#include "../../device/kernel.hpp"
#include "../wide/all.hpp"
#include "all.hpp"

namespace gpures::library {

template <class Kernel, bool AnyBlocks>
struct OnDevice {
  static_assert(OnBlock<Kernel>::kAnyBlocks == AnyBlocks, "how many blocks the host may launch");

  template <class Block>
  static GPURES_OP void run(const Block& block, const Arguments& arguments, i64 begin, i64 end) {
    OnBlock<Kernel>::run(block, call(arguments, begin, end));
  }

  template <class Block>
  static GPURES_OP void run_pass(const Block& block, const Pass& pass, const Arguments& arguments,
                                 i64 begin, i64 end) {
    InPasses<Kernel>::run(block, pass, call(arguments, begin, end));
  }

 private:
  static GPURES_OP Call call(const Arguments& arguments, i64 begin, i64 end) {
    return {arguments.data,
            arguments.sizes,
            arguments.shapes,
            arguments.params,
            arguments.space,
            begin,
            end,
            arguments.fault};
  }
};

}  // namespace gpures::library
