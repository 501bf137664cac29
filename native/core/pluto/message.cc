#include "core/pluto/message.h"

#include <cerrno>
#include <cstring>

#include "core/failure.h"

namespace corax {
namespace {

// enum keyword_host
constexpr uint64_t hostAny = 2;
// enum dpd_action
constexpr uint64_t dpdClear = 1, dpdRestart = 3;

class Writer {
 public:
  explicit Writer(const WhackLayout& layout) : layout_(layout), bytes_(layout.strings) {}

  void put(WhackField field, uint64_t value) {
    for (uint8_t index = 0; index < field.size; index++) bytes_[field.offset + index] = static_cast<uint8_t>(value >> 8 * index);
  }
  void putAll(const std::vector<WhackConstant>& constants) {
    for (const WhackConstant& constant : constants) put(constant.field, constant.value);
  }
  void putDuration(const WhackDuration& field, uint64_t milliseconds) {
    put(field.seconds, milliseconds / 1000);
    put(field.microseconds, milliseconds % 1000 * 1000);
    put(field.isSet, 1);
  }
  void putAddress(const WhackAddress& field, const Ip& ip, uint8_t prefixLength) {
    // A version that has the address as text has no such field.
    if (field.isSet.size == 0) return;
    put(field.isSet, 1);
    put(field.version, ip.family);
    std::memcpy(&bytes_[field.bytes], ip.bytes.data(), ip.size());
    put(field.prefix, prefixLength);
  }
  // Null = there is none.
  void append(const WhackString& string, const std::string* text) {
    if (text == nullptr && !layout_.everyString) return;
    const size_t size = (text == nullptr ? 0 : text->size()) + 1;
    if (bytes_.size() + size > layout_.size) throw Failure(FailureCode::pluto, E2BIG, "a command for pluto is too long");
    if (string.pointer != 0) put({string.pointer, 8}, size);
    if (text != nullptr) bytes_.insert(bytes_.end(), text->begin(), text->end());
    bytes_.push_back(0);
  }
  std::vector<uint8_t> take() { return std::move(bytes_); }

