// Arguments from JavaScript: each is checked and copied, or a TypeError says what it should have been.
#pragma once

#include <napi.h>

#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "core/ip.h"

namespace corax::args {

[[noreturn]] void refuse(Napi::Env env, const std::string& name, const std::string& expected);

Napi::Object object(const Napi::Value& value, const std::string& name);
Napi::Array array(const Napi::Value& value, const std::string& name, size_t maxLength);
bool boolean(const Napi::Value& value, const std::string& name);
// A whole number within these bounds, both included.
uint32_t integer(const Napi::Value& value, const std::string& name, uint32_t min, uint32_t max);
uint16_t port(const Napi::Value& value, const std::string& name);
std::string text(const Napi::Value& value, const std::string& name, size_t maxBytes);
// 1–15 bytes, as the kernel takes them (dev_valid_name).
std::string device(const Napi::Value& value, const std::string& name);
Ip ip(const Napi::Value& value, const std::string& name);
// Of family 4.
Ip ipv4(const Napi::Value& value, const std::string& name);
// A CIDR without host bits.
IpPrefix prefix(const Napi::Value& value, const std::string& name);

// The same for what may be absent (undefined).
template <typename Read>
auto optional(const Napi::Value& value, Read&& read) -> std::optional<decltype(read(value))> {
  if (value.IsUndefined()) return std::nullopt;
  return read(value);
}

template <typename T>
constexpr napi_typedarray_type typedArrayType();
template <>
constexpr napi_typedarray_type typedArrayType<uint8_t>() { return napi_uint8_array; }
template <>
constexpr napi_typedarray_type typedArrayType<uint16_t>() { return napi_uint16_array; }
template <>
constexpr napi_typedarray_type typedArrayType<uint32_t>() { return napi_uint32_array; }

void refuseColumn(Napi::Env env, const std::string& name, napi_typedarray_type type, size_t length);

// A copy of a typed array's elements. Its memory may be shared with other threads or be changed by the next
// getter: what is checked must be the copy.
template <typename T>
std::vector<T> elements(const Napi::Value& value, const std::string& name, size_t minLength, size_t maxLength) {
  const napi_env env = value.Env();
  bool isTyped = false;
  napi_typedarray_type type = napi_int8_array;
  size_t length = 0;
  void* data = nullptr;
  if (napi_is_typedarray(env, value, &isTyped) != napi_ok || !isTyped ||
      napi_get_typedarray_info(env, value, &type, &length, &data, nullptr, nullptr) != napi_ok ||
      type != typedArrayType<T>() || length < minLength || length > maxLength) {
    refuseColumn(env, name, typedArrayType<T>(), minLength == maxLength ? minLength : SIZE_MAX);
  }
  if (length == 0) return {};
  const T* first = static_cast<const T*>(data);
  return std::vector<T>(first, first + length);
}

}  // namespace corax::args
