#include "binding/arguments.h"

#include <cmath>

namespace corax::args {

void refuse(Napi::Env env, const std::string& name, const std::string& expected) {
  throw Napi::TypeError::New(env, name + " must be " + expected);
}

void refuseColumn(Napi::Env env, const std::string& name, napi_typedarray_type type, size_t length) {
  const std::string kind = type == napi_uint8_array ? "Uint8Array" : type == napi_uint16_array ? "Uint16Array" : "Uint32Array";
  refuse(env, name, "a " + kind + (length == SIZE_MAX ? " of a length in range" : " of " + std::to_string(length) + " elements"));
}

Napi::Object object(const Napi::Value& value, const std::string& name) {
  if (!value.IsObject()) refuse(value.Env(), name, "an object");
  return value.As<Napi::Object>();
}

Napi::Array array(const Napi::Value& value, const std::string& name, size_t maxLength) {
  if (!value.IsArray() || value.As<Napi::Array>().Length() > maxLength) {
    refuse(value.Env(), name, "an array of at most " + std::to_string(maxLength) + " elements");
  }
  return value.As<Napi::Array>();
}

bool boolean(const Napi::Value& value, const std::string& name) {
  if (!value.IsBoolean()) refuse(value.Env(), name, "a boolean");
  return value.As<Napi::Boolean>();
}

uint32_t integer(const Napi::Value& value, const std::string& name, uint32_t min, uint32_t max) {
  const double number = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : NAN;
  if (!(number >= min && number <= max) || std::floor(number) != number) {
    refuse(value.Env(), name, "a whole number from " + std::to_string(min) + " to " + std::to_string(max));
  }
  return static_cast<uint32_t>(number);
}

uint16_t port(const Napi::Value& value, const std::string& name) {
  return static_cast<uint16_t>(integer(value, name, 1, UINT16_MAX));
}

std::string text(const Napi::Value& value, const std::string& name, size_t maxBytes) {
  size_t length = 0;
  // The length first: a huge string is refused without a copy.
  if (!value.IsString() || napi_get_value_string_utf8(value.Env(), value, nullptr, 0, &length) != napi_ok || length > maxBytes) {
    refuse(value.Env(), name, "a string of at most " + std::to_string(maxBytes) + " bytes");
  }
  return value.As<Napi::String>().Utf8Value();
}

std::string device(const Napi::Value& value, const std::string& name) {
  bool valid = value.IsString();
  std::string result = valid ? text(value, name, 4096) : "";
  valid = valid && !result.empty() && result.size() <= 15 && result != "." && result != "..";
  for (const char letter : result) {
    const auto byte = static_cast<unsigned char>(letter);
    if (byte <= ' ' || byte == 0x7f || letter == '/' || letter == ':') valid = false;
  }
  if (!valid) refuse(value.Env(), name, "a device name of 1 to 15 bytes without spaces, '/' or ':'");
  return result;
}

Ip ip(const Napi::Value& value, const std::string& name) {
  const std::optional<Ip> parsed = value.IsString() ? Ip::parse(text(value, name, 4096)) : std::nullopt;
  if (!parsed) refuse(value.Env(), name, "an IPv4 or IPv6 address");
  return *parsed;
}

Ip ipv4(const Napi::Value& value, const std::string& name) {
  const std::optional<Ip> parsed = value.IsString() ? Ip::parse(text(value, name, 4096)) : std::nullopt;
  if (!parsed || parsed->family != 4) refuse(value.Env(), name, "an IPv4 address");
  return *parsed;
}

IpPrefix prefix(const Napi::Value& value, const std::string& name) {
  const std::optional<IpPrefix> parsed = value.IsString() ? IpPrefix::parse(text(value, name, 4096)) : std::nullopt;
  if (!parsed || parsed->hasHostBits()) refuse(value.Env(), name, "a CIDR prefix without host bits");
  return *parsed;
}

}  // namespace corax::args
