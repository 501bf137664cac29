// Runs event sources until something holds, as the native thread would; for tests with real sockets.
#pragma once

#include <poll.h>

#include <algorithm>
#include <functional>
#include <vector>

#include "core/event_source.h"
#include "test/check.h"

namespace corax::test {

// True once `done` holds; false after 20 s, which no test comes near unless it fails.
inline bool drive(const std::vector<EventSource*>& sources, const std::function<bool()>& done) {
  const auto end = Clock::now() + std::chrono::seconds(20);
  while (!done()) {
    Clock::time_point wake = Clock::now() + std::chrono::milliseconds(100);
    std::vector<pollfd> polled;
    for (EventSource* source : sources) {
      if (const auto deadline = source->deadline()) wake = std::min(wake, *deadline);
      polled.push_back({source->fd(), POLLIN, 0});
    }
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(wake - Clock::now()).count() + 1;
    poll(polled.data(), polled.size(), static_cast<int>(std::max<int64_t>(0, left)));
    for (size_t i = 0; i < sources.size(); ++i)
      if (polled[i].revents != 0) sources[i]->onReadable();
    const Clock::time_point now = Clock::now();
    if (now > end) return false;
    for (EventSource* source : sources)
      if (source->deadline() && *source->deadline() <= now) source->onDeadline(now);
  }
  return true;
}

}  // namespace corax::test
