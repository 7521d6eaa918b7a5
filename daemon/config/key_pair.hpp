// Whether a certificate and a private key, each a file in PEM, belong together. Any thread.
#pragma once

#include <string>

namespace gatehouse::config {

// False where both can be read and the key is another one's. What cannot be read, or only with a
// pass phrase, is not judged here.
[[nodiscard]] bool may_belong_together(const std::string& certificate, const std::string& key);

}  // namespace gatehouse::config