 private:
  const WhackLayout& layout_;
  std::vector<uint8_t> bytes_;
};

const WhackRequest& requestOf(const WhackLayout& layout, PlutoOp op) {
  switch (op) {
    case PlutoOp::listen: return layout.listen;
    case PlutoOp::rereadSecrets: return layout.rereadSecrets;
    case PlutoOp::status: return layout.status;
    case PlutoOp::showStates: return layout.showStates;
    case PlutoOp::trafficStatus: return layout.trafficStatus;
    case PlutoOp::shutdown: return layout.shutdown;
  }
  throw Failure(FailureCode::pluto, EINVAL, "no such operation");
}

void putEnd(Writer& writer, const WhackEnd& layout, const PlutoEnd& end, uint8_t family) {
  Ip any;
  any.family = family;
  writer.putAddress(layout.host, end.host.value_or(any), 0);
  if (!end.host) writer.put(layout.hostType, hostAny);
  writer.put(layout.ikePort, end.ikePort);
  writer.putAddress(layout.client, end.client.ip, end.client.length);
}

void putConnection(Writer& writer, const WhackLayout& layout, const PlutoConnection& connection) {
  const uint8_t family = (connection.local.host ? connection.local.host : connection.remote.host)->family;
  putEnd(writer, layout.local, connection.local, family);
  putEnd(writer, layout.remote, connection.remote, family);
  writer.put(layout.hostVersion, family);
  writer.put(layout.clientAddressFamily, connection.local.client.ip.addressFamily());
  writer.putDuration(layout.dpdDelay, uint64_t{connection.dpdDelayS} * 1000);
  writer.put(layout.dpdAction, connection.restarts ? dpdRestart : dpdClear);
  writer.putDuration(layout.retransmitTimeout, uint64_t{connection.retransmitTimeoutS} * 1000);
  writer.putDuration(layout.retransmitInterval, connection.retransmitIntervalMs);
  if (connection.ifId) writer.put(layout.ifId, *connection.ifId);
  writer.put(layout.reqid, connection.reqid);
}

std::optional<std::string> textOf(const std::optional<PlutoText>& text) {
  return text ? std::optional(text->text()) : std::nullopt;
}

// What pluto is to run when a tunnel comes and goes; with an add nothing, and that is said.
std::optional<std::string> updownOf(const WhackLayout& layout, const PlutoConnection* add) {
  if (add != nullptr) return "";
  return layout.updown.empty() ? std::nullopt : std::optional(layout.updown);
}

std::optional<std::string> textFor(WhackText text, const WhackLayout& layout, const PlutoConnectionCommand* command) {
  const PlutoConnection* add = command != nullptr && command->add ? &*command->add : nullptr;
  if (text == WhackText::localUpdown || text == WhackText::remoteUpdown) return updownOf(layout, add);
  if (text == WhackText::name && command != nullptr) return command->name.text();
  if (add == nullptr) return std::nullopt;
  switch (text) {
    case WhackText::localId: return add->local.id.text();
    case WhackText::localClient: return add->local.client.text();
    case WhackText::remoteId: return add->remote.id.text();
    case WhackText::remoteClient: return add->remote.client.text();
    case WhackText::ike: return textOf(add->ike);
    case WhackText::esp: return textOf(add->esp);
    case WhackText::ipsecInterface: return add->ifId ? std::optional(std::to_string(*add->ifId)) : std::nullopt;
    case WhackText::dpdDelay: return std::to_string(add->dpdDelayS);
    default: return std::nullopt;
  }
}

void appendStrings(Writer& writer, const WhackLayout& layout, const PlutoConnectionCommand* command) {
  for (const WhackString& string : layout.order) {
    const std::optional<std::string> text = textFor(string.text, layout, command);
    writer.append(string, text ? &*text : nullptr);
  }
}

PlutoMessage requestMessage(const WhackLayout& layout, PlutoOp op) {
  Writer writer(layout);
  const WhackRequest& request = requestOf(layout, op);
  writer.put({0, 4}, request.magic);
  writer.putAll(layout.always);
  writer.putAll(layout.withoutAdd);
  writer.put(request.flag, 1);
  appendStrings(writer, layout, nullptr);
  return {writer.take(), op == PlutoOp::listen || op == PlutoOp::rereadSecrets || op == PlutoOp::status};
}

PlutoMessage connectionMessage(const WhackLayout& layout, const PlutoConnectionCommand& command) {
  if (command.name.text().empty()) throw Failure(FailureCode::pluto, EINVAL, "pluto aborts when a command names no connection");
  if (const char* problem = command.problem()) throw Failure(FailureCode::pluto, EINVAL, problem);
  Writer writer(layout);
  writer.put({0, 4}, layout.magic);
  writer.putAll(layout.always);
  writer.putAll(command.add ? layout.withAdd : layout.withoutAdd);
  writer.put(layout.asynchronous, 1);
  writer.put(layout.remove, command.remove);
  writer.put(layout.add, command.add.has_value());
  writer.put(layout.route, command.route);
  writer.put(layout.unroute, command.unroute);
  writer.put(layout.initiate, command.initiate);
  writer.put(layout.terminate, command.terminate);
  if (command.add) putConnection(writer, layout, *command.add);
  appendStrings(writer, layout, &command);
  return {writer.take(), command.add.has_value()};
}

}  // namespace

PlutoMessage plutoMessage(const WhackLayout& layout, const PlutoCommand& command) {
  if (const auto* connection = std::get_if<PlutoConnectionCommand>(&command)) return connectionMessage(layout, *connection);
  return requestMessage(layout, std::get<PlutoOp>(command));
}

PlutoMessage basicStatusMessage() {
  PlutoMessage message{std::vector<uint8_t>(64), true};
  for (unsigned index = 0; index < 4; index++) message.bytes[index] = static_cast<uint8_t>(whackBasicMagic >> 8 * index);
  message.bytes[4] = 1;
  return message;
}

}  // namespace corax
