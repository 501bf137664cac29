// Keys do not stay behind in memory that was given back, also where the kernel could not be told.
#include <sys/types.h>

#include <cerrno>
#include <cstring>

#include "core/wireguard/jobs.h"
#include "test/check.h"
#include "test/fake_engine.h"
#include "test/fake_wireguard.h"

// <sanitizer/allocator_interface.h>, which not every compiler package has.
extern "C" int __sanitizer_install_malloc_and_free_hooks(void (*allocated)(const volatile void*, size_t),
                                                         void (*freed)(const volatile void*));
extern "C" size_t __sanitizer_get_allocated_size(const volatile void* pointer);

namespace corax::test {
namespace {

WgKey secret;
bool watching = false;
size_t leftBehind = 0;

void ignoreAllocation(const volatile void*, size_t) {}
void lookForSecret(const volatile void* block) {
  if (!watching || block == nullptr) return;
  const void* bytes = const_cast<const void*>(block);
  if (::memmem(bytes, __sanitizer_get_allocated_size(block), secret.data(), secret.size()) != nullptr) leftBehind++;
}

// How many blocks were given back with the secret in them while `act` ran.
template <typename Act>
size_t blocksWithSecret(Act&& act) {
  static const int hooked = __sanitizer_install_malloc_and_free_hooks(ignoreAllocation, lookForSecret);
  CHECK(hooked != 0);
  for (size_t index = 0; index < secret.size(); index++) secret[index] = static_cast<uint8_t>(0xa0 + index);
  leftBehind = 0;
  watching = true;
  act();
  watching = false;
  return leftBehind;
}

// Answers the first request, and cannot send another.
class Breaking final : public Transport {
 public:
  explicit Breaking(FakeWireGuard& kernel)
      : pair_([&kernel](const std::vector<Request>& requests) { return kernel.answer(requests); }) {}
  int fd() const override { return pair_.fd(); }
  uint32_t portId() const override { return pair_.portId(); }
  int send(Bytes datagram) override { return sends_++ == 0 ? pair_.send(datagram) : -ECOMM; }
  ssize_t receive(uint8_t* buffer, size_t size) override { return pair_.receive(buffer, size); }

 private:
  PairTransport pair_;
  int sends_ = 0;
};

// The errno with which the job fails at a kernel that can be asked for the family only.
int failsWith(Job& job) {
  FakeWireGuard kernel;
  Kernel::Sockets sockets;
  sockets.generic = [&kernel] { return std::make_unique<Breaking>(kernel); };
  Counters counters;
  Reactor reactor({[] { return false; }, [](EventSource&) {}, [] {}});
  Kernel at(reactor, counters, [](Event&&) { return true; }, sockets);
  return failureOf([&] { (void)job.step(at); }).number();
}

}  // namespace

TEST("secrets: what would be left behind is found") {
  CHECK_EQ(blocksWithSecret([] { std::vector<uint8_t>(secret.begin(), secret.end()); }), 1);
}

TEST("secrets: keys are wiped where the conversation with the kernel fails") {
  CHECK_EQ(blocksWithSecret([] {
             auto job = std::make_unique<WgConfigureJob>("wg0");
             job->settings.privateKey = secret;
             CHECK_EQ(failsWith(*job), ECOMM);
           }),
           0);
  CHECK_EQ(blocksWithSecret([] {
             PeerColumns peers;
             peers.count = 1;
             peers.publicKeys.resize(keySize, 1);
             peers.flags = {PeerColumns::presharedKey};
             peers.presharedKeys.assign(secret.begin(), secret.end());
             peers.endpointAddresses.resize(16);
             peers.endpointPorts = {0};
             peers.keepalives = {0};
             peers.allowedIpOffsets = {0, 0};
             const auto job = std::make_unique<WgApplyJob>("wg0", std::move(peers));
             CHECK_EQ(failsWith(*job), ECOMM);
           }),
           0);
}

}  // namespace corax::test
