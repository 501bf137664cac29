#include "core/pluto/layout.h"

namespace corax {
namespace {

// include/ietf_constants.h and include/constants.h, where they have the same value in every version here.
constexpr uint64_t ikeV2 = 2, yes = 3, lifetimeUnlimited = uint64_t{1} << 63;

WhackEnd end48(uint16_t at) {
  const auto in = [at](int offset, uint8_t size) { return WhackField{static_cast<uint16_t>(at + offset), size}; };
  WhackEnd end;
  end.host = {in(68, 1), in(72, 4), in(76, 16).offset, {}};
  end.ikePort = in(92, 4);
  end.client = {in(200, 1), in(204, 4), in(208, 16).offset, in(224, 4)};
  return end;
}

// One layout from 4.8 to 4.15; 4.7, with the same magic, has another.
WhackLayout layout48() {
  WhackLayout it{};
  it.versions = {"4.8", "4.9", "4.10", "4.11", "4.12", "4.13", "4.14", "4.15"};
  it.magic = 1869114161;
  it.size = 5584;
  it.strings = 1488;

  it.status = {{4, 1}, it.magic};
  it.trafficStatus = {{7, 1}, it.magic};
  it.showStates = {{12, 1}, it.magic};
  it.shutdown = {{14, 1}, it.magic};
  it.listen = {{1261, 1}, it.magic};
  it.rereadSecrets = {{1320, 1}, it.magic};
  it.add = {76, 1};
  it.asynchronous = {77, 1};
  it.route = {1160, 1};
  it.unroute = {1161, 1};
  it.initiate = {1162, 1};
  it.terminate = {1224, 1};
  it.remove = {1225, 1};

  it.always = {
      {{80, 4}, ikeV2},                // ike_version
      {{128, 8}, 28'800},              // sa_ike_life_seconds
      {{144, 8}, 28'800},              // sa_ipsec_life_seconds
      {{160, 8}, 540},                 // sa_rekey_margin
      {{176, 8}, lifetimeUnlimited},   // sa_ipsec_max_bytes
      {{184, 8}, lifetimeUnlimited},   // sa_ipsec_max_packets
      {{192, 8}, 100},                 // sa_rekey_fuzz
      {{208, 8}, 128},                 // sa_replay_window
      {{216, 8}, 60},                  // retransmit_timeout, s
      {{240, 8}, 500'000},             // retransmit_interval, µs
      {{248, 4}, 1},                   // nic_offload auto
      {{252, 4}, UINT32_MAX},          // xfrm_if_id: none
      {{304, 4}, 4500},                // remote_tcpport
      {{308, 4}, 1},                   // iketcp no
      {{312, 1}, 1},                   // nat_keepalive
      {{1188, 4}, 8},                  // oppo.local.port
      {{1220, 4}, 1},                  // oppo.ipproto
  };
  it.withAdd = {
      {{88, 8}, 1 | 8},   // policy ENCRYPT, TUNNEL
      {{96, 1}, 1},       // authby.psk
      {{300, 4}, yes},    // encaps
      {{320, 1}, 1},      // initial_contact: what the other end still has of us goes (RFC 7296, section 2.4)
  };
  it.withoutAdd = {{{104, 8}, 28}};  // sighash_policy

  it.local = end48(376);
  it.remote = end48(728);
  it.retransmitTimeout = {{216, 8}, {224, 8}, {}};
  it.retransmitInterval = {{232, 8}, {240, 8}, {}};
  it.dpdDelay = {{256, 8}, {264, 8}, {}};
  it.dpdAction = {288, 4};
  it.ifId = {252, 4};
  it.reqid = {356, 4};
  it.clientAddressFamily = {1080, 2};

  const auto put = [&](WhackText text, int others) {
    it.order.push_back({text, 0});
    it.order.insert(it.order.end(), static_cast<size_t>(others), {});
  };
  put(WhackText::name, 0);
  put(WhackText::localId, 5);      // cert pubkey ckaid ca groups
  put(WhackText::localUpdown, 3);  // virt xauth_username host_addr_name
  put(WhackText::remoteId, 5);
  put(WhackText::remoteUpdown, 3);
  put(WhackText::none, 0);  // keyid
  put(WhackText::ike, 0);
  // connalias string1 string2 string3 dnshostname modecfg_{dns,domains,banner} conn_mark_{both,in,out} vti_iface
  // remote_host global_redirect_to redirect_to accept_redirect_to active_redirect_dests, and sec_label
  put(WhackText::esp, 18);
  it.everyString = true;
  it.updown = "ipsec _updown";
  return it;
}

WhackEnd end52(uint16_t at) {
  const auto in = [at](int offset, uint8_t size) { return WhackField{static_cast<uint16_t>(at + offset), size}; };
  WhackEnd end;
  end.hostType = in(64, 4);
  end.host = {in(68, 1), in(72, 4), in(76, 16).offset, {}};
  end.ikePort = in(92, 4);
  return end;
}

WhackLayout layout52() {
  WhackLayout it{};
  it.versions = {"5.2"};
  // What cksum(1) says of "5.2\n".
  it.magic = 3654091882;
  it.size = 5704;
  it.strings = 1608;

  it.status = {{4, 1}, whackBasicMagic};
  it.shutdown = {{5, 1}, whackBasicMagic};
  it.trafficStatus = {{10, 1}, it.magic};
  it.showStates = {{17, 1}, it.magic};
  it.listen = {{1389, 1}, it.magic};
  it.rereadSecrets = {{1449, 1}, it.magic};
  it.add = {72, 1};
  it.asynchronous = {80, 1};
  it.route = {1288, 1};
  it.unroute = {1289, 1};
  it.initiate = {1290, 1};
  it.terminate = {1352, 1};
  it.remove = {1353, 1};

  it.always = {
      {{76, 4}, 1},                    // whack_from whack
      {{84, 4}, ikeV2},                // ike_version
      {{240, 8}, lifetimeUnlimited},   // sa_ipsec_max_bytes
      {{248, 8}, lifetimeUnlimited},   // sa_ipsec_max_packets
      {{328, 8}, 100},                 // sa_rekeyfuzz_percent
      {{352, 8}, 128},                 // replay_window
      {{472, 1}, 1},                   // nat_keepalive
      {{1316, 4}, 8},                  // oppo.local.port
      {{1348, 4}, 1},                  // oppo.ipproto
  };
  // dpd_action is no more: with dpddelay pluto restarts what it once initiated, and clears the rest.
  it.withAdd = {
      {{92, 1}, 1},      // authby.psk
      {{228, 4}, 1},     // type tunnel
      {{232, 4}, 1},     // phase2 ESP
      {{444, 4}, yes},   // encapsulation
      {{480, 1}, 1},     // initial_contact
  };
  it.withoutAdd = {{{104, 8}, 28}};  // sighash_policy

  it.local = end52(624);
  it.remote = end52(912);
  it.retransmitTimeout = {{360, 8}, {368, 8}, {376, 1}};
  it.retransmitInterval = {{384, 8}, {392, 8}, {400, 1}};
  it.reqid = {608, 4};
  it.hostVersion = {1200, 8};

  it.order = {
      {WhackText::name, 24},          {WhackText::localId, 632},       {WhackText::localUpdown, 824},
      {WhackText::localClient, 792},  {WhackText::remoteId, 920},      {WhackText::remoteUpdown, 1112},
      {WhackText::remoteClient, 1080}, {WhackText::ike, 1216},         {WhackText::esp, 1232},
      {WhackText::ipsecInterface, 416}, {WhackText::dpdDelay, 424},
  };
  it.everyString = false;
  return it;
}

}  // namespace

const std::vector<WhackLayout>& whackLayouts() {
  static const std::vector<WhackLayout> all{layout48(), layout52()};
  return all;
}

const WhackLayout* whackLayoutOf(const std::string& version) {
  for (const WhackLayout& layout : whackLayouts()) {
    for (const std::string& each : layout.versions) {
      if (each == version) return &layout;
    }
  }
  return nullptr;
}

}  // namespace corax
