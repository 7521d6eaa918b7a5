#include "daemon/core/assert.hpp"

#include <cstdio>
#include <cstdlib>

namespace gatehouse {

void assertion_failed(const char* claim, const char* file, int line) noexcept {
    std::fprintf(stderr, "<0>assertion failed: %s at %s:%d\n", claim, file, line);
    std::abort();
}

}  // namespace gatehouse
