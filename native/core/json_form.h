// Whether a text is JSON (RFC 8259), without reading what it says.
#pragma once

#include <string>

namespace corax {

// True for one well-formed JSON object, nested at most 64 deep, and nothing after it but white space.
bool isJsonObject(const std::string& text);

}  // namespace corax
