// Question: what does the ring cost over the bare hardware, without Python?
// Floors in the same run: cache-line ping-pong, a bare SPSC ring. Prints one JSON object.
#include <algorithm>
#include <cstdio>

#include "floor.hpp"
#include "host/engine.hpp"

using namespace gpures;

namespace {

Request* post_noop(Grain& grain) {
  Outgoing message;
  message.slot.opcode = u16(Opcode::kNoop);
  while (grain.ring.post(grain, message) == Post::kFull) {
    grain.ring.poll();
    cpu_relax();
  }
  return message.request;
}

struct RoundTrip {
  double mean, p50, p99, max;
};

RoundTrip round_trip(Engine& engine, Grain& grain, int rounds) {
  std::vector<double> spans;
  spans.reserve(size_t(rounds));
  const u64 begin = steady_ns();
  for (int n = 0; n < rounds; ++n) {
    const u64 since = ticks();
    Request* request = post_noop(grain);
    engine.wait(*request, ~u64{0});
    engine.drop(request);
    spans.push_back(double(TickScale::get().to_ns(ticks() - since)));
  }
  const double mean = double(steady_ns() - begin) / rounds;
  std::sort(spans.begin(), spans.end());
  return {mean, spans[spans.size() / 2], spans[spans.size() * 99 / 100], spans.back()};
}

double throughput(Engine& engine, Grain& grain, u64 messages) {
  const u64 since = steady_ns();
  Request* last = nullptr;
  for (u64 n = 0; n < messages; ++n) {
    if (last) engine.drop(last);
    last = post_noop(grain);
  }
  engine.wait(*last, ~u64{0});
  engine.drop(last);
  return double(messages) * 1e9 / double(steady_ns() - since);
}

// The same messages handed over 64 at a time, one request each 64.
double batch_throughput(Engine& engine, Grain& grain, u64 messages) {
  constexpr u64 kRun = 64;
  Slot run[kRun] = {};
  for (Slot& slot : run) slot.opcode = u16(Opcode::kNoop);
  const u64 since = steady_ns();
  Request* last = nullptr;
  for (u64 n = 0; n < messages; n += kRun) {
    if (last) engine.drop(last);
    last = grain.ring.new_request(grain, u16(Opcode::kNoop));
    last->parts = kRun;
    for (u64 sent = 0; sent < kRun;) {
      const u64 fitted = grain.ring.post_batch(grain, run + sent, kRun - sent, *last);
      if (fitted == 0) cpu_relax();
      sent += fitted;
    }
  }
  engine.wait(*last, ~u64{0});
  engine.drop(last);
  return double(messages) * 1e9 / double(steady_ns() - since);
}

double pool_ns(u64 rounds) {
  std::vector<BlockEntry> table(64);
  std::atomic<u64> answered[1] = {~u64{0}};
  Pool pool(u64{64} << 20, table.data(), table.size(), answered);
  pool.give_back(pool.rent(4096, 0, 1, 0).block, 0, 0);
  const u64 since = steady_ns();
  for (u64 n = 0; n < rounds; ++n) pool.give_back(pool.rent(4096, 0, 1, 0).block, 0, n);
  return double(steady_ns() - since) / double(rounds);
}

}  // namespace

int main(int count, char** arguments) {
  // --round-trip: only that figure, as the floor of the Python benchmark.
  if (count == 2 && std::strcmp(arguments[1], "--round-trip") == 0) {
    Engine* engine = new Engine(EngineOptions{});
    engine->start();
    Grain& grain = *engine->make_grain(false);
    round_trip(*engine, grain, 20'000);
    double best = 1e9;
    for (int n = 0; n < 5; ++n) best = std::min(best, round_trip(*engine, grain, 50'000).p50);
    engine->close(1'000'000'000);
    engine->release();
    std::printf("{\"round_trip_p50_ns\": %.1f}\n", best);
    return 0;
  }
  double floor = 1e9;
  for (int repeat = 0; repeat < 3; ++repeat) {
    for (bool shared : {false, true}) {
      for (bool pause : {false, true}) {
        floor = std::min(floor, floors::ping_pong_ns(200'000, shared, pause));
      }
    }
  }
  double spsc = 0, rate = 0, batched = 0;
  RoundTrip best{1e9, 1e9, 0, 0};
  Engine* engine = new Engine(EngineOptions{});
  engine->start();
  Grain& grain = *engine->make_grain(false);
  round_trip(*engine, grain, 20'000);
  for (int repeat = 0; repeat < 5; ++repeat) {
    const RoundTrip now = round_trip(*engine, grain, 200'000);
    if (now.p50 < best.p50) best = now;
    spsc = std::max(spsc, floors::spsc_per_second(5'000'000));
    rate = std::max(rate, throughput(*engine, grain, 3'000'000));
    batched = std::max(batched, batch_throughput(*engine, grain, 6'400'000));
  }
  double pool = 1e9;
  for (int repeat = 0; repeat < 3; ++repeat) pool = std::min(pool, pool_ns(2'000'000));
  engine->close(1'000'000'000);
  engine->release();
  std::printf(
      "{\"floor_ping_pong_ns\": %.1f, \"round_trip_p50_ns\": %.1f, \"round_trip_mean_ns\": %.1f, "
      "\"round_trip_p99_ns\": %.1f, \"round_trip_max_ns\": %.1f, \"floor_spsc_per_s\": %.0f, "
      "\"noop_per_s\": %.0f, \"noop_batched_per_s\": %.0f, \"pool_rent_return_ns\": %.1f}\n",
      floor, best.p50, best.mean, best.p99, best.max, spsc, rate, batched, pool);
  return 0;
}
