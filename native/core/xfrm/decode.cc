#include "core/xfrm/decode.h"

#include <arpa/inet.h>
#include <linux/udp.h>
#include <linux/xfrm.h>
#include <sys/socket.h>

#include "core/ip.h"
#include "core/netlink/attribute_reader.h"

namespace corax {
namespace {

bool isIp(uint16_t addressFamily) { return addressFamily == AF_INET || addressFamily == AF_INET6; }

// The caller has looked at the family: the kernel writes nothing else where it says one.
XfrmAddress readAddress(const xfrm_address_t& address, uint16_t addressFamily) {
  XfrmAddress result{};
  if (addressFamily == AF_INET) {
    putMapped(result.data(), reinterpret_cast<const uint8_t*>(&address.a4));
  } else {
    std::memcpy(result.data(), &address.in6, result.size());
  }
  return result;
}

Ip readIp(const xfrm_address_t& address, uint16_t addressFamily) {
  return *Ip::from({reinterpret_cast<const uint8_t*>(&address), addressFamily == AF_INET ? size_t{4} : size_t{16}});
}

XfrmPrefix readPrefix(const xfrm_address_t& address, uint8_t length, uint16_t addressFamily) {
  if (length > (addressFamily == AF_INET ? 32 : 128)) malformed("prefix length");
  XfrmPrefix prefix{};
  prefix[0] = addressFamily == AF_INET ? 4 : 6;
  prefix[1] = length;
  const XfrmAddress bytes = readAddress(address, addressFamily);
  std::memcpy(&prefix[2], bytes.data(), bytes.size());
  return prefix;
}

XfrmMark readMark(const Attribute& attribute) {
  const auto mark = attribute.integer<xfrm_mark>();
  return {mark.v, mark.m};
}

void readEncapsulation(const Attribute& attribute, XfrmState& state) {
  const auto encapsulation = attribute.integer<xfrm_encap_tmpl>();
  if (encapsulation.encap_type != UDP_ENCAP_ESPINUDP) return;
  state.encapSourcePort = ntohs(encapsulation.encap_sport);
  state.encapDestinationPort = ntohs(encapsulation.encap_dport);
}

// The first of several (ESP below IPComp and the like) stands for them; nothing where there is none.
std::optional<xfrm_user_tmpl> firstTemplate(const Attribute& attribute) {
  if (attribute.value.size == 0) return std::nullopt;
  return attribute.integer<xfrm_user_tmpl>();
}

XfrmEvent decodeMapping(const NetlinkMessage& message) {
  const auto mapping = readHeader<xfrm_user_mapping>(message.payload);
  const uint16_t family = mapping.id.family;
  if (!isIp(family)) malformed("family");
  XfrmEvent event;
  event.kind = XfrmEvent::Kind::mapping;
  event.reqid = mapping.reqid;
  event.spi = ntohl(mapping.id.spi);
  event.source = readIp(mapping.new_saddr, family);
  event.destination = readIp(mapping.id.daddr, family);
  event.port = ntohs(mapping.new_sport);
  return event;
}

XfrmEvent decodeExpire(const NetlinkMessage& message) {
  const auto expire = readHeader<xfrm_user_expire>(message.payload);
  const uint16_t family = expire.state.family;
  if (!isIp(family)) malformed("family");
  XfrmEvent event;
  event.kind = XfrmEvent::Kind::expire;
  event.reqid = expire.state.reqid;
  event.spi = ntohl(expire.state.id.spi);
  event.source = readIp(expire.state.saddr, family);
  event.destination = readIp(expire.state.id.daddr, family);
  event.hard = expire.hard != 0;
  eachAttribute(after(message.payload, sizeof expire), [&](const Attribute& attribute) {
    if (attribute.type == XFRMA_IF_ID) event.ifId = attribute.integer<uint32_t>();
  });
  return event;
}

XfrmEvent decodeAcquire(const NetlinkMessage& message) {
  const auto acquire = readHeader<xfrm_user_acquire>(message.payload);
  XfrmEvent event;
  event.kind = XfrmEvent::Kind::acquire;
  uint16_t family = acquire.sel.family;
  eachAttribute(after(message.payload, sizeof acquire), [&](const Attribute& attribute) {
    if (attribute.type == XFRMA_IF_ID) event.ifId = attribute.integer<uint32_t>();
    if (attribute.type != XFRMA_TMPL) return;
    if (const auto wanted = firstTemplate(attribute)) {
      event.reqid = wanted->reqid;
      // The tunnel's, which may be another than that of what goes through it.
      family = wanted->family;
    }
  });
  if (!isIp(family)) malformed("family");
  event.source = readIp(acquire.saddr, family);
  event.destination = readIp(acquire.id.daddr, family);
  return event;
}

}  // namespace

std::optional<XfrmState> decodeXfrmState(const NetlinkMessage& message) {
  const auto info = readHeader<xfrm_usersa_info>(message.payload);
  if (!isIp(info.family) || info.id.spi == 0) return std::nullopt;
  XfrmState state;
  state.source = readAddress(info.saddr, info.family);
  state.destination = readAddress(info.id.daddr, info.family);
  state.spi = ntohl(info.id.spi);
  state.reqid = info.reqid;
  state.protocol = info.id.proto;
  state.mode = info.mode;
  state.bytes = static_cast<double>(info.curlft.bytes);
  state.packets = static_cast<double>(info.curlft.packets);
  state.addedAt = static_cast<double>(info.curlft.add_time);
  state.usedAt = static_cast<double>(info.curlft.use_time);
  bool made = false;
  eachAttribute(after(message.payload, sizeof info), [&](const Attribute& attribute) {
    switch (attribute.type) {
      // That there is one: it holds a key.
      case XFRMA_ALG_AEAD:
      case XFRMA_ALG_AUTH:
      case XFRMA_ALG_AUTH_TRUNC:
      case XFRMA_ALG_CRYPT:
      case XFRMA_ALG_COMP: made = true; break;
      case XFRMA_ENCAP: readEncapsulation(attribute, state); break;
      case XFRMA_IF_ID: state.ifId = attribute.integer<uint32_t>(); break;
      case XFRMA_MARK: state.mark = readMark(attribute); break;
      case XFRMA_LASTUSED: state.lastUsedAt = static_cast<double>(attribute.integer<uint64_t>()); break;
      default: break;
    }
  });
  if (!made) return std::nullopt;
  return state;
}

std::optional<XfrmPolicy> decodeXfrmPolicy(const NetlinkMessage& message) {
  const auto info = readHeader<xfrm_userpolicy_info>(message.payload);
  const xfrm_selector& selector = info.sel;
  if (info.dir >= XFRM_POLICY_MAX || !isIp(selector.family)) return std::nullopt;
  XfrmPolicy policy;
  policy.source = readPrefix(selector.saddr, selector.prefixlen_s, selector.family);
  policy.destination = readPrefix(selector.daddr, selector.prefixlen_d, selector.family);
  policy.direction = info.dir;
  policy.action = info.action;
  policy.index = info.index;
  policy.priority = info.priority;
  bool main = true;
  eachAttribute(after(message.payload, sizeof info), [&](const Attribute& attribute) {
    switch (attribute.type) {
      case XFRMA_IF_ID: policy.ifId = attribute.integer<uint32_t>(); break;
      case XFRMA_MARK: policy.mark = readMark(attribute); break;
      case XFRMA_POLICY_TYPE: main = attribute.integer<xfrm_userpolicy_type>().type == XFRM_POLICY_TYPE_MAIN; break;
      case XFRMA_TMPL:
        if (const auto first = firstTemplate(attribute); first && isIp(first->family)) {
          policy.templateProtocol = first->id.proto;
          policy.templateReqid = first->reqid;
          policy.templateSource = readAddress(first->saddr, first->family);
          policy.templateDestination = readAddress(first->id.daddr, first->family);
        }
        break;
      default: break;
    }
  });
  if (!main) return std::nullopt;
  return policy;
}

std::optional<XfrmEvent> decodeXfrmEvent(const NetlinkMessage& message) {
  switch (message.type) {
    case XFRM_MSG_MAPPING: return decodeMapping(message);
    case XFRM_MSG_EXPIRE: return decodeExpire(message);
    case XFRM_MSG_ACQUIRE: return decodeAcquire(message);
    default: return std::nullopt;
  }
}

}  // namespace corax
