// An engine's sockets, with the one that it watches the network by in a test's hand.
#pragma once

#include "core/kernel.h"
#include "test/fake_netlink.h"

namespace corax::test {

inline Kernel::Sockets watching(FakeKernel& watch, FakeKernel* route = nullptr) {
  Kernel::Sockets sockets;
  sockets.watch = watch.open();
  if (route != nullptr) sockets.route = route->open();
  return sockets;
}

inline Kernel::Sockets watchingXfrm(FakeKernel& watch) {
  Kernel::Sockets sockets;
  sockets.xfrmWatch = watch.open();
  return sockets;
}

}  // namespace corax::test
