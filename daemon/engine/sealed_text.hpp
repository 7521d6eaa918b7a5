// A text that is hashed and compressed while it is written, and its way back. zlib and libsodium
// do the work; neither shows here. One thread an object.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "daemon/store/rows.hpp"

namespace gatehouse {

class SealedText {
  public:
    SealedText();
    ~SealedText();
    SealedText(const SealedText&) = delete;
    SealedText& operator=(const SealedText&) = delete;
    void append(std::string_view text);
    // Ends it; nothing is appended after that.
    [[nodiscard]] PeriodFile finish(std::string name);

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

// The text again. Throws StoreError (corrupt) where it is not the one that was hashed: no wrong
// byte of a sealed file is ever served.
[[nodiscard]] std::string open_sealed(const PeriodFile& file);

// The same piece by piece, so that nobody holds it whole. What was taken counts only once this has
// returned: whether it is the text that was hashed shows in the end.
void read_sealed(const PeriodFile& file, const std::function<void(std::string_view piece)>& take);

}  // namespace gatehouse
